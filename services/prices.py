"""Prices: the rates of one model, from `genai-prices`, and the exact price of a request.

Every request is priced by itself, because some models have a cliff: above a number of input tokens, all tokens of
the request cost the higher rate (claude-haiku-5-5 at 100,000; source: Anthropic pricing page, 2026-10-10).
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from genai_prices.types import ModelPrice, TieredPrices

from schemas.money import NanoUsd, to_nano
from schemas.payload import CacheTtl

_PER_MILLION = Decimal(1_000_000)
#: "50% of standard API prices" on all tokens (source: Anthropic batch processing page, 2026-10-08)
_BATCH_SHARE = Decimal("0.5")


class Unpriced(LookupError):  # noqa: N818 - reads as what it is where it is caught
    """No price is known for a model. What has no price is not sent."""


@dataclass(frozen=True, slots=True)
class BilledTokens:
    """The tokens of one request by rate. Total input is all of them but `output`."""

    input: int
    output: int
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0

    @property
    def total_input(self) -> int:
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read


@dataclass(frozen=True, slots=True)
class _Rates:
    """USD per million tokens, from a number of total input tokens on."""

    above: int
    input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal


class PriceCard:
    """The rates of one model on one day.

    Args:
        model: the model id.
        on: the day whose prices hold.

    Raises:
        Unpriced: no price, or a rate that a request could be billed at is missing.
    """

    def __init__(self, model: str, on: datetime) -> None:
        self.model = model
        try:
            price = calc_price(
                PricedUsage(input_tokens=1, output_tokens=1),
                model_ref=model,
                provider_id="anthropic",
                genai_request_timestamp=on,
            ).model_price
        except LookupError as error:
            raise Unpriced(f"no price is known for {model}") from error
        self._rates = [_rates(price, model, start) for start in _cliffs(price)]

    def price(self, tokens: BilledTokens, *, batch: bool = False) -> NanoUsd:
        """What one request of these tokens costs, in nano-USD, rounded up; in a batch, half of it."""
        rates = next(rates for rates in self._rates if tokens.total_input > rates.above or rates.above == 0)
        total = (
            rates.input * tokens.input
            + rates.output * tokens.output
            + rates.cache_write_5m * tokens.cache_write_5m
            + rates.cache_write_1h * tokens.cache_write_1h
            + rates.cache_read * tokens.cache_read
        )
        return to_nano(total * _BATCH_SHARE / _PER_MILLION if batch else total / _PER_MILLION)

    def worst_case(
        self, input_bound: int, max_tokens: int, cache_ttl: CacheTtl | None, *, batch: bool = False
    ) -> NanoUsd:
        """The most one request can cost, in nano-USD.

        Args:
            input_bound: the most input tokens the bill may show.
            max_tokens: the request's cap on output, thinking included.
            cache_ttl: the dearest cache write it may cause; every input token could be one.
            batch: it goes out in a Message Batch.
        """
        if cache_ttl == "1h":
            return self.price(BilledTokens(0, max_tokens, cache_write_1h=input_bound), batch=batch)
        if cache_ttl == "5m":
            return self.price(BilledTokens(0, max_tokens, cache_write_5m=input_bound), batch=batch)
        return self.price(BilledTokens(input_bound, max_tokens), batch=batch)


_FIELDS = ("input_mtok", "output_mtok", "cache_write_mtok", "cache_write_1h_mtok", "cache_read_mtok")


def _cliffs(price: ModelPrice) -> list[int]:
    """Total input tokens from which each band of rates holds, the highest first; the last is 0."""
    tiered = [value for name in _FIELDS if isinstance(value := getattr(price, name, None), TieredPrices)]
    return [*sorted({tier.start for value in tiered for tier in value.tiers}, reverse=True), 0]


def _rates(price: ModelPrice, model: str, start: int) -> _Rates:
    input_rate, output, write_5m, write_1h, read = (_rate(price, name, model, start) for name in _FIELDS)
    return _Rates(start, input_rate, output, write_5m, write_1h, read)


def _rate(price: ModelPrice, name: str, model: str, start: int) -> Decimal:
    value = getattr(price, name, None)
    if isinstance(value, TieredPrices):
        return next((tier.price for tier in reversed(value.tiers) if tier.start <= start), value.base)
    if not isinstance(value, Decimal):
        raise Unpriced(f"the price of {model} lacks {name}")
    return value
