"""The provider's counts on record, by payload and model: a payload is counted once."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.estimate import TokenCount
from schemas.ledger import CountRow
from schemas.payload.payload import Fingerprint
from services.ledger.store import Ledger


def known(ledger: Ledger, fingerprints: Iterable[Fingerprint]) -> dict[Fingerprint, dict[str, int]]:
    """Input tokens by payload and model, for those of the payloads that were counted before."""
    found: dict[Fingerprint, dict[str, int]] = {}
    query = select(CountRow.fingerprint, CountRow.model, CountRow.input_tokens).where(
        CountRow.fingerprint.in_(list(fingerprints))
    )
    with ledger.read() as connection:
        for fingerprint, model, tokens in connection.execute(query):
            found.setdefault(Fingerprint(fingerprint), {})[model] = tokens
    return found


def add(ledger: Ledger, counts: Iterable[TokenCount]) -> None:
    """Put counts on record, in one transaction. One that is there already stays."""
    now = datetime.now(UTC)
    rows = [
        {
            "fingerprint": count.fingerprint,
            "model": count.model,
            "input_tokens": count.input_tokens,
            "method": count.method,
            "counted_at": now,
        }
        for count in counts
    ]
    if not rows:
        return
    dialect = postgresql if ledger.engine.dialect.name == "postgresql" else sqlite
    with ledger.write() as connection:
        connection.execute(dialect.insert(CountRow).on_conflict_do_nothing(), rows)
