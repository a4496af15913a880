"""Money that bought no whole answer: its figures in the report, and what max_tokens would have sufficed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from rules.lesson import Lesson, LessonKey
from schemas.attempt import NothingSum
from schemas.money import to_usd
from schemas.payload.traits import PayloadClass
from schemas.report import CutOffFigures, NothingBought

_KINDS: tuple[Literal["cut_off", "refused", "unknown", "errored"], ...] = (
    "cut_off",
    "refused",
    "unknown",
    "errored",
)


def nothing_figures(sums: Sequence[NothingSum]) -> list[NothingBought]:
    """The sums by kind, over all models; kinds without a job are left out."""
    jobs: dict[str, int] = defaultdict(int)
    cost: dict[str, int] = defaultdict(int)
    for one in sums:
        jobs[one.kind] += one.jobs
        cost[one.kind] += one.cost
    return [
        NothingBought(kind=kind, jobs=jobs[kind], usd=to_usd(cost[kind])) for kind in _KINDS if jobs[kind]
    ]


def cut_off_figures(sums: Sequence[NothingSum], lessons: Mapping[LessonKey, Lesson]) -> list[CutOffFigures]:
    """The answers that were cut off by model, class and effort, next to the max_tokens that would have sufficed.

    Args:
        sums: of all kinds.
        lessons: what was observed before the run; of a kind that is not among them nothing is known.
    """
    found = []
    for one in sums:
        if one.kind != "cut_off":
            continue
        figures = CutOffFigures(
            model=one.model,
            payload_class=one.payload_class,
            effort=one.effort,
            jobs=one.jobs,
            usd=to_usd(one.cost),
            observed=0,
        )
        key = LessonKey(one.model, PayloadClass(one.payload_class), one.effort)
        if lesson := lessons.get(key):
            figures.observed = lesson.n
            figures.max_tokens_95, figures.max_tokens_99 = lesson.suffices(95), lesson.suffices(99)
        found.append(figures)
    return found
