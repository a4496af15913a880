"""Share rates: what one of several workers may send in a minute, and at once."""

from schemas.policy_sections import RateLimits

_SHARED = (
    "messages_per_minute",
    "input_tokens_per_minute",
    "output_tokens_per_minute",
    "count_per_minute",
    "max_in_flight",
)


def share_of(limits: RateLimits, workers: int) -> RateLimits:
    """An even share of a policy's limits, at least one of each; a rate that follows the account stays so.

    Args:
        limits: of the whole run.
        workers: how many share them.
    """
    whole = {name: getattr(limits, name) for name in _SHARED}
    shares = {name: max(1, rate // workers) for name, rate in whole.items() if rate is not None}
    return limits.model_copy(update=shares)
