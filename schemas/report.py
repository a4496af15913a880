"""What a run reports at its end. `run --json` prints exactly this."""

from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.budget import CapSource
from schemas.decimal_text import DecimalText, UsdText
from schemas.month_projection import MonthProjection
from schemas.outcome import RunOutcome
from schemas.saving_figures import (
    CacheFigures,
    DeadlineFigures,
    FittedFigures,
    SampleFigures,
    SharedFigures,
)


class _ReportPart(BaseModel):
    model_config = ConfigDict(extra="forbid")


class JobFigures(_ReportPart):
    """Rows by outcome; the outcomes sum to `read`."""

    read: int = 0
    succeeded: int = 0
    review: int = 0
    deferred: int = 0
    rejected: int = 0
    failed: int = 0
    unknown: int = 0


class TokenFigures(_ReportPart):
    """Tokens of the jobs this run paid for: counted before, billed after."""

    estimated_input: int = 0
    actual_input: int = 0
    actual_output: int = 0


class UsdFigures(_ReportPart):
    """Decimal USD of the jobs this run paid for.

    Attributes:
        worst_case: the most that they could cost, which was held before they were sent (see `hold_percentile`).
        estimated: counted input, and the output by what was observed of such jobs, or assumed while too little was.
        estimated_low, estimated_high: the same with every answer at the 5th and at the 95th percentile of what was
            observed; None when the output of any of them was assumed.
        actual: what the provider's usage comes to.
        all_on_largest: what the same tokens would have cost on the policy's largest model.
        held: what this run still holds, for attempts of unknown outcome.
        over_hold: by how much bills were above the worst case that was held for them, together.
    """

    worst_case: UsdText = Decimal(0)
    estimated: UsdText = Decimal(0)
    estimated_low: UsdText | None = None
    estimated_high: UsdText | None = None
    actual: UsdText = Decimal(0)
    all_on_largest: UsdText = Decimal(0)
    held: UsdText = Decimal(0)
    over_hold: UsdText = Decimal(0)


class PassedCap(_ReportPart):
    """A cap that what is settled in its window passed, because bills were above their holds. USD.

    Attributes:
        scope: run, day, month or deadline.
        period: the run's id, the day, the month, or the moment in UTC.
        group: whose cap it is; None: that of all jobs.
    """

    scope: str
    period: str
    group: str | None
    cap_usd: UsdText
    settled_usd: UsdText
    over_usd: UsdText


class CapToRaise(_ReportPart):
    """A cap under which the next run would defer jobs again. USD.

    Attributes:
        setting: the field of the policy, such as day.budget_usd.
        set_by: where the cap came from: the policy, an option of the command, or a parameter of the deployment.
        used_usd: settled and held in its window already.
        needed_usd: what it would have to be if the answers cost what is expected.
        enough_usd: what it would have to be whatever they cost.
    """

    setting: str
    set_by: CapSource = CapSource.POLICY
    cap_usd: UsdText
    used_usd: UsdText
    needed_usd: UsdText
    enough_usd: UsdText


class DeferredFigures(_ReportPart):
    """What the jobs need that were deferred for want of money. USD.

    Attributes:
        unpriced: how many of the jobs were deferred before they had a price; they are in no amount.
        expected_usd, worst_usd: of the others together.
        caps: those that are too low for them.
    """

    jobs: int
    unpriced: int = 0
    expected_usd: UsdText
    worst_usd: UsdText
    caps: list[CapToRaise] = []


class CallFigures(_ReportPart):
    """Calls to the API: free counts, paid messages and creations of batches, answered or not.

    Attributes:
        retried: tries beyond the first, of calls of any kind.
        failed: those of the three kinds that brought no answer in all their tries.
    """

    count: int = 0
    message: int = 0
    batch_create: int = 0
    retried: int = 0
    failed: int = 0


class ModelFigures(_ReportPart):
    """One model's share of the run: estimate and actual; `partial` jobs have a bill that their usage does not show."""

    model: str
    jobs: int
    estimated_input: int
    actual_input: int
    actual_output: int
    estimated_usd: UsdText
    actual_usd: UsdText
    partial: int = 0


class PercentileFigures(_ReportPart):
    """Percentiles of observed values: percent where they are errors, else tokens."""

    p5: DecimalText
    p50: DecimalText
    p95: DecimalText
    p99: DecimalText
    max: DecimalText


class OutputFigures(_ReportPart):
    """Output tokens of observed answers, and the part of them that was thinking, where it is known."""

    p5: int
    p50: int
    p95: int
    mean: int
    thinking_share: DecimalText | None = None


class MarginFigures(_ReportPart):
    """The margin that input bounds were made with, and whether the policy says it or what was observed."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, serialize_by_alias=True)

    percent: DecimalText
    tokens: int
    source: Literal["observed", "policy"] = Field(alias="from")


class LessonFigures(_ReportPart):
    """What the estimates of one model, class of payloads and effort went by: the last `n` answers before this run.

    The error is in percent of the count, signed: above 0 the bill was above the count. `enough` were observed to
    expect the output by them.
    """

    model: str
    payload_class: str
    n: int
    enough: bool
    input_error: PercentileFigures | None
    output_tokens: OutputFigures | None
    margin: MarginFigures
    #: of the payloads' output_config.effort; None: they name none
    effort: str | None = None


class TaughtFigures(_ReportPart):
    """What this run saw of one model, class of payloads and effort.

    Attributes:
        jobs: paid for.
        n: those whose usage says all that was billed, and whose input the provider had counted: of them the errors are.
        over_bound: jobs billed above the bound of their hold.
        far_off: jobs whose count was billed more than twice, or less than half.
        without_input: jobs whose usage had no input at all; they are settled at their worst case.
        over_output: jobs billed for more output than their max_tokens.
        input_error: percent of the count, signed.
        input_error_tokens: tokens, signed.
    """

    model: str
    payload_class: str
    jobs: int
    n: int
    over_bound: int
    input_error: PercentileFigures | None
    input_error_tokens: PercentileFigures | None
    far_off: int = 0
    without_input: int = 0
    over_output: int = 0
    effort: str | None = None


class Drift(_ReportPart):
    """A model, class of payloads and effort whose bills left the lines of the earlier ones, and what to do about it."""

    model: str
    payload_class: str
    detail: str
    effort: str | None = None


class NothingBought(_ReportPart):
    """Money of this run that bought no whole answer: how many jobs, and USD.

    Attributes:
        kind: `cut_off` at max_tokens; `refused` by the model, and billed; `unknown` outcome, of which the USD are held;
            `errored`: answered with an error, which is billed only where that was booked.
    """

    kind: Literal["cut_off", "refused", "unknown", "errored"]
    jobs: int
    usd: UsdText


class CutOffFigures(_ReportPart):
    """Answers of one model, class of payloads and effort that their max_tokens cut off, and what would have sufficed.

    Attributes:
        observed: answers that this rests on, of before this run.
        max_tokens_95, max_tokens_99: output tokens that 95 and 99 % of them would have fitted into; None: not known, for
            too few were observed, or too many of them were cut off too.
    """

    model: str
    payload_class: str
    jobs: int
    usd: UsdText
    observed: int
    max_tokens_95: int | None = None
    max_tokens_99: int | None = None
    effort: str | None = None


class ReasonFigures(_ReportPart):
    """How many rows ended so for this reason, with one row as an example."""

    outcome: str
    reason: str
    jobs: int
    example_job_id: str | None
    example_detail: str | None


class RowToFix(_ReportPart):
    """One row that somebody should look at, and why."""

    row_number: int
    job_id: str | None
    outcome: str
    detail: str | None
    #: the day since which the same row is known to be rejected; None: since this run
    known_since: date | None = None


class HoldToBook(_ReportPart):
    """An attempt of unknown outcome, which holds money until a person books what it cost.

    Attributes:
        held_usd: what it holds.
        command: books it, once the amount is filled in.
    """

    attempt_id: str
    job_id: str
    held_usd: UsdText
    command: str


class Places(_ReportPart):
    """Where the run's things are.

    Attributes:
        flow_run: the address of the flow run in Prefect's UI; None: no server that stays is known.
        review_page: the address of the review page; None: none is known.
    """

    ledger: str
    results: str
    report: str
    flow_run: str | None = None
    review_page: str | None = None


class QuoteFigures(_ReportPart):
    """The quote that a run was held to. USD.

    Attributes:
        inside: what the run paid for lies from `p10_usd` to `p90_usd`.
    """

    quote_id: str
    expected_usd: UsdText
    p10_usd: UsdText
    p90_usd: UsdText
    worst_usd: UsdText
    inside: bool


class RunReport(_ReportPart):
    """Everything a run says about itself."""

    run_id: str
    outcome: RunOutcome
    jobs: JobFigures = JobFigures()
    tokens: TokenFigures = TokenFigures()
    usd: UsdFigures = UsdFigures()
    calls: CallFigures = CallFigures()
    #: provider batches this run made
    batches: int = 0
    mode: str = "messages"
    seconds: float = 0.0
    simulated: bool = False
    #: succeeded rows that an earlier run had already paid for; they cost nothing here
    from_earlier_runs: int = 0
    #: jobs whose billed input lay above the bound their hold was priced at
    over_bound: int = 0
    #: jobs billed above the worst case that was held for them; by how much: usd.over_hold
    over_hold: int = 0
    #: the caps that were passed by it
    caps_passed: list[PassedCap] = []
    largest_model: str = ""
    models: list[ModelFigures] = []
    #: paid jobs whose expected output was assumed to be this share of their max_tokens
    assumed_jobs: int = 0
    assumed_share: DecimalText = Decimal(0)
    #: holds were priced at this percentile of the observed output where enough was; None: at the worst case
    hold_percentile: int | None = None
    #: what was learned before this run, what this run teaches the next one, and where the two disagree
    lessons: list[LessonFigures] = []
    taught: list[TaughtFigures] = []
    drift: list[Drift] = []
    #: money that bought no whole answer, by kind; and of the answers that were cut off, what would have sufficed
    bought_nothing: list[NothingBought] = []
    cut_off: list[CutOffFigures] = []
    reasons: list[ReasonFigures] = []
    #: rejected rows that an earlier run rejected and reported just as they are now, and since when the oldest is known
    rejected_before: int = 0
    rejected_since: date | None = None
    #: jobs that were brought within their budgets, as [prune] of the policy says
    fitted: list[FittedFigures] = []
    #: what the month comes to under each of its caps
    month_projections: list[MonthProjection] = []
    #: what the markers of [cache] came to
    cache: CacheFigures = CacheFigures()
    #: jobs that were not sent, because another one has the same payload
    shared: SharedFigures = SharedFigures()
    #: the first rejected, failed and unknown rows; all of them are in the file unanswered-*.parquet
    rows_to_mend: list[RowToFix] = []
    #: the first attempts of the run whose holds stay until a person books what they cost; and how many more there are
    holds_to_book: list[HoldToBook] = []
    more_holds_to_book: int = 0
    #: what the jobs need that were deferred for want of money; None: there are none
    deferred_for_money: DeferredFigures | None = None
    #: when its answers were due; None: it had no deadline
    deadline: DeadlineFigures | None = None
    #: the quote that the run was held to
    quote: QuoteFigures | None = None
    #: what a sample measured; None: all rows were read
    sample: SampleFigures | None = None
    places: Places | None = None
    prefect_flow_run_id: str | None = None
    error: str | None = None
