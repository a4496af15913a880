"""Park: jobs over their own limits, and jobs of unknown outcome, wait for a person in the review table."""

from rules.advice import advise
from rules.limits import policy_limits
from schemas.review import ParkedJob
from services.ledger import reviews
from tasks.run import Run
from tasks.step import step


@step
def park_for_review(run: Run) -> int:
    """Write the run's review rows; how many jobs wait."""
    limits = policy_limits(run.policy)
    with run.ledger.write() as connection:
        reviews.close_answered(connection, run.run_id)
        reviews.reopen_unsent(connection, run.run_id)

    def advice(parked: ParkedJob) -> str | None:
        return advise(parked, run.scale)

    # who finishes the run of another process has its policy, and has not asked which models there are
    knows_less = not run.models.callable
    parked = reviews.park_over_budget(run.ledger, run.run_id, limits, advice, knows_less=knows_less)
    if run.policy.parks_unknown:
        parked += reviews.park_of_unknown_outcome(run.ledger, run.run_id, limits, advice)
    # what waits has a copy of its own by now
    reviews.drop_payloads(run.ledger, run.run_id)
    return parked
