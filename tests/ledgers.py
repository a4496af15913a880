"""The shortest ways into a ledger and out of it: how attempts end, and what is on record."""

from sqlalchemy import select

from schemas.ledger import BudgetRow, JobRow
from schemas.outcome import AttemptState, Decision, Outcome, Reason
from services.ledger import jobs, reviews
from services.ledger.reviews import JobLimits
from tests.strategies import begin, job, job_update, settlement, write_down


def succeeded(attempt, cost=5, **more):
    return settlement(
        attempt.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=cost, response="{}", **more
    )


def failed(attempt, **more):
    return settlement(
        attempt.attempt_id, AttemptState.FAILED, Outcome.FAILED, reason=Reason.API_UNAVAILABLE, **more
    )


def unknown(attempt):
    return settlement(
        attempt.attempt_id, AttemptState.UNKNOWN, Outcome.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME
    )


def settle(ledger, *settlements):
    write_down(ledger, [], settlements)


def rows(ledger, table, *columns):
    with ledger.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).select_from(table))]


def budgets(ledger):
    """Held and settled by window."""
    with ledger.read() as connection:
        found = connection.execute(
            select(BudgetRow.scope, BudgetRow.held_nano_usd, BudgetRow.settled_nano_usd).where(
                BudgetRow.scope != "month", BudgetRow.group_name == ""
            )
        )
        return {scope: (held, settled) for scope, held, settled in found}


def outcomes(ledger, run_id="run-1"):
    with ledger.read() as connection:
        found = connection.execute(
            select(JobRow.outcome, JobRow.reason).where(JobRow.run_id == run_id).order_by(JobRow.row_number)
        )
        return [tuple(row) for row in found]


def started(ledger, number=1, run_id="run-1"):
    """A run with so many jobs in its queue."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(row) for row in range(number)], [])
    return run_id


def parked(ledger, run_id, tokens=50_000):
    """A run whose only job waits for a person."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, max_input_tokens=40_000)], [])
    jobs.record(
        ledger,
        run_id,
        [
            job_update(0, "m", tokens, "counted", Decision.REVIEW, Outcome.REVIEW, Reason.OVER_INPUT_LIMIT, "too heavy", 1, 2_500_000_000)
        ],
    )  # fmt: skip
    assert reviews.park_over_budget(ledger, run_id, JobLimits(32_000, 500_000_000)) == 1
