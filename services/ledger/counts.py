"""The provider's counts on record, by payload and model: a payload is counted once."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, delete, select

from schemas.estimate import TokenCount
from schemas.ledger import CountRow
from schemas.payload.payload import Fingerprint
from services.ledger.store import Ledger, upsert


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
    with ledger.write() as connection:
        insert_counts(connection, counts)


def insert_counts(connection: Connection, counts: Iterable[TokenCount]) -> None:
    """Put counts on record. One that is there already stays."""
    now = datetime.now(UTC)
    # in one order, whoever writes: else two writers could wait for each other for ever
    fresh = sorted({(one.fingerprint, one.model): one for one in counts}.items())
    rows = [
        {
            "fingerprint": fingerprint,
            "model": model,
            "input_tokens": count.input_tokens,
            "method": count.method,
            "counted_at": now,
        }
        for (fingerprint, model), count in fresh
    ]
    if rows:
        connection.execute(upsert(connection, CountRow).on_conflict_do_nothing(), rows)


def forget(ledger: Ledger, wrong: Iterable[tuple[Fingerprint, str]]) -> None:
    """Take counts off the record that can be none, by payload and model, in one transaction."""
    keys = [{"r_fingerprint": fingerprint, "r_model": model} for fingerprint, model in sorted(set(wrong))]
    if keys:
        with ledger.write() as connection:
            connection.execute(
                delete(CountRow).where(
                    CountRow.fingerprint == bindparam("r_fingerprint"), CountRow.model == bindparam("r_model")
                ),
                keys,
            )
