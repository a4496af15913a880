"""How new the price list is. `genai-prices` has no date of its own, but days from which its prices hold."""

from collections.abc import Iterable
from datetime import date

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo


def newest_price_day(today: date) -> date | None:
    """The newest day up to today from which one of the provider's prices holds; None: the list names none."""
    models = [model for one in get_snapshot().providers if one.id == "anthropic" for model in one.models]
    return max((day for model in models for day in _days(model) if day <= today), default=None)


def _days(model: ModelInfo) -> Iterable[date]:
    dated = model.prices if isinstance(model.prices, list) else ()
    constraints = [one.constraint for one in dated] + [one.constraint for one in model.price_variants or ()]
    for constraint in constraints:
        start = getattr(constraint, "start_date", None)
        if isinstance(start, date):
            yield start
