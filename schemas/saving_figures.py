"""The parts of a report about what a run did to save: pruning, caching, shared answers, samples, deadlines."""

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from schemas.decimal_text import DecimalText, UsdText


class _SavingPart(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FittedFigures(_SavingPart):
    """Jobs of this run that were over a budget and went out within it, by one means.

    Attributes:
        how: pruned (the oldest turns of the conversation were dropped) or downgraded (a cheaper route took it).
        jobs: how many.
        turns: dropped, together.
        input_tokens: by how many they became lighter, together, each as counted before and after.
        usd: by how much they were expected to cost less than as they were, where that has a price.
    """

    how: str
    jobs: int
    turns: int
    input_tokens: int
    usd: UsdText


class PrefixFigures(_SavingPart):
    """What marking one shared prefix came to, in one mode.

    Attributes:
        prefix: the beginning of its key in the ledger.
        ends_at: the block that it ends with.
        input_tokens: its weight.
        jobs: marked jobs that were answered.
        hit_share: of the tokens that jobs after the first could have read, those that they did; None: there was none.
        saved_usd: against sending the same jobs without marks, at the model's rates without surcharges; negative: lost.
    """

    prefix: str
    model: str
    mode: str
    ends_at: str
    input_tokens: int
    jobs: int
    written_tokens: int
    read_tokens: int
    hit_share: DecimalText | None
    saved_usd: UsdText


class CacheFigures(_SavingPart):
    """What the cache markers that the policy adds came to, over all prefixes; `prefixes`: those with most tokens."""

    written_tokens: int = 0
    read_tokens: int = 0
    hit_share: DecimalText | None = None
    saved_usd: UsdText = Decimal(0)
    prefixes: list[PrefixFigures] = []


class SharedFigures(_SavingPart):
    """Jobs of this run that got the answer to another job with the same payload.

    Attributes:
        jobs: how many, be it that the other one was sent in this run or before.
        saved_usd: what those answers cost once, for each job that got one: what sending each would have come to.
    """

    jobs: int = 0
    saved_usd: UsdText = Decimal(0)


class SampleFigures(_SavingPart):
    """What a run over a sample of its file measured. What nothing was observed of is None.

    Attributes:
        rows: that were drawn.
        seed: which ones.
        effort, thinking_budget: that all of them were asked with; with neither, each row's own.
        answers: to them, whichever run paid, whose usage says all that was billed; the figures are about these.
        mean_output, p95_output: tokens, thinking included.
        mean_thinking, p95_thinking: tokens, of the answers whose usage says how many were thinking.
        usd_per_job: the mean of what was billed.
    """

    rows: int
    seed: int
    effort: str | None
    thinking_budget: int | None
    answers: int
    mean_output: int | None = None
    p95_output: int | None = None
    mean_thinking: int | None = None
    p95_thinking: int | None = None
    usd_per_job: UsdText | None = None


class DeadlineFigures(_SavingPart):
    """When the answers of a run were due, and what it paid for at full price for that. USD.

    Attributes:
        due: the moment, in UTC.
        jobs: answered in Messages mode, in place of a batch.
    """

    due: datetime
    jobs: int
    usd: UsdText
    budget_usd: UsdText
