"""The quote of many jobs: what they are expected to cost together, and the range that their bill should lie in.

The cost of a job with a lesson behind it is taken as a draw from what was observed of its class, independent of the
others'; what is not known of the class itself (its mean, from n answers) is common to all of its jobs, and added in
full. The sum of many is near a normal distribution, so its 10th and 90th percentiles lie 1.2816 standard deviations
around the mean. Of a job without enough answers nothing is known: from one token of output to all of `max_tokens`.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from math import isqrt

from rules.job_quote import JobQuote
from rules.lesson import LessonKey
from schemas.money import NanoUsd

#: ten-thousandths of a standard deviation from the mean to the 90th percentile of a normal distribution
P90_DEVIATIONS = 12_816


@dataclass(slots=True)
class _OfLesson:
    """Jobs that rest on one lesson: the answers in it, and the sum of their spreads in nano-USD."""

    observed: int
    spread: int = 0


@dataclass(slots=True)
class QuoteSum:
    """The sums of job quotes. All amounts are nano-USD.

    Attributes:
        assumed: jobs whose output is assumed.
    """

    jobs: int = 0
    assumed: int = 0
    input_tokens: int = 0
    expected: int = 0
    worst_case: int = 0
    _shift: int = 0
    _variance: int = 0
    _assumed_least: int = 0
    _assumed_most: int = 0
    _assumed_expected: int = 0
    _lessons: dict[LessonKey, _OfLesson] = field(default_factory=dict)

    def add(self, quote: JobQuote, weight: int = 1) -> None:
        """Add one job, which stands for this many of the file."""
        self.jobs += weight
        self.input_tokens += weight * quote.estimate.input_tokens
        self.expected += weight * quote.estimate.expected
        self.worst_case += weight * quote.estimate.worst_case
        if not quote.observed:
            self.assumed += weight
            self._assumed_least += weight * quote.least
            self._assumed_most += weight * quote.most
            self._assumed_expected += weight * quote.estimate.expected
            return
        self._shift += weight * quote.shift
        self._variance += weight * quote.spread**2
        self._lessons.setdefault(quote.key, _OfLesson(quote.observed)).spread += weight * quote.spread

    def widen(self, share: Fraction) -> None:
        """Take in that only a sample was looked at: one standard deviation of the sum, as a share of what is expected."""
        self._variance += int((share * self.expected) ** 2)

    @property
    def observed(self) -> int:
        """The answers that the quote rests on, over all lessons; 0: it is all assumed."""
        return sum(one.observed for one in self._lessons.values())

    @property
    def p10(self) -> NanoUsd:
        """What the jobs cost at least, in nine runs of ten."""
        low = self._center - self._reach + self._assumed_least
        return NanoUsd(max(0, low))

    @property
    def p90(self) -> NanoUsd:
        """What the jobs cost at most, in nine runs of ten."""
        return NanoUsd(self._center + self._reach + self._assumed_most)

    @property
    def _center(self) -> int:
        return self.expected - self._assumed_expected + self._shift

    @property
    def _reach(self) -> int:
        common = sum(one.spread**2 // one.observed for one in self._lessons.values())
        return -(-isqrt(self._variance + common) * P90_DEVIATIONS // 10_000)


class QuoteSums:
    """Sums of job quotes by a name: a model, or a group."""

    def __init__(self) -> None:
        self.by_name: defaultdict[str, QuoteSum] = defaultdict(QuoteSum)

    def add(self, name: str, quote: JobQuote, weight: int = 1) -> None:
        """Add one job under a name, which stands for this many of the file."""
        self.by_name[name].add(quote, weight)
