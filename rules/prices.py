"""Prices: the rates of one model on one day, and the exact price of a request.

The rates are those of `genai-prices`, where the policy's own (a contract's) do not replace them; what it lacks is in
`rules.surcharges`. Every request is priced by itself, because some models have a cliff: above a number of input
tokens, all tokens of the request cost the higher rate (claude-haiku-5-5 at 100,000; source: Anthropic pricing page,
2026-10-10). Each price is exact and rounded up once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from genai_prices.types import ModelPrice, TieredPrices

from rules import surcharges
from schemas.contract_price import RATES, Price
from schemas.money import NanoUsd, to_nano
from schemas.payload.payload import CacheTtl
from schemas.policy import Policy

_PER_MILLION = Decimal(1_000_000)


class Unpriced(LookupError):  # noqa: N818 - reads as what it is where it is caught
    """No price is known for a model, or for what a request asks of it. What has no price is not sent."""


@dataclass(frozen=True, slots=True)
class BilledTokens:
    """What one request is billed for: its tokens by rate, and what is billed in addition to them.

    Total input is all tokens but `output`. A container is billed for five minutes at least.
    """

    input: int
    output: int
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    web_searches: int = 0
    container_seconds: int = 0

    @property
    def total_input(self) -> int:
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read


@dataclass(frozen=True, slots=True)
class MostBilled:
    """The most that one request may be billed for.

    Attributes:
        input_tokens: over all sampling calls.
        max_tokens: the cap on the output of each sampling call, thinking included.
        cache_ttl: the longest-lived cache entry that it may write; every input token could be a part of it.
        sampling_calls: how often the provider may sample for it.
        web_searches: searches.
        container_seconds: how long a code execution container may run for it.
    """

    input_tokens: int
    max_tokens: int
    cache_ttl: CacheTtl | None = None
    sampling_calls: int = 1
    web_searches: int = 0
    container_seconds: int = 0


@dataclass(frozen=True, slots=True)
class _Rates:
    """USD per million tokens, above a number of total input tokens. The order of the rates is that of `RATES`."""

    above: int
    input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal

    def total(self, tokens: BilledTokens) -> Decimal:
        """USD times a million."""
        return (
            self.input * tokens.input
            + self.output * tokens.output
            + self.cache_write_5m * tokens.cache_write_5m
            + self.cache_write_1h * tokens.cache_write_1h
            + self.cache_read * tokens.cache_read
        )

    def dearest_input(self, cache_ttl: CacheTtl | None) -> Decimal:
        """The highest rate that an input token may be billed at when the request may write caches of this life."""
        if cache_ttl is None:
            return self.input
        written = [self.cache_write_5m] if cache_ttl == "5m" else [self.cache_write_5m, self.cache_write_1h]
        return max(self.input, self.cache_read, *written)


@dataclass(frozen=True, slots=True)
class CacheRates:
    """USD per million input tokens: those that no cache is asked about, those read, and those written by life."""

    plain: Decimal
    read: Decimal
    write_5m: Decimal
    write_1h: Decimal

    def write(self, ttl: CacheTtl) -> Decimal:
        """The rate of a write that lives this long."""
        return self.write_5m if ttl == "5m" else self.write_1h


class PriceCard:
    """The rates of one model on one day.

    Args:
        model: the model id.
        on: the moment of the call: its UTC day's prices hold.
        policy: its contract prices replace the list's, and its workspace says where requests run that do not say so.

    Raises:
        Unpriced: no price, or a rate that a request could be billed at is missing.
    """

    def __init__(self, model: str, on: datetime, policy: Policy | None = None) -> None:
        self.model = model
        self.day: date = on.date()
        self._on, self._policy = on, policy
        self._home = policy.pricing.workspace_geo if policy else "global"
        contract = [price for price in (policy.prices if policy else ()) if price.holds_for(model, self.day)]
        self._rates = _bands(model, _listed(model, on), contract)

    def of_answer(self, model: str) -> "PriceCard":
        """The prices on the same day of a model that an answer names.

        These, where nothing is known of it, and where both cost the same by the list: a contract may not know each name
        of a model.
        """
        listed = _listed(model, self._on)
        if listed is not None and listed == _listed(self.model, self._on):
            return self
        try:
            return PriceCard(model, self._on, self._policy)
        except Unpriced:
            return self

    def price(
        self, tokens: BilledTokens, *, batch: bool = False, geo: str | None = None, speed: str | None = None
    ) -> NanoUsd:
        """What one request costs, in nano-USD, rounded up once.

        Args:
            tokens: what it is billed for.
            batch: it goes out in a Message Batch: half the price of all tokens.
            geo: its `inference_geo`; None: the workspace's.
            speed: its `speed`; None: standard.

        Raises:
            Unpriced: no price is known for that geo or speed on this model.
        """
        factor = self._geo(geo) * self._speed(speed, batch=batch)
        return self._cost(self._band(tokens.total_input).total(tokens) * factor, tokens, batch=batch)

    def bill(
        self, tokens: BilledTokens, *, batch: bool = False, geo: str | None = None, speed: str | None = None
    ) -> tuple[NanoUsd, bool]:
        """What an answer's usage comes to, in nano-USD; and whether all that it says has a price.

        What has none is taken at the dearest factor that is known.
        """
        factor, sure = surcharges.ONE, True
        try:
            factor *= self._geo(geo)
        except Unpriced:
            factor, sure = factor * surcharges.dearest(surcharges.GEO.values()), False
        try:
            factor *= self._speed(speed, batch=batch)
        except Unpriced:
            factor, sure = factor * surcharges.dearest(surcharges.FAST.values()), False
        return self._cost(self._band(tokens.total_input).total(tokens) * factor, tokens, batch=batch), sure

    def worst_case(
        self, most: MostBilled, *, batch: bool = False, geo: str | None = None, speed: str | None = None
    ) -> NanoUsd:
        """The most one request can cost, in nano-USD.

        Every side of a cliff that the bill may come to lie on is looked at, so that the bound, not the count, decides.

        Args:
            most: what it may be billed for.
            batch: it goes out in a Message Batch.
            geo: its `inference_geo`; None: the workspace's, or the most expensive where that is not known.
            speed: its `speed`; None: standard.

        Raises:
            Unpriced: no price is known for that geo or speed on this model.
        """
        factor = self._dearest_geo(geo) * self._speed(speed, batch=batch)
        bound = most.input_tokens
        ceilings = [bound, *(rates.above for rates in self._rates)]
        output = most.max_tokens * most.sampling_calls
        dearest = max(
            rates.dearest_input(most.cache_ttl) * (bound if most.sampling_calls > 1 else min(bound, ceiling))
            + rates.output * output
            for rates, ceiling in zip(self._rates, ceilings, strict=False)
            if rates.above < bound or rates.above == 0
        )
        extras = BilledTokens(0, 0, web_searches=most.web_searches, container_seconds=most.container_seconds)
        return self._cost(dearest * factor, extras, batch=batch)

    @property
    def cache_rates(self) -> CacheRates:
        """The rates of an input token by what the cache makes of it, below any cliff: above one, all rise alike."""
        lowest = self._rates[-1]
        return CacheRates(
            plain=lowest.input,
            read=lowest.cache_read,
            write_5m=lowest.cache_write_5m,
            write_1h=lowest.cache_write_1h,
        )

    @property
    def terms(self) -> str:
        """All that a price of it follows from, its day left aside, as text."""
        return f"{self.model} {self._home} {self._rates}"

    def _band(self, total_input: int) -> _Rates:
        return next(rates for rates in self._rates if total_input > rates.above or rates.above == 0)

    def _geo(self, geo: str | None) -> Decimal:
        if geo is None:
            # a workspace's default is charged for whatever the model, so never too little
            return surcharges.GEO[self._home or "global"].value
        factor = surcharges.geo_factor(self.model, geo, self.day)
        if factor is None:
            raise Unpriced(f"no price is known for {self.model} with inference_geo {geo!r}")
        return factor

    def _dearest_geo(self, geo: str | None) -> Decimal:
        """The highest factor that may apply where neither the request nor the policy says where it runs."""
        if geo is None and self._home is None and surcharges.takes_geo(self.model):
            return surcharges.dearest(surcharges.GEO.values())
        return self._geo(geo)

    def _speed(self, speed: str | None, *, batch: bool) -> Decimal:
        factor = surcharges.speed_factor(self.model, speed or "standard", self.day)
        if factor is None or (batch and speed == "fast"):
            where = " in a batch" if batch else ""
            raise Unpriced(f"no price is known for {self.model} at speed {speed!r}{where}")
        return factor

    def _cost(self, millions: Decimal, tokens: BilledTokens, *, batch: bool) -> NanoUsd:
        usd = millions * surcharges.BATCH.value / _PER_MILLION if batch else millions / _PER_MILLION
        usd += surcharges.WEB_SEARCH.value * tokens.web_searches
        if tokens.container_seconds:
            seconds = max(tokens.container_seconds, surcharges.SHORTEST_CONTAINER_SECONDS)
            usd += surcharges.CONTAINER_HOUR.value * seconds / 3_600
        return to_nano(usd)


#: the names that `genai-prices` has for `RATES`, in their order
_FIELDS = ("input_mtok", "output_mtok", "cache_write_mtok", "cache_write_1h_mtok", "cache_read_mtok")


def _listed(model: str, on: datetime) -> ModelPrice | None:
    """The list price of a model, or None when `genai-prices` knows none."""
    try:
        return calc_price(
            PricedUsage(input_tokens=1, output_tokens=1),
            model_ref=model,
            provider_id="anthropic",
            genai_request_timestamp=on,
        ).model_price
    except LookupError:
        return None


def _bands(model: str, listed: ModelPrice | None, contract: Sequence[Price]) -> list[_Rates]:
    """The rates above each number of total input tokens, the highest number first; the last is 0."""
    own = {price.above_input_tokens or 0: price for price in contract if price.discount_percent is None}
    if listed is None and not own:
        raise Unpriced(f"no price is known for {model}")
    discounts = sorted(
        (price for price in contract if price.discount_percent is not None),
        key=lambda price: price.model == "*",
    )
    percent = discounts[0].discount_percent if discounts else None
    share = 1 - (percent or Decimal(0)) / 100
    cliffs = _cliffs(listed) if listed else {0}
    bands: list[_Rates] = []
    below: list[Decimal | None] = [None] * len(RATES)
    for above in sorted(cliffs | own.keys()):
        if listed and above in cliffs:
            below = [rate and rate * share for rate in (_rate(listed, field, above) for field in _FIELDS)]
        if above in own:
            below = [
                other if rate is None else rate for rate, other in zip(own[above].rates, below, strict=True)
            ]
        lacking = [name for name, rate in zip(RATES, below, strict=True) if rate is None]
        if lacking:
            raise Unpriced(f"the price of {model} lacks {', '.join(lacking)}")
        bands.append(_Rates(above, *(rate for rate in below if rate is not None)))
    return bands[::-1]


def _cliffs(price: ModelPrice) -> set[int]:
    """Total input tokens above which a band of list prices holds; 0 among them."""
    tiered = [value for name in _FIELDS if isinstance(value := getattr(price, name, None), TieredPrices)]
    return {0, *(tier.start for value in tiered for tier in value.tiers)}


def _rate(price: ModelPrice, name: str, start: int) -> Decimal | None:
    value = getattr(price, name, None)
    if isinstance(value, TieredPrices):
        return next((tier.price for tier in reversed(value.tiers) if tier.start <= start), value.base)
    return value if isinstance(value, Decimal) else None
