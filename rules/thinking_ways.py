"""The ways in which jobs may think: each effort and thinking budget that their model takes, next to each other.

What a way costs is what was observed at that very way. Nothing is inferred from another one: on hard requests a higher
effort can think less than a lower one, so that a figure in between would be made up.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from functools import cache
from heapq import heappush, heapreplace

from rules.lesson import LessonKey, Outputs, Tally
from rules.run_command import run_command
from rules.scale import Scale
from schemas.job import QueuedJob
from schemas.model_facts import ModelFacts
from schemas.money import to_usd
from schemas.outcome import Mode
from schemas.payload.api_rules import RULES, refusal
from schemas.payload.traits import PayloadClass, Traits
from schemas.quote import QuotedWay
from schemas.run import OWN_WAY, RunOptions, SampleOptions, Way

#: rows that the command draws which measures a way
MEASURED_ROWS = 20
#: types of `thinking` that let a model think at length
_THINKS = frozenset({"enabled", "adaptive", "between_tools"})
_CENT = Decimal("0.01")


#: what was observed of a model, class and effort, and, where no effort is named, of a thinking budget
Observe = Callable[[LessonKey, int | None], Tally]


def asked_way(traits: Traits) -> Way | None:
    """The way that a payload asks for; None: it neither thinks nor names an effort."""
    if traits.effort is not None:
        return Way(effort=traits.effort)
    return Way(budget=traits.thinking_budget) if traits.thinking in _THINKS else None


def ways_of(job: QueuedJob, facts: ModelFacts, mode: Mode, budgets: Sequence[int]) -> Iterator[Way]:
    """The ways that a job could take under a model, whatever it asks for now.

    Args:
        job: one that thinks or names an effort.
        facts: what the provider states of its model.
        mode: of the run.
        budgets: thinking budgets to compare, in tokens.
    """
    traits = job.traits
    yield OWN_WAY
    yield from _effort_ways(traits.thinking, facts, mode)
    # the API takes no forced tool while thinking is enabled
    if _takes_budgets(facts, mode) and traits.thinking in _THINKS and not traits.forced_tool:
        yield from (Way(budget=tokens) for tokens in budgets if tokens < job.max_tokens)


@cache
def _effort_ways(thinking: str | None, facts: ModelFacts, mode: Mode) -> tuple[Way, ...]:
    """The efforts that a model takes of a payload with this type of thinking; the same for each job of a file."""
    return tuple(
        Way(effort=effort)
        for effort in RULES.values["effort"]
        if refusal(Traits(thinking=thinking, effort=effort), 1, facts, mode) is None
    )


@cache
def _takes_budgets(facts: ModelFacts, mode: Mode) -> bool:
    return refusal(Traits(thinking="enabled"), 1, facts, mode) is None


@dataclass(slots=True)
class _WaySum:
    """Jobs that could take one way. Amounts are nano-USD; `outputs` is None where nothing was observed."""

    seen: Tally
    outputs: Outputs | None
    jobs: int = 0
    as_asked: int = 0
    expected: int = 0
    worst_case: int = 0


class ThinkingWays:
    """The ways of the jobs of a quote, summed by model and class of payload.

    Args:
        observe: what was observed at a way; asked once for each.
        budgets: thinking budgets to compare, in tokens.
    """

    def __init__(self, observe: Observe, budgets: Sequence[int]) -> None:
        self._observe, self._budgets = observe, sorted(budgets)
        self._sums: dict[tuple[str, PayloadClass, Way], _WaySum] = {}
        self._dearest: list[int] = []

    def add(self, job: QueuedJob, scale: Scale, worst_case: int, weight: int = 1) -> None:
        """Add one routed job that would be sent.

        Args:
            job: the job.
            scale: what it is priced with.
            worst_case: the most that it can cost, in nano-USD; its max_tokens bounds it whichever way it takes.
            weight: for how many rows of the file it stands.
        """
        self._remember_dearest(worst_case, weight)
        asked, facts = asked_way(job.traits), scale.models.callable.get(job.model or "")
        if asked is None or facts is None:
            return
        for way in ways_of(job, facts, scale.policy.mode, self._budgets):
            sums = self._of(facts.model, job.traits.payload_class, way)
            sums.jobs += weight
            sums.as_asked += weight * (way == asked)
            sums.worst_case += weight * worst_case
            if sums.outputs is not None:
                sums.expected += weight * scale.cost(job, sums.outputs.mean(job.max_tokens))

    def _of(self, model: str, kind: PayloadClass, way: Way) -> _WaySum:
        if (model, kind, way) not in self._sums:
            seen = self._observe(LessonKey(model, kind, way.effort), way.budget)
            self._sums[model, kind, way] = _WaySum(seen, Outputs.of(seen) if seen.n else None)
        return self._sums[model, kind, way]

    def _remember_dearest(self, worst_case: int, weight: int) -> None:
        for _ in range(min(weight, MEASURED_ROWS)):
            if len(self._dearest) < MEASURED_ROWS:
                heappush(self._dearest, worst_case)
            elif worst_case > self._dearest[0]:
                heapreplace(self._dearest, worst_case)

    def figures(self, measuring: "Measuring") -> list[QuotedWay]:
        """The ways next to each other, each with the command that measures it where nothing was observed."""
        cap = to_usd(sum(self._dearest)).quantize(_CENT, rounding=ROUND_CEILING)
        found = []
        for (model, kind, way), sums in self._sums.items():
            # where each row names an effort or a budget, nobody asks what neither would do
            if way == OWN_WAY and not sums.as_asked:
                continue
            one = _figures(LessonKey(model, kind, way.effort), way.budget, sums)
            if not sums.seen.n:
                one.measure = measuring.command(way, cap)
            found.append(one)
        return sorted(found, key=_place)


@dataclass(frozen=True, slots=True)
class Measuring:
    """The command that measures a way on some rows of the quoted file.

    Attributes:
        asked: the options that the quote was made with.
        simulate: against a simulator of its own.
    """

    asked: RunOptions
    simulate: bool = False

    def command(self, way: Way, cap: Decimal) -> str:
        """The command.

        Args:
            way: what is to be measured; neither an effort nor a budget: the rows as they are.
            cap: the most that it may spend, in USD: what the dearest rows can cost.
        """
        sample = SampleOptions(MEASURED_ROWS)
        options = replace(self.asked, sample=sample, way=way, run_budget_usd=str(cap), quote=None)
        return run_command(options, simulate=self.simulate)


def _place(one: QuotedWay) -> tuple[object, ...]:
    """Where a way stands: by model and class, no effort first, then efforts and then budgets, the lowest first."""
    effort = -1 if one.effort is None else RULES.values["effort"].index(one.effort)
    return one.model, one.payload_class, one.budget_tokens is not None, effort, one.budget_tokens or 0


def _figures(key: LessonKey, budget: int | None, sums: _WaySum) -> QuotedWay:
    figures = QuotedWay(
        model=key.model,
        payload_class=key.payload_class,
        effort=key.effort,
        budget_tokens=budget,
        jobs=sums.jobs,
        as_asked=sums.as_asked,
        answers=sums.seen.n,
        worst_usd=to_usd(sums.worst_case),
    )
    if sums.outputs is not None:
        longest = sums.outputs.tokens[-1]
        figures.cut_off = sums.seen.cut_off
        figures.mean_output = sums.outputs.mean(longest)
        figures.p95_output = sums.outputs.usual(95, longest)
        figures.thinking_share = sums.seen.thinking_share
        figures.expected_usd = to_usd(sums.expected)
    return figures
