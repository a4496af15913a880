"""The tally of a quote: what a run would make of each row, summed up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from rules.job_quote import JobQuote
from rules.prefix_tree import CacheTerms, PrefixTree
from rules.quote_sum import QuoteSum, QuoteSums
from rules.quoted_caps import MoneyNeed
from rules.run_time import CallLoad
from rules.sample_range import SampleInterval
from rules.thinking_ways import ThinkingWays
from schemas.job import QueuedJob
from schemas.outcome import AttemptState, Outcome, Reason
from schemas.payload.prefix import PromptCut


@dataclass(frozen=True, slots=True)
class QuotedRow:
    """What a run would make of one row.

    Attributes:
        job: None: the row is not a valid job.
        outcome: None: it would be sent.
        quote: of a job that would be sent.
        is_shared: it would get the answer to another row, which would be sent.
    """

    row_number: int
    job_id: str | None
    job: QueuedJob | None
    outcome: Outcome | None
    reason: Reason | None
    detail: str | None
    quote: JobQuote | None = None
    is_shared: bool = False


def ended_row(
    job: QueuedJob, outcome: Outcome, reason: Reason | None, detail: str | None = None
) -> QuotedRow:
    """A row that would not be sent."""
    return QuotedRow(job.row_number, job.job_id, job, outcome, reason, detail)


@dataclass(frozen=True, slots=True)
class EarlierAttempts:
    """How earlier attempts stand at a job that no answer on record serves.

    Attributes:
        states: of the attempts, those that failed left out; an answer among them was cut off.
        in_batch: the one in flight is in a batch, whose answer the run waits for.
    """

    states: frozenset[AttemptState] = frozenset()
    in_batch: bool = False


def ending_by_attempts(
    earlier: EarlierAttempts, weighed: Outcome | None, *, parks_unknown: bool, parks_cut_off: bool
) -> tuple[Outcome, Reason | None] | None:
    """What earlier attempts make of a job; None: it ends as it was weighed.

    Args:
        earlier: the attempts.
        weighed: what the job would end as without them; None: it would be sent.
        parks_unknown: whether a job whose attempt may have been billed waits for a person.
        parks_cut_off: whether one whose answer was cut off does.
    """
    states = earlier.states
    in_doubt = AttemptState.UNKNOWN in states and parks_unknown
    over_limits = weighed is Outcome.REVIEW
    is_cut_off = weighed is None and AttemptState.SUCCEEDED in states and parks_cut_off
    ending: tuple[Outcome, Reason | None] | None = None
    if over_limits or is_cut_off:
        # what may have been billed comes before all else that a person has to decide
        if in_doubt:
            ending = Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME
        elif is_cut_off:
            ending = Outcome.REVIEW, Reason.CUT_OFF
    elif weighed is None:
        if AttemptState.OPEN in states and earlier.in_batch:
            ending = Outcome.SUCCEEDED, Reason.IN_FLIGHT_ELSEWHERE
        elif AttemptState.SUCCEEDED in states:
            ending = Outcome.SUCCEEDED, None
        elif AttemptState.OPEN in states:
            ending = Outcome.DEFERRED, Reason.IN_FLIGHT_ELSEWHERE
        elif in_doubt:
            ending = Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME
    return ending


@dataclass(frozen=True, slots=True)
class CachedSum:
    """What caching would save under one policy, in nano-USD, at the low and the high end of the share of hits.

    Attributes:
        primes: by how much the first jobs of the prefixes are dearer together; the savings have it in them.
    """

    low: int
    high: int
    prefixes: int
    primes: int


@dataclass(slots=True)
class _OfPolicy:
    """The jobs under one policy."""

    sums: QuoteSum = field(default_factory=QuoteSum)
    review: int = 0
    tree: PrefixTree = field(default_factory=PrefixTree)
    caching: CachedSum | None = None


class QuoteTally:
    """Sums over the rows of a file.

    Args:
        names: of the policies, the run's own first.
        ways: that sums the ways to think.

    Attributes:
        again: why jobs that were answered before would be paid for again.
        reasons: rows that would not be sent, by outcome and reason.
        needs: the money that each job would take.
        shared: rows that would get the answer to another one.
    """

    def __init__(self, names: Sequence[str], ways: ThinkingWays) -> None:
        self.policies = {name: _OfPolicy() for name in names}
        self._own = names[0]
        self.ways = ways
        self.rows: Counter[Outcome | None] = Counter()
        self.again: Counter[str] = Counter()
        self.reasons: Counter[tuple[Outcome, str]] = Counter()
        self.models = QuoteSums()
        self.groups = QuoteSums()
        self.loads: dict[str, CallLoad] = {}
        self.needs: list[MoneyNeed] = []
        self.shared = 0

    def add(self, row: QuotedRow, priority: int = 0, weight: int = 1) -> None:
        """Add one row under the run's own policy.

        Args:
            row: what a run would make of it.
            priority: the money goes to higher ones first.
            weight: for how many rows of the file it stands.
        """
        if row.is_shared:
            self.shared += weight
            return
        self.rows[row.outcome] += weight
        if row.outcome is not None:
            if row.outcome in (Outcome.REVIEW, Outcome.UNKNOWN):
                self.policies[self._own].review += weight
            self.reasons[row.outcome, str(row.reason or "answered")] += weight
        elif row.quote is not None and row.job is not None:
            self._add_priced(row.job, row.quote, priority, weight)

    def _add_priced(self, job: QueuedJob, quote: JobQuote, priority: int, weight: int) -> None:
        estimate = quote.estimate
        self.policies[self._own].sums.add(quote, weight)
        self.models.add(estimate.model, quote, weight)
        self.groups.add(job.group or "", quote, weight)
        load = self.loads.get(estimate.model, CallLoad())
        self.loads[estimate.model] = CallLoad(
            requests=load.requests + weight,
            input_tokens=load.input_tokens + weight * estimate.input_tokens,
            output_tokens=load.output_tokens + weight * quote.output_tokens,
        )
        self.needs.append(
            MoneyNeed(
                row_number=job.row_number,
                priority=priority,
                group=job.group,
                hold=estimate.hold + (weight - 1) * estimate.expected,
                expected=weight * estimate.expected,
                jobs=weight,
            )
        )

    def begins(self, name: str, model: str, cuts: Sequence[PromptCut], tokens_a_byte: float) -> None:
        """Take in what a job of one policy begins with; the arguments are those of `PrefixTree.add`."""
        self.policies[name].tree.add(model, cuts, tokens_a_byte)

    def cache(self, name: str, terms: CacheTerms) -> None:
        """Sum up what caching would save under one policy, once all jobs are in; what they begin with is forgotten."""
        of_policy = self.policies[name]
        plans = of_policy.tree.plans(terms)
        of_policy.caching = CachedSum(
            low=sum(one.low_nano_usd for one in plans),
            high=sum(one.high_nano_usd for one in plans),
            prefixes=len(plans),
            primes=sum(one.prime_nano_usd for one in plans),
        )
        of_policy.tree = PrefixTree()

    def outranks(self, place: int, priority: int) -> bool:
        """Whether a job that shares the answer to another one would be sent in its place."""
        return priority > self.needs[place].priority

    def hand_over(self, place: int, row: QuotedRow, priority: int) -> None:
        """Book what one job takes to another one with the same payload, which would be sent in its place.

        Args:
            place: of the first one among the needs.
            row: the other one.
            priority: of the other one.
        """
        need = self.needs[place]
        if row.job is None or row.quote is None:
            return
        self.groups.add(need.group or "", row.quote, -need.jobs)
        self.groups.add(row.job.group or "", row.quote, need.jobs)
        self.needs[place] = replace(need, row_number=row.row_number, priority=priority, group=row.job.group)

    def widen(self, interval: SampleInterval) -> None:
        """Take in how far the sums of a sample may lie from those of the file, each in proportion."""
        expected = self.policies[self._own].sums.expected
        if not expected:
            return
        share = Fraction(interval.deviation, expected)
        of_policies = [one.sums for one in self.policies.values()]
        for sums in (*of_policies, *self.models.by_name.values(), *self.groups.by_name.values()):
            sums.widen(share)

    def compare(self, name: str, quote: JobQuote | None, weight: int = 1) -> None:
        """Add one job of another policy; None: that policy would not send it."""
        of_policy = self.policies[name]
        if quote is None:
            of_policy.review += weight
        else:
            of_policy.sums.add(quote, weight)
