"""Measured: what the answers to a run's rows came to, whichever run paid for them."""

from sqlalchemy import select

from schemas.attempt import MeasuredAnswer
from schemas.job import RunId
from schemas.ledger import AttemptRow, JobRow
from schemas.outcome import Billing, Outcome
from services.ledger.store import Ledger


def measured_answers(ledger: Ledger, run_id: RunId) -> list[MeasuredAnswer]:
    """The answers to the rows of a run whose usage says all that was billed."""
    query = (
        select(AttemptRow.actual_output_tokens, AttemptRow.thinking_tokens, AttemptRow.actual_nano_usd)
        .join(JobRow, JobRow.attempt_id == AttemptRow.attempt_id)
        .where(
            JobRow.run_id == run_id,
            JobRow.outcome == Outcome.SUCCEEDED,
            AttemptRow.billing.is_(None) | (AttemptRow.billing == Billing.FULL),
            AttemptRow.actual_output_tokens.is_not(None),
            AttemptRow.actual_nano_usd.is_not(None),
        )
    )
    with ledger.read() as connection:
        return [MeasuredAnswer(*row) for row in connection.execute(query)]
