"""The policy of a run: routes, budgets and rules. One TOML file, one Pydantic model."""

import tomllib
from datetime import date
from decimal import ROUND_CEILING, Decimal
from itertools import combinations, pairwise
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from schemas.errors import BadInput
from schemas.money import NanoUsd, to_nano
from schemas.outcome import Mode, Scope


def _exact(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("write it as a decimal, such as 0.50 or '0.50'")  # noqa: TRY004 - Pydantic wants ValueError
    return value


#: an amount of USD that has never been a float
Usd = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, max_digits=15, decimal_places=9)]
Tokens = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Route(_Section):
    """A tier: a job whose count under `model` is at most `up_to_input_tokens` goes to it."""

    name: str
    model: str
    up_to_input_tokens: Tokens


class RequestLimits(_Section):
    """What one job may weigh and cost. Over either, it is parked for review."""

    max_input_tokens: Tokens = 32_000
    max_cost_usd: Usd = Decimal("0.50")


class BudgetCap(_Section):
    """The most that may be held and settled in a window, in USD. None: no cap."""

    budget_usd: Usd | None = None


class GroupCaps(_Section):
    """The most that the jobs of one group may hold and settle; they count under the caps for all jobs too."""

    run: BudgetCap = BudgetCap()
    day: BudgetCap = BudgetCap()
    month: BudgetCap = BudgetCap()


#: a section of `groups` that holds for every group without one of its own
ANY_GROUP = "*"


class Output(_Section):
    """The side of the answer, which nobody can count beforehand."""

    default_max_tokens: Tokens = 1024
    #: share of max_tokens that an answer is expected to use while too few were observed: an assumption, shown as one
    expected_share: Annotated[Decimal, BeforeValidator(_exact), Field(gt=0, le=1)] = Decimal("0.25")


class Margin(_Section):
    """How far the billed input may lie above the count: the count is an estimate, with no published bound.

    With `learn`, both figures follow what was observed of the model and the class of payload; see `rules.lesson`.
    """

    input_percent: Annotated[Decimal, BeforeValidator(_exact), Field(ge=0)] = Decimal(3)
    input_tokens: Annotated[int, Field(ge=0)] = 20
    learn: bool = True
    #: answers that a lesson is made of at most: the last ones
    last_answers: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    #: fewer than this can only raise the margin, and are not enough to expect an output by
    min_samples: Annotated[int, Field(ge=1)] = 50
    #: the largest observed error that is not an outlier is multiplied by this
    cushion: Annotated[Decimal, BeforeValidator(_exact), Field(ge=1)] = Decimal("1.5")
    #: what the two figures may shrink to
    least_percent: Annotated[Decimal, BeforeValidator(_exact), Field(ge=0)] = Decimal("0.5")
    least_tokens: Annotated[int, Field(ge=0)] = 10

    def bound(self, counted: int) -> int:
        """The most input tokens the bill may show for a job counted at `counted` tokens."""
        share = (Decimal(counted) * self.input_percent / 100).to_integral_value(rounding=ROUND_CEILING)
        return counted + max(int(share), self.input_tokens)


class Uncountable(_Section):
    """What becomes of a job that the provider does not count in full.

    "review": a person decides, and sees the bound where there is one. "bound": a job with a bound goes on with it as
    its input tokens; one without still waits.
    """

    on: Literal["review", "bound"] = "review"


class Hold(_Section):
    """How much of an attempt's worst case is held.

    By default all of it: then settled + held never passes a cap. With `output_percentile` an attempt holds its worst
    case at that percentile of the observed output in place of `max_tokens`, once enough answers were observed; limits
    of one request still look at the worst case. What that promises: when a hold is taken, settled + held + reserve is
    at most the cap. The cap itself can be passed only when the answers in flight together exceed their percentile by
    more than the reserve. An attempt of unknown outcome keeps the hold it had.
    """

    output_percentile: Annotated[int, Field(ge=50, le=99)] | None = None
    #: taken off every cap that jobs of the run are admitted under
    reserve_usd: Usd = Decimal(0)

    @model_validator(mode="after")
    def _a_percentile_has_a_reserve(self) -> Self:
        if self.output_percentile is not None and not self.reserve_usd:
            raise ValueError("output_percentile needs a reserve_usd above 0, for the answers that exceed it")
        return self

    @property
    def reserve(self) -> NanoUsd:
        """Nano-USD that every cap is lowered by."""
        return to_nano(self.reserve_usd)


class RateLimits(_Section):
    """Requests and tokens per minute per endpoint, those of messages for each model, and how many at once.

    A rate left out follows the account: the Start tier's published figure until the API's own headers
    (anthropic-ratelimit-*) name the account's. A rate given is never exceeded by one process.
    """

    messages_per_minute: Annotated[int, Field(ge=1)] | None = None
    #: counted input of the paid calls; once a call is answered, what it read from the cache is taken off
    input_tokens_per_minute: Tokens | None = None
    #: the output that paid calls are expected to bring; once a call is answered, what it brought
    output_tokens_per_minute: Tokens | None = None
    count_per_minute: Annotated[int, Field(ge=1)] | None = None
    max_in_flight: Annotated[int, Field(ge=1, le=1000)] = 100
    #: how long a paid call may take, seconds; longer answers belong in a batch
    request_timeout_seconds: Annotated[int, Field(ge=1)] = 600
    #: tries at one call that surely was not billed: the API's own error object said so, or no connection was made
    tries: Annotated[int, Field(ge=1, le=20)] = 6
    #: the longest wait that a Retry-After is obeyed for, seconds; beyond it the job is left for the next run
    max_wait_seconds: Annotated[int, Field(ge=1)] = 120


class BatchLimits(_Section):
    """How jobs are packed into Message Batches, and how the batches are watched.

    The API takes at most 100,000 requests and 256 MB a batch, and queues at most 200,000 requests in the Start tier
    (source: Anthropic batch processing and rate limits pages, 2026-10-08).
    """

    max_requests: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    #: a batch is held in memory once, so less than the API's 256 MB is kinder
    max_bytes: Annotated[int, Field(ge=1_000, le=256_000_000)] = 100_000_000
    #: requests with the provider at once, over all batches of a run
    max_queued_requests: Annotated[int, Field(ge=1)] = 200_000
    #: the longest pause between two looks at a batch, seconds
    poll_seconds: Annotated[Decimal, BeforeValidator(_exact), Field(gt=0)] = Decimal(60)
    #: a batch whose creation brought no answer counts as never made when the provider has listed none for so long
    absent_after_seconds: Annotated[Decimal, BeforeValidator(_exact), Field(gt=0)] = Decimal(300)

    @model_validator(mode="after")
    def _a_batch_fits_the_queue(self) -> Self:
        if self.max_requests > self.max_queued_requests:
            raise ValueError("max_requests is more than max_queued_requests: a batch could never be queued")
        return self


#: the rates of a contract price, in the order that prices have them everywhere
RATES = (
    "input_usd_per_mtok",
    "output_usd_per_mtok",
    "cache_write_5m_usd_per_mtok",
    "cache_write_1h_usd_per_mtok",
    "cache_read_usd_per_mtok",
)
#: USD per million tokens. Few enough digits that every product of a price is exact
Rate = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, max_digits=10, decimal_places=6)]


class Price(_Section):
    """What a contract says of a model's price: rates in place of the list's, or a discount on the list's.

    Rates are final: no discount is taken off them. A model's own discount goes before one for "*", all models.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    model: Annotated[str, Field(min_length=1)]
    input_usd_per_mtok: Rate | None = None
    output_usd_per_mtok: Rate | None = None
    cache_write_5m_usd_per_mtok: Rate | None = None
    cache_write_1h_usd_per_mtok: Rate | None = None
    cache_read_usd_per_mtok: Rate | None = None
    #: the rates hold for requests of more input tokens than this, cached ones included; None: for requests of any size
    above_input_tokens: Tokens | None = None
    discount_percent: (
        Annotated[Decimal, BeforeValidator(_exact), Field(gt=0, le=100, max_digits=5, decimal_places=2)]
        | None
    ) = None
    #: the first and the last UTC day it holds
    first_day: date | None = Field(default=None, alias="from")
    last_day: date | None = Field(default=None, alias="until")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        has_rates = any(rate is not None for rate in self.rates)
        if has_rates == (self.discount_percent is not None):
            raise ValueError("give either rates or a discount_percent")
        if self.model == "*" and has_rates:
            raise ValueError("only a discount_percent can be for all models")
        if self.above_input_tokens is not None and not has_rates:
            raise ValueError("above_input_tokens belongs to rates; a discount is on all of them")
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise ValueError("its last day is before its first")
        return self

    @property
    def rates(self) -> tuple[Decimal | None, ...]:
        """The rates in the order of `RATES`; None: the list's."""
        return tuple(getattr(self, name) for name in RATES)

    def holds_for(self, model: str, day: date) -> bool:
        """Whether it says something of a model's price on a UTC day."""
        return (
            self.model in (model, "*")
            and (self.first_day or day) <= day
            and (self.last_day is None or day <= self.last_day)
        )

    def contradicts(self, other: "Price") -> bool:
        """Whether both would be the one price of the same requests on some day."""
        same = (
            self.model == other.model
            and self.above_input_tokens == other.above_input_tokens
            and (self.discount_percent is None) == (other.discount_percent is None)
        )
        return (
            same
            and (self.first_day or date.min) <= (other.last_day or date.max)
            and (other.first_day or date.min) <= (self.last_day or date.max)
        )


class Pricing(_Section):
    """What the price of a request depends on besides the request."""

    #: the workspace's default_inference_geo: where requests run that do not say so; None: not known, the dearest is held
    workspace_geo: Literal["global", "us"] | None = None


class Policy(_Section):
    """Everything that decides about a run's jobs and money."""

    name: str
    time_zone: str = "UTC"
    #: "messages": now; "batches": half the price, within 24 hours
    mode: Mode = Mode.MESSAGES
    #: what becomes of an attempt that may have been billed without an answer reaching us
    on_unknown: Literal["review", "resend"] = "review"
    #: the most Prefect task runs a stage makes; a run of no more jobs has one for each
    max_task_runs: Annotated[int, Field(ge=1, le=10_000)] = 200
    routes: Annotated[tuple[Route, ...], Field(min_length=1)]
    request: RequestLimits = RequestLimits()
    run: BudgetCap = BudgetCap()
    day: BudgetCap = BudgetCap()
    month: BudgetCap = BudgetCap()
    groups: dict[str, GroupCaps] = {}
    output: Output = Output()
    margin: Margin = Margin()
    uncountable: Uncountable = Uncountable()
    hold: Hold = Hold()
    limits: RateLimits = RateLimits()
    batch: BatchLimits = BatchLimits()
    pricing: Pricing = Pricing()
    #: a contract's prices, which go before the list's
    prices: tuple[Price, ...] = ()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {value!r}; use a name such as Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _routes_climb(self) -> Self:
        limits = [route.up_to_input_tokens for route in self.routes]
        if any(low >= high for low, high in pairwise(limits)):
            raise ValueError("each route must take more input tokens than the one before it")
        if len({route.name for route in self.routes}) < len(self.routes):
            raise ValueError("two routes have the same name")
        return self

    @model_validator(mode="after")
    def _one_price_a_day(self) -> Self:
        for one, other in combinations(self.prices, 2):
            if one.contradicts(other):
                raise ValueError(
                    f"two prices of {one.model} hold on the same day; give them days that do not meet"
                )
        return self

    @model_validator(mode="after")
    def _the_reserve_leaves_money(self) -> Self:
        for name, cap in (("run", self.run), ("day", self.day), ("month", self.month)):
            if cap.budget_usd is not None and 0 < cap.budget_usd <= self.hold.reserve_usd:
                raise ValueError(f"hold.reserve_usd takes all of {name}.budget_usd; nothing could be sent")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def parks_unknown(self) -> bool:
        """Whether an attempt that may have been billed waits for a person."""
        return self.on_unknown == "review"

    def cap(self, scope: Scope, group: str = "") -> NanoUsd | None:
        """The cap of a window in nano-USD, or None where there is none.

        Args:
            scope: "run", "day" or "month".
            group: the jobs it is about; "": all.
        """
        caps = self.groups.get(group, self.groups.get(ANY_GROUP)) if group else self
        budget = getattr(caps, scope).budget_usd if caps else None
        return None if budget is None else to_nano(budget)

    def overridden(
        self, max_input_tokens: int | None, run_budget_usd: Decimal | None, mode: str | None = None
    ) -> "Policy":
        """The policy with a run's own limits in place of the file's."""
        changes: dict[str, object] = {}
        if max_input_tokens is not None:
            changes["request"] = {**self.request.model_dump(), "max_input_tokens": max_input_tokens}
        if run_budget_usd is not None:
            changes["run"] = {"budget_usd": run_budget_usd}
        if mode is not None:
            changes["mode"] = mode
        return validated({**self.model_dump(), **changes}, "the run's options")


def policy_from_toml(text: str, source: str) -> Policy:
    """The policy in a TOML text.

    Args:
        text: the TOML.
        source: what to call it in an error.

    Raises:
        BadInput: with each field that is wrong and why.
    """
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"The policy {source} is not valid TOML: {error}.") from error
    return validated(data, f"the policy {source}")


def validated(data: dict[str, object], source: str) -> Policy:
    """`data` as a policy; raises BadInput with a sentence that names each wrong field."""
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'policy'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise BadInput(f"In {source}: {wrong}. Fix it and run again; nothing was sent.") from error
