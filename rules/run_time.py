"""How long a run would take under the account's limits: a lower bound, for the provider's answers take their own time."""

from collections.abc import Mapping
from dataclasses import dataclass

from rules.models import BATCH_TAKES


@dataclass(frozen=True, slots=True)
class RatesPerMinute:
    """What may be called in a minute; None: there is no such limit."""

    requests: int
    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True)
class CallLoad:
    """What a run asks of one model: paid requests, their input tokens, and the output that is expected of them."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


def counting_seconds(calls: int, per_minute: int) -> int:
    """Seconds that this many calls to count_tokens take at least."""
    return -(-60 * calls // per_minute)


def sending_seconds(loads: Mapping[str, CallLoad], rates: Mapping[str, RatesPerMinute]) -> int:
    """Seconds that paid calls take at least, each model under its own limits and all of them side by side."""
    return max((_of_model(load, rates[model]) for model, load in loads.items()), default=0)


def batch_seconds(requests: int, most_queued: int) -> int:
    """Seconds that batches take at most: all that may be queued at once, as often as it takes."""
    return int(BATCH_TAKES.total_seconds()) * -(-requests // most_queued)


def _of_model(load: CallLoad, rates: RatesPerMinute) -> int:
    pairs = (
        (load.requests, rates.requests),
        (load.input_tokens, rates.input_tokens),
        (load.output_tokens, rates.output_tokens),
    )
    return max(-(-60 * amount // rate) for amount, rate in pairs if rate)
