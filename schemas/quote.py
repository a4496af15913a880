"""A quote: what a job file would cost, before anything is spent. `quote --json` prints exactly this."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from schemas.outcome import RunOutcome
from schemas.report import UsdText


class _QuotePart(BaseModel):
    model_config = ConfigDict(extra="forbid")


class QuotedJobs(_QuotePart):
    """Rows by what a run would make of them; all but `again` sum to `read`.

    Attributes:
        priced: would be sent.
        answered: were answered by an earlier run, and cost nothing.
        again: of the priced ones, those that were answered before and would be paid for again.
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
    """The jobs under one policy; `review`: those that would wait for a person or find no route under it."""

    name: str
    review: int


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


class QuotedSample(_QuotePart):
    """That only some rows were looked at, and how far the expected cost of the whole file may lie. USD.

    Attributes:
        rows: that were drawn, of so many.
        seed: which ones.
        low_usd, high_usd: the ends of the 95 % confidence interval of the expected cost.
    """

    rows: int
    of: int
    seed: int
    low_usd: UsdText
    high_usd: UsdText


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
    seconds: QuotedSeconds = QuotedSeconds()
    calls: QuotedCalls = QuotedCalls()
    #: None: every row was looked at
    sample: QuotedSample | None = None
    job_quotes: str | None = None
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
