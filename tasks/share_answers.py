"""Share answers: jobs with the same payload are paid for once, and each gets the answer."""

from services.ledger import shared_answers
from tasks.run import Run
from tasks.step import step


@step
def find_shared(run: Run) -> int:
    """Take the jobs out of the queue that get the answer to another one of the run, if the policy says so; how many."""
    rules = run.policy.run
    if not rules.share_answers:
        return 0
    return shared_answers.mark_sharers(
        run.ledger,
        run.run_id,
        same_group=rules.answers_private_to_group,
        same_limits=run.policy.prune.on_over_budget != "review",
    )


@step
def share_answers(run: Run) -> int:
    """Give those jobs what the other one ended as, once the queue is empty; how many got it."""
    return shared_answers.end_all(run.ledger, run.run_id)
