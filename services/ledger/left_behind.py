"""What runs left behind that somebody has to go on with."""

from services.ledger import batches, reviews, runs
from services.ledger.store import Ledger


def is_something_left(ledger: Ledger) -> bool:
    """Whether there is anything to collect: an interrupted run, a batch of an ended one, or results that lack an answer.

    While there is nothing, nobody needs to ask the provider.
    """
    return bool(
        runs.left_unended(ledger) or batches.left_by_ended_runs(ledger) or reviews.runs_to_publish(ledger)
    )
