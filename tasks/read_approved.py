"""Read what was approved: the reviews that people approved become jobs of the run that sends them."""

from services.ledger import jobs, reviews
from tasks.run import Run
from tasks.step import step


@step
def read_approved(run: Run) -> int:
    """Put every approved and edited review that is not among the run's rows on record; how many are to be weighed."""
    waiting = 0
    first_row = jobs.next_row(run.ledger, run.run_id)
    for page in reviews.approved_jobs(run.ledger, run.run_id, first_row):
        waiting += jobs.add(run.ledger, run.run_id, page, [], serving=run.policy.kept_answers)
    return waiting
