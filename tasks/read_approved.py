"""Read what was approved: the reviews that people let pass become jobs of the run that sends them."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from services.ledger import jobs, reviews
from tasks.start_run import Run


def read_reviews(run: Run) -> int:
    """Put every approved and edited review that is not among the run's rows on record; how many are to be weighed."""
    waiting = 0
    for page in reviews.approved_jobs(run.ledger, run.run_id, jobs.next_row(run.ledger, run.run_id)):
        waiting += jobs.add(run.ledger, run.run_id, page, [])
    return waiting


@task(name="read_approved", cache_policy=NO_CACHE, persist_result=False)
def read_approved(run: Run) -> int:
    """Read what people approved into the run; how many jobs are to be weighed."""
    return read_reviews(run)
