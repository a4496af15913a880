"""A quote: what a job file would cost, before anything is spent. `quote --json` prints exactly this."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from schemas.decimal_text import DecimalText, UsdText
from schemas.outcome import RunOutcome


class _QuotePart(BaseModel):
    model_config = ConfigDict(extra="forbid")


class QuotedJobs(_QuotePart):
    """Rows by what a run would make of them; all but `again` sum to `read`.

    Attributes:
        priced: would be sent.
        answered: were answered by an earlier run, or are in one of its batches that the run waits for; they cost nothing.
        again: of the priced ones, those that were answered before and would be paid for again.
        review: would wait for a person, those of unknown outcome included.
        uncounted: could not be counted.
        shared: would get the answer to another row with the same payload, and cost nothing.
    """

    read: int = 0
    priced: int = 0
    answered: int = 0
    again: int = 0
    review: int = 0
    deferred: int = 0
    rejected: int = 0
    uncounted: int = 0
    shared: int = 0


class QuotedUsd(_QuotePart):
    """What some jobs would cost, in USD.

    Attributes:
        jobs: how many.
        input_tokens: as counted under the models that they would go to.
        expected_usd: at the mean output observed of such jobs, or at the policy's share of max_tokens.
        p10_usd, p90_usd: the range that the bill lies in, in eight runs of ten; see `rules.quote_sum`.
        worst_usd: the most that they can cost, which is what is held for them.
        observed_answers: the answers that the figures rest on.
        assumed_jobs: jobs whose output is assumed, because too few such answers were observed.
    """

    jobs: int
    input_tokens: int
    expected_usd: UsdText
    p10_usd: UsdText
    p90_usd: UsdText
    worst_usd: UsdText
    observed_answers: int
    assumed_jobs: int


class QuotedPolicy(QuotedUsd):
    """The jobs under one policy; `review`: those that would wait for a person or find no route under it.

    Attributes:
        cached_low_usd, cached_high_usd: `expected_usd` with `[cache] mode = "auto"`, at the low and at the high end of
            the share of hits: the first is the dearer. None: of a sample, where shared beginnings cannot be seen.
        primes_usd: by how much the first jobs of shared beginnings are dearer together because they write, once each: the
            most that caching adds where hits pay. It is in both figures above.
        cached_prefixes: the beginnings that would be marked; a run counts them, here they are weighed by their bytes.
    """

    name: str
    review: int
    cached_low_usd: UsdText | None = None
    cached_high_usd: UsdText | None = None
    primes_usd: UsdText | None = None
    cached_prefixes: int = 0


class QuotedModel(QuotedUsd):
    """The jobs that would go to one model."""

    model: str


class QuotedGroup(QuotedUsd):
    """The jobs of one group; "": those without one."""

    group: str


class QuotedReason(_QuotePart):
    """Why rows would not be sent, or would be paid for again, and how many."""

    what: str
    reason: str
    jobs: int


class CapInTheWay(_QuotePart):
    """A cap that would defer jobs, and the one that would let all of them through. USD.

    Attributes:
        scope: run, day or month.
        group: whose cap it is; "": that of all jobs.
        used_usd: settled and held in it already, and the policy's reserve.
    """

    scope: str
    group: str
    cap_usd: UsdText
    used_usd: UsdText
    needed_usd: UsdText
    jobs: int


class QuotedSeconds(_QuotePart):
    """How long the run takes: in Messages mode at least, by the account's limits; in batches mode at most."""

    messages: int = 0
    batches: int = 0


class QuotedDeadline(_QuotePart):
    """What the same jobs cost by when they are answered, where the answers are due at a moment.

    Attributes:
        due: the moment, in UTC.
        at_risk_from: from this moment on, what batches have not answered goes out at full price.
        in_time: every batch ends before that.
        all_at_deadline: none does, and every job goes out at full price.
        budget_usd: the most that may be spent at full price.
        covered: the 90th percentile of `all_at_deadline` fits under it, as it stands now.
    """

    due: datetime
    at_risk_from: datetime
    in_time: QuotedUsd
    all_at_deadline: QuotedUsd
    budget_usd: UsdText
    covered: bool


class QuotedSample(_QuotePart):
    """That only some rows were looked at, and how far the expected cost of the whole file may lie. USD.

    Attributes:
        rows: that were drawn.
        of: the rows of the file.
        seed: which ones.
        low_usd, high_usd: the ends of the 95 % confidence interval of the expected cost.
    """

    rows: int
    of: int
    seed: int
    low_usd: UsdText
    high_usd: UsdText


class QuotedWay(_QuotePart):
    """One way in which the jobs that think could do so, all jobs of one model and class of payload at it. USD.

    Attributes:
        effort: of `output_config`; None: not named.
        budget_tokens: of `thinking`; None: not named. With neither, the model decides.
        jobs: that could take it, whatever they ask for now.
        as_asked: those of them that ask for it now.
        answers: that were observed at it; 0: none, and the figures below are None, for no other way tells.
        cut_off: those of them that their own max_tokens cut off, so that the figures are too low.
        mean_output, p95_output: tokens of them, thinking included.
        thinking_share: the part of that which was thinking, where the usage says so.
        expected_usd: of the jobs, at the mean output.
        worst_usd: of the jobs: their max_tokens bounds it whichever way they take.
        measure: the command that measures it; None: it was observed.
    """

    model: str
    payload_class: str
    effort: str | None
    budget_tokens: int | None
    jobs: int
    as_asked: int
    answers: int
    worst_usd: UsdText
    cut_off: int = 0
    mean_output: int | None = None
    p95_output: int | None = None
    thinking_share: DecimalText | None = None
    expected_usd: UsdText | None = None
    measure: str | None = None


class QuotedCalls(_QuotePart):
    """Free counts that the quote made, and paid calls that the run would make."""

    count: int = 0
    message: int = 0


class QuoteReport(_QuotePart):
    """A quote, as it is printed and kept.

    Attributes:
        outcome: what the run would end as, by what is known now.
        policies: the run's own first.
        job_quotes: the Parquet file with a quote for each job.
        run_command: holds the run to the quote.
    """

    quote_id: str
    outcome: RunOutcome = RunOutcome.COMPLETE
    simulated: bool = False
    jobs_path: str = ""
    mode: str = "messages"
    jobs: QuotedJobs = QuotedJobs()
    policies: list[QuotedPolicy] = []
    models: list[QuotedModel] = []
    groups: list[QuotedGroup] = []
    reasons: list[QuotedReason] = []
    caps: list[CapInTheWay] = []
    #: the ways to think that the models of such jobs take
    thinking: list[QuotedWay] = []
    seconds: QuotedSeconds = QuotedSeconds()
    calls: QuotedCalls = QuotedCalls()
    #: None: the run would have no deadline
    deadline: QuotedDeadline | None = None
    #: None: every row was looked at
    sample: QuotedSample | None = None
    job_quotes: str | None = None
    run_command: str | None = None
    prefect_flow_run_id: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class QuoteTerms:
    """What a quote holds for: the same rows, under the same policy, at the same prices. Digests."""

    jobs: str
    policy: str
    prices: str


@dataclass(frozen=True, slots=True)
class QuoteOnRecord:
    """A quote as the ledger keeps it. Amounts are nano-USD.

    Attributes:
        report: as JSON.
    """

    quote_id: str
    created_at: datetime
    jobs_path: str
    terms: QuoteTerms
    mode: str
    simulated: bool
    jobs: int
    expected: int
    p10: int
    p90: int
    worst_case: int
    report: dict[str, Any]
