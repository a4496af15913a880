"""Quotes on record."""

from dataclasses import asdict, fields

from sqlalchemy import Connection, insert, select

from schemas.errors import BadInput
from schemas.ledger import QuoteRow, RunRow
from schemas.quote import QuoteOnRecord, QuoteTerms
from services.ledger.store import Ledger


def add(ledger: Ledger, quote: QuoteOnRecord) -> None:
    """Put a quote on record.

    Raises:
        BadInput: the ledger holds what is real and this is simulated, or the other way round.
    """
    values = asdict(quote)
    terms = values.pop("terms")
    amounts = {f"{name}_nano_usd": values.pop(name) for name in ("expected", "p10", "p90", "worst_case")}
    digests = {f"{name}_digest": digest for name, digest in terms.items()}
    with ledger.write() as connection:
        assert_same_kind(connection, ledger.url, simulated=quote.simulated)
        connection.execute(insert(QuoteRow).values(**values, **amounts, **digests))


def find(ledger: Ledger, quote_id: str) -> QuoteOnRecord | None:
    """The quote of that id."""
    query = select(QuoteRow.__table__).where(QuoteRow.quote_id == quote_id)
    with ledger.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    terms = QuoteTerms(**{one.name: row[f"{one.name}_digest"] for one in fields(QuoteTerms)})
    return QuoteOnRecord(
        quote_id=row["quote_id"],
        created_at=row["created_at"],
        jobs_path=row["jobs_path"],
        terms=terms,
        mode=row["mode"],
        simulated=row["simulated"],
        jobs=row["jobs"],
        expected=row["expected_nano_usd"],
        p10=row["p10_nano_usd"],
        p90=row["p90_nano_usd"],
        worst_case=row["worst_case_nano_usd"],
        report=row["report"],
    )


def assert_same_kind(connection: Connection, url: str, *, simulated: bool) -> None:
    """Check that a ledger holds only what is simulated, or only what is real, as this is.

    Raises:
        BadInput: it holds the other.
    """
    other = connection.scalar(select(RunRow.run_id).where(RunRow.simulated != simulated).limit(1))
    other = other or connection.scalar(
        select(QuoteRow.quote_id).where(QuoteRow.simulated != simulated).limit(1)
    )
    if other:
        kind, this = ("real", "simulated") if simulated else ("simulated", "real")
        raise BadInput(
            f"The ledger {url} holds {kind} runs (such as {other}) and this run is {this}. "
            "Answers and money of the two must not mix: name another ledger with --ledger. Nothing was sent."
        )
