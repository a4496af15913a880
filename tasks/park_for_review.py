"""Park: jobs over their own limits, and jobs of unknown outcome, wait for a person in the review table."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from rules.advice import Scales, advise
from schemas.money import to_nano
from services.ledger import reviews
from services.ledger.reviews import JobLimits, ParkedJob
from tasks.start_run import Run


def park(run: Run) -> int:
    """Write the run's review rows; how many jobs wait."""
    request = run.policy.request
    limits = JobLimits(request.max_input_tokens, to_nano(request.max_cost_usd))
    with run.ledger.write() as connection:
        reviews.close_answered(connection, run.run_id)
        reviews.reopen_unsent(connection, run.run_id)
    scales = Scales(run)

    def advice(parked: ParkedJob) -> str | None:
        return advise(parked, scales)

    parked = reviews.park_over_budget(run.ledger, run.run_id, limits, advice)
    if run.policy.on_unknown == "review":
        parked += reviews.park_of_unknown_outcome(run.ledger, run.run_id, limits, advice)
    return parked


@task(name="park_for_review", cache_policy=NO_CACHE, persist_result=False)
def park_for_review(run: Run) -> int:
    """Write the run's review rows; how many jobs wait."""
    return park(run)
