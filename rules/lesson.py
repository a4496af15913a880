"""A lesson: what was observed of one model and one class of payloads, and what the next estimate makes of it.

Observed are answers whose input the provider had counted and whose usage says all that was billed. Errors are signed:
billed less counted, so that more than zero is a bill above the count.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from math import ceil, isqrt
from typing import NamedTuple

from schemas.payload.traits import PayloadClass, Traits
from schemas.policy_sections import Margin

#: below this many counted tokens an error is taken for a fixed overhead, from there on for a rate
SMALL_TOKENS = 1_000
#: a run must have seen at least this many of a class before their middle can be out of line
DRIFT_SAMPLES = 20
#: an answer that its own max_tokens cut off: how long it would have been is not known
_ENDLESS = 2**62
#: a rate is kept in billionths
_RATE = 10**9
#: one observed error in this many, and always one, is an outlier: it is an alarm, and no lesson
OUTLIER_IN = 100


class LessonKey(NamedTuple):
    """What a lesson is about: answers at another effort are other answers, and teach nothing about these.

    Attributes:
        effort: `output_config.effort`; None: the payload names none.
    """

    model: str
    payload_class: PayloadClass
    effort: str | None = None

    @classmethod
    def of(cls, model: str, traits: Traits) -> "LessonKey":
        """The lesson that the estimate of such a payload rests on under a model."""
        return cls(model, traits.payload_class, traits.effort)


class Observation(NamedTuple):
    """One answer and its estimate, in tokens. `thinking` is the part of the output that was, if it is known."""

    counted: int
    billed: int
    output: int
    max_tokens: int
    thinking: int | None = None


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Five of the observed values, none of them made up in between (nearest rank)."""

    p5: int
    p50: int
    p95: int
    p99: int
    most: int


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """The smallest value that `percent` of the values, which are in order, do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def percentiles(values: Iterable[int]) -> Percentiles | None:
    """The percentiles of any values; None of none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Percentiles(*(nearest_rank(ordered, percent) for percent in (5, 50, 95, 99, 100)))


class Tally:
    """Observations, gathered at a few bytes each.

    Attributes:
        error_tokens: billed less counted.
        error_share: the same in thousandths of a percent of the count.
        overheads: of those counted below SMALL_TOKENS, the tokens billed above the count.
        rates: of the others, the same in billionths of the count, rounded up.
    """

    def __init__(self, seen: Iterable[Observation] = ()) -> None:
        self.error_tokens = array("q")
        self.error_share = array("q")
        self.outputs = array("q")
        self.uncut = array("q")
        self.overheads = array("q")
        self.rates = array("q")
        self.thinking = self.output_beside_thinking = 0
        for one in seen:
            self.add(one)

    def add(self, seen: Observation) -> None:
        """Add one; its count is more than zero."""
        excess = seen.billed - seen.counted
        self.error_tokens.append(excess)
        self.error_share.append((200_000 * excess + seen.counted) // (2 * seen.counted))  # rounded
        self.outputs.append(seen.output)
        self.uncut.append(_ENDLESS if seen.output >= seen.max_tokens else seen.output)
        if seen.thinking is not None:
            self.thinking += seen.thinking
            self.output_beside_thinking += seen.output
        if seen.counted < SMALL_TOKENS:
            self.overheads.append(excess)
        else:
            self.rates.append(min(_ENDLESS, -(-excess * _RATE // seen.counted)))

    @property
    def n(self) -> int:
        return len(self.outputs)

    @property
    def cut_off(self) -> int:
        """Those that their own max_tokens cut off."""
        return self.uncut.count(_ENDLESS)

    @property
    def thinking_share(self) -> Decimal | None:
        """The part of the output that was thinking, where the usage stated it."""
        if not self.output_beside_thinking:
            return None
        return (Decimal(self.thinking) / self.output_beside_thinking).quantize(Decimal("0.001"))


@dataclass(frozen=True, slots=True)
class Outputs:
    """Output tokens of observed answers, from the shortest to the longest.

    Attributes:
        tokens: as billed.
        sums: of the first n of them, from n = 0 on.
        squares: the same of their squares.
        uncut: the same, with those that their own max_tokens cut off taken as endless.
    """

    tokens: tuple[int, ...]
    sums: tuple[int, ...]
    squares: tuple[int, ...]
    uncut: tuple[int, ...]

    @classmethod
    def of(cls, tally: Tally) -> "Outputs":
        ordered = tuple(sorted(tally.outputs))
        return cls(
            tokens=ordered,
            sums=tuple(accumulate(ordered, initial=0)),
            squares=tuple(accumulate((tokens**2 for tokens in ordered), initial=0)),
            uncut=tuple(sorted(tally.uncut)),
        )

    def mean(self, cap: int) -> int:
        """Their mean under this max_tokens, rounded up."""
        within = bisect_right(self.tokens, cap)
        return -(-(self.sums[within] + (len(self.tokens) - within) * cap) // len(self.tokens))

    def deviation(self, cap: int) -> int:
        """Their standard deviation under this max_tokens, in tokens, rounded down."""
        number, within = len(self.tokens), bisect_right(self.tokens, cap)
        total = self.sums[within] + (number - within) * cap
        squares = self.squares[within] + (number - within) * cap**2
        return isqrt(number * squares - total**2) // number

    def usual(self, percent: int, cap: int) -> int:
        """Their percentile under this max_tokens."""
        return min(cap, nearest_rank(self.tokens, percent))

    def enough_for(self, percent: int, cap: int) -> int:
        """Output tokens that this percentage of them would not have exceeded, whatever had cut them off."""
        return min(cap, nearest_rank(self.uncut, percent))

    def suffices(self, percent: int) -> int | None:
        """The max_tokens that would not have cut off this percentage of them; None when too many were cut off for it to be known."""
        found = self.enough_for(percent, _ENDLESS)
        return None if found == _ENDLESS else found


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the estimates of one model, one class of payloads and one effort go by.

    Attributes:
        key: what it is about.
        n: answers observed.
        error_tokens: their errors, in tokens; None when none was observed.
        error_share: the same in thousandths of a percent of the count.
        outputs: the length of the answers.
        thinking_share: the part of the output that was thinking, if known.
        margin: what the input bound is made with.
        margin_is_observed: it differs from the policy's by what was observed.
        enough: enough were observed that the output is expected, and may be held, by them.
    """

    key: LessonKey
    n: int
    error_tokens: Percentiles | None
    error_share: Percentiles | None
    outputs: Outputs
    thinking_share: Decimal | None
    margin: Margin
    margin_is_observed: bool
    enough: bool

    def suffices(self, percent: int) -> int | None:
        """The max_tokens that this percentage of the answers would have fitted into; None while it is not known."""
        return self.outputs.suffices(percent) if self.enough else None


def lesson(key: LessonKey, tally: Tally, given: Margin) -> Lesson:
    """The lesson in a tally of one kind, with the policy's margin."""
    margin = learned_margin(tally, given)
    return Lesson(
        key=key,
        n=tally.n,
        error_tokens=percentiles(tally.error_tokens),
        error_share=percentiles(tally.error_share),
        outputs=Outputs.of(tally),
        thinking_share=tally.thinking_share,
        margin=margin,
        margin_is_observed=margin != given,
        enough=tally.n >= given.min_samples,
    )


def learned_margin(tally: Tally, given: Margin) -> Margin:
    """The policy's margin, moved by what was observed.

    The largest error that is not an outlier counts, times the cushion: small payloads teach the tokens, large ones the
    percent, so that the relative error of a tiny payload does not widen the margin of a large one. A part of which too
    few were observed stays as the policy says, unless an observed error is above that: then it grows. Nothing bounds
    its growth, for a bound would hide an estimator that is broken.
    """
    if not given.learn or not tally.n:
        return given
    enough_small = len(tally.overheads) >= given.min_samples
    enough_large = len(tally.rates) >= given.min_samples
    overhead, rate = Fraction(largest_usual(tally.overheads)), Fraction(largest_usual(tally.rates), _RATE)
    tokens = _figure(overhead, given.input_tokens, given.least_tokens, given, enough_small)
    percent = _figure(rate * 100, given.input_percent, given.least_percent, given, enough_large)
    # a lesson about the ones is none about the others: their bound stays at least the policy's
    if enough_small and not enough_large:
        percent = max(percent, Fraction(given.input_tokens * 100, SMALL_TOKENS))
    if enough_large and not enough_small:
        tokens = max(tokens, Fraction(given.input_percent) * SMALL_TOKENS / 100)
    return given.model_copy(
        update={"input_tokens": ceil(tokens), "input_percent": Decimal(ceil(percent * 1_000)).scaleb(-3)}
    )


def largest_usual(errors: Sequence[int]) -> int:
    """The largest error that is not an outlier, and never below 0.

    One error in OUTLIER_IN, and always one, is left out: a single bill that is out of line would else set the bound of
    all that follow, for as long as it is remembered.
    """
    left_out = max(1, len(errors) // OUTLIER_IN)
    if len(errors) <= left_out:
        return 0
    return max(0, sorted(errors)[-1 - left_out])


def _figure(
    observed: Fraction, given: Decimal | int, least: Decimal | int, rules: Margin, enough: bool
) -> Fraction:
    cushioned = observed * Fraction(rules.cushion)
    if enough:
        return max(Fraction(min(least, given)), cushioned)
    return cushioned if observed > given else Fraction(given)


@dataclass(slots=True)
class Taught:
    """What one run saw of one kind.

    Attributes:
        jobs: answers paid for.
        left_out: those of them whose usage is not all of their bill, or whose input nobody counted.
        over_bound: those billed above the bound that their hold was priced at.
        far_off: those whose count was billed more than twice, or less than half.
        without_input: those whose usage had no input at all, which is none.
        over_output: those billed for more output than their max_tokens.
        tally: those whose usage is all of their bill.
    """

    jobs: int = 0
    left_out: int = 0
    over_bound: int = 0
    far_off: int = 0
    without_input: int = 0
    over_output: int = 0
    tally: Tally = field(default_factory=Tally)


def drifted(earlier: Lesson, seen: Taught) -> str | None:
    """The sentence that says how a run's errors left the lines of what was observed before; None when they did not."""
    found = []
    middle, before = percentiles(seen.tally.error_share), earlier.error_share
    comparable = earlier.enough and seen.tally.n >= DRIFT_SAMPLES
    if comparable and middle and before and not before.p5 <= middle.p50 <= before.p95:
        found.append(
            f"the middle of {seen.tally.n:,} errors is {as_percent(middle.p50):+}%, and was expected between "
            f"{as_percent(before.p5):+}% and {as_percent(before.p95):+}% by {earlier.n:,} earlier answers"
        )
    alarms = {
        "were billed above the bound of their hold": seen.over_bound,
        "were billed for less than half of their count, or for more than twice of it": seen.far_off,
        "came with a usage of no input at all, and were settled at their worst case": seen.without_input,
        "were billed for more output than their max_tokens": seen.over_output,
    }
    found += [f"{number:,} of {seen.jobs:,} {what}" for what, number in alarms.items() if number]
    if not found:
        return None
    model, payload_class, effort = earlier.key
    kind = payload_class if effort is None else f"{payload_class}, effort {effort}"
    return (
        f"{model}, {kind}: {'; '.join(found)}. The provider's tokenizer or its count may have "
        f"changed. Have it counted again: delete the rows of the table counts where model = '{model}'. And raise "
        "the policy's [margin] until the errors are in line again."
    )


def as_percent(thousandths: int) -> Decimal:
    """Thousandths of a percent as percent."""
    return Decimal(thousandths).scaleb(-3)
