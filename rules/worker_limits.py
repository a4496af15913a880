"""The limits of one of several workers. The rates are not among them, for they are leased from the ledger."""

from schemas.policy_sections import RateLimits


def limits_of_worker(limits: RateLimits, workers: int) -> RateLimits:
    """A policy's limits with an even share of the calls in flight, at least one.

    Args:
        limits: of the whole run.
        workers: how many share them.
    """
    return limits.model_copy(update={"max_in_flight": max(1, limits.max_in_flight // workers)})
