"""The sections of a policy, one model each."""

import json
from decimal import ROUND_CEILING, Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.forms.bounds import DASK_ADDRESS, LEAST_WORKERS, MOST_WORKERS
from schemas.model_facts import MODEL_NAME
from schemas.money import NanoUsd, to_nano
from schemas.outcome import Runner
from schemas.payload.exact_json import NO_JSON, Unfit, exact_json, exact_number
from schemas.payload.invalid import InvalidPayload
from schemas.payload.payload import Payload
from schemas.prompt_template import PromptTemplate, is_template, read_template
from schemas.time_of_day import TimeOfDay


def exact_decimal(value: object) -> object:
    """The value, unless it is a float, which would have rounded what was written; for validators of Pydantic."""
    if isinstance(value, float):
        raise ValueError("write it as a decimal, such as 0.50 or '0.50'")  # noqa: TRY004 - Pydantic wants ValueError
    return value


#: an amount of USD that has never been a float
Usd = Annotated[Decimal, BeforeValidator(exact_decimal), Field(ge=0, max_digits=15, decimal_places=9)]
Tokens = Annotated[int, Field(ge=1)]


class PolicySection(BaseModel):
    """A section of a policy: it has no field but its own, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Route(PolicySection):
    """A tier: a job whose count under `model` is at most `up_to_input_tokens` goes to it."""

    name: str
    model: str
    up_to_input_tokens: Tokens


class RequestLimits(PolicySection):
    """What one job may weigh and cost. Over either, it is parked for review."""

    max_input_tokens: Tokens = 32_000
    max_cost_usd: Usd = Decimal("0.50")


class BudgetCap(PolicySection):
    """The most that may be held and settled in a window, in USD. None: no cap."""

    budget_usd: Usd | None = None


class RunRules(BudgetCap):
    """What holds for one run: its cap, whether identical requests of it share an answer, and where its calls are made.

    Shared is within one ledger, by the same payload under the same pinned model: in one run the job of highest priority
    is sent, and a later one gets the answer that is kept. Turn it off where the same request is to be sampled often.
    """

    share_answers: bool = True
    #: whose group a shared answer is paid by: that of the job that was sent, or those of all that share it
    pays: Literal["first", "split"] = "first"
    #: jobs share only with jobs of their own group, or, without one, with others without one
    answers_private_to_group: bool = False
    #: where counts and paid calls are made: in the process of the run, in worker processes on its machine, or by the
    #: workers of a Dask cluster
    runner: Runner = Runner.LOCAL
    #: how many worker processes; None: one for each core
    workers: Annotated[int, Field(ge=LEAST_WORKERS, le=MOST_WORKERS)] | None = None
    #: the scheduler of the cluster, such as tcp://10.0.0.5:8786
    dask_address: Annotated[str, Field(pattern=DASK_ADDRESS)] | None = None

    @model_validator(mode="after")
    def _a_cluster_has_an_address(self) -> Self:
        if self.runner is Runner.DASK and self.dask_address is None:
            raise ValueError(
                'runner = "dask" needs a dask_address, such as tcp://10.0.0.5:8786: that of the cluster\'s scheduler'
            )
        return self


class GroupCaps(PolicySection):
    """The most that the jobs of one group may hold and settle; they count under the caps for all jobs too."""

    run: BudgetCap = BudgetCap()
    day: BudgetCap = BudgetCap()
    month: BudgetCap = BudgetCap()


class Output(PolicySection):
    """The side of the answer, which nobody can count beforehand."""

    default_max_tokens: Tokens = 1024
    #: share of max_tokens that an answer is expected to use while too few were observed: an assumption, shown as one
    expected_share: Annotated[Decimal, BeforeValidator(exact_decimal), Field(gt=0, le=1)] = Decimal("0.25")
    #: "review": a job whose answer its max_tokens cut off waits for a person; what came is paid for, and kept
    on_truncated: Literal["keep", "review"] = "keep"
    #: thinking budgets, in tokens, that a quote compares where the model takes budgets
    thinking_budgets: tuple[Annotated[int, Field(ge=1_024)], ...] = (2_000, 8_000, 16_000)


class Margin(PolicySection):
    """How far the billed input may lie above the count: the count is an estimate, with no published bound.

    With `learn`, both figures follow what was observed of the model, the class of payload and its effort; see `rules.lesson`.
    """

    input_percent: Annotated[Decimal, BeforeValidator(exact_decimal), Field(ge=0)] = Decimal(3)
    input_tokens: Annotated[int, Field(ge=0)] = 20
    learn: bool = True
    #: answers that a lesson is made of at most: the last ones
    last_answers: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    #: fewer than this can only raise the margin, and are not enough to expect an output by
    min_samples: Annotated[int, Field(ge=1)] = 50
    #: the largest observed error that is not an outlier is multiplied by this
    cushion: Annotated[Decimal, BeforeValidator(exact_decimal), Field(ge=1)] = Decimal("1.5")
    #: what the two figures may shrink to
    least_percent: Annotated[Decimal, BeforeValidator(exact_decimal), Field(ge=0)] = Decimal("0.5")
    least_tokens: Annotated[int, Field(ge=0)] = 10

    def bound(self, counted: int) -> int:
        """The most input tokens the bill may show for a job counted at `counted` tokens."""
        share = (Decimal(counted) * self.input_percent / 100).to_integral_value(rounding=ROUND_CEILING)
        return counted + max(int(share), self.input_tokens)


class Uncountable(PolicySection):
    """What becomes of a job that the provider does not count in full.

    "review": a person decides, and sees the bound where there is one. "bound": a job with a bound goes on with it as
    its input tokens; one without still waits.
    """

    on: Literal["review", "bound"] = "review"


class Prune(PolicySection):
    """What becomes of a job that is over its input budget, its cost budget or every route it could take.

    "review": a person decides. "prune": the oldest turns of its conversation go until the rest fits. "downgrade": it
    goes to a cheaper route whose model reads it within the job's budgets. What neither brings within them waits for a
    person.
    """

    on_over_budget: Literal["review", "prune", "downgrade"] = "review"
    #: how many of the newest turns are never dropped
    min_turns: Annotated[int, Field(ge=1)] = 2


class Hold(PolicySection):
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


class RateLimits(PolicySection):
    """Requests and tokens per minute per endpoint, those of messages for each model, and how many at once.

    A rate left out follows the account: the Start tier's published figure until the API's own headers
    (anthropic-ratelimit-*) name the account's. A rate given is never exceeded, nor is the account's where that is lower;
    processes over one ledger share both.
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


class BatchLimits(PolicySection):
    """How jobs are packed into Message Batches, and how the batches are watched.

    The API takes at most 100,000 requests and 256 MB a batch, and queues at most 200,000 requests in the Start tier
    (source: Anthropic batch processing and rate limits pages, 2026-10-08).
    """

    max_requests: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    #: two batches are made at a time, each on disk, so less than the API's 256 MB is kinder
    max_bytes: Annotated[int, Field(ge=1_000, le=256_000_000)] = 100_000_000
    #: requests with the provider at once, over all batches of a run
    max_queued_requests: Annotated[int, Field(ge=1)] = 200_000
    #: the longest pause between two looks at a batch, seconds
    poll_seconds: Annotated[Decimal, BeforeValidator(exact_decimal), Field(gt=0)] = Decimal(60)
    #: a batch whose creation brought no answer counts as never made when the provider has listed none for this long
    absent_after_seconds: Annotated[Decimal, BeforeValidator(exact_decimal), Field(gt=0)] = Decimal(300)
    #: when the answers are due, by the clocks of the policy's time zone: the next such moment after a run's start
    deadline: TimeOfDay | None = None
    #: how long before it what has not been answered goes out in Messages mode, minutes
    deadline_lead_minutes: Annotated[int, Field(ge=0, le=1440)] = 30
    #: the most that may be held and settled for that, over all runs that are due at the same moment
    deadline_budget_usd: Usd | None = None

    @model_validator(mode="after")
    def _a_batch_fits_the_queue(self) -> Self:
        if self.max_requests > self.max_queued_requests:
            raise ValueError("max_requests is more than max_queued_requests: a batch could never be queued")
        return self

    @model_validator(mode="after")
    def _a_deadline_has_a_budget(self) -> Self:
        if self.deadline is not None and self.deadline_budget_usd is None:
            raise ValueError(
                "a deadline needs a deadline_budget_usd: the most that may be spent at full price to meet it"
            )
        return self


class Cache(PolicySection):
    """Whether prompts that jobs of a run begin with alike are cached.

    "auto": a cache marker is added where it saves money even at the low end of the share of hits; a job with markers of
    its own is left as it is. "off": none is added.
    """

    mode: Literal["off", "auto"] = "off"


class AlertRules(PolicySection):
    """From when on a run reports what lasts, so that alerts send it on; see `weighbridge alerts`.

    Attributes:
        review_days: a review that waits for longer is old.
        projection_days: the end of the month is projected from at least this many whole days with spending.
    """

    review_days: Annotated[int, Field(ge=1, le=365)] = 3
    projection_days: Annotated[int, Field(ge=1, le=28)] = 5


class Pricing(PolicySection):
    """What the price of a request depends on besides the request."""

    #: the workspace's default_inference_geo: where requests run that do not say so; None: not known, the dearest is held
    workspace_geo: Literal["global", "us"] | None = None


#: the columns of the results, and of the rows without an answer, whose names a kept column cannot have
RESULT_COLUMNS = (
    "job_id",
    "row_number",
    "model",
    "stop_reason",
    "text",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "response",
    "attempt_id",
    "paid_in_run",
    "simulated",
    "outcome",
    "reason",
    "detail",
)


def _json_text(value: object) -> object:
    """A list of TOML tables as JSON text; for a validator of Pydantic."""
    if not isinstance(value, list):
        return value
    return json.dumps(value, default=_json_number, ensure_ascii=False)


def _json_number(value: object) -> int | float:
    number = exact_number(value) if isinstance(value, Decimal) else NO_JSON
    if isinstance(number, Unfit):
        raise ValueError(f"a value {number.reason}")  # noqa: TRY004 - Pydantic wants ValueError
    return number


ColumnName = Annotated[str, Field(min_length=1)]


class JobColumns(PolicySection):
    """Where a job stands in the columns of a file, and what holds for the rows that do not say it themselves.

    Attributes:
        id: the column of the job's id; None: job_id.
        prompt: the column of the prompt, or a template over columns; None: prompt.
        system: the system text of a row without one.
        tools: the tools of a row without any, as JSON text.
        max_tokens: of a row without one; None: `output.default_max_tokens`.
        model: the model that a row without one is pinned to; None: the routes choose.
    """

    id: ColumnName | None = None
    prompt: ColumnName | None = None
    system: Annotated[str, Field(min_length=1)] | None = None
    tools: Annotated[str, BeforeValidator(_json_text)] | None = None
    max_tokens: Tokens | None = None
    model: Annotated[str, Field(pattern=f"^{MODEL_NAME.pattern}$")] | None = None

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        if self.prompt is not None and is_template(self.prompt):
            read_template(self.prompt)
        if self.prompt is not None and self.prompt in (self.id, "messages"):
            raise ValueError(
                f"prompt names the column {self.prompt}, which has another meaning; name the column with the text"
            )
        try:
            Payload.checked({"messages": [{"role": "user", "content": "x"}], "max_tokens": 1, **self.request})
        except InvalidPayload as error:
            raise ValueError(str(error)) from None
        return self

    @cached_property
    def request(self) -> dict[str, Any]:
        """The Messages parameters of a row that has none of its own, less max_tokens.

        Raises:
            InvalidPayload: the tools are not JSON.
        """
        found: dict[str, Any] = {}
        if self.system is not None:
            found["system"] = self.system
        if self.tools is not None:
            found["tools"] = exact_json("tools", self.tools)
        return found

    @cached_property
    def template(self) -> PromptTemplate | None:
        """The template of the prompt; None: the prompt is a column."""
        return read_template(self.prompt) if self.prompt is not None and is_template(self.prompt) else None

    @property
    def id_column(self) -> str:
        """The column that ids are read from."""
        return self.id or "job_id"

    @property
    def prompt_column(self) -> str | None:
        """The column that prompts are read from; None: a template has them."""
        return None if self.template is not None else self.prompt or "prompt"

    def shown(self, column: str) -> str:
        """A column of a job as its author knows it: with the name that it has in the file."""
        own = {"job_id": self.id, "prompt": self.prompt_column}.get(column)
        return column if own in (None, column) else f"{column} (column {own})"


class ResultColumns(PolicySection):
    """What the results have of the input.

    Attributes:
        keep: columns of the input, which are columns of the results and of the rows without an answer too, as text.
    """

    keep: tuple[ColumnName, ...] = ()

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        taken = sorted(set(self.keep) & set(RESULT_COLUMNS))
        if taken:
            raise ValueError(
                f"keep names {taken[0]}, which is a column of the results already; leave it out, or give the column "
                "another name in the input"
            )
        if len(set(self.keep)) < len(self.keep):
            raise ValueError("keep names a column twice; name it once")
        return self
