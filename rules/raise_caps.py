"""Which caps to raise, and to what, so that the next run sends what this one deferred for want of money.

A run sends its jobs as far as each hold fits while nothing else is in flight. So a cap surely lets all of them through
when it has room for every worst case, and, if answers cost what is expected, when it has room for all that is expected
and for what the widest hold takes above that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.budget import ANY_GROUP, CapSource, Window, WindowCap
from schemas.money import to_usd
from schemas.outcome import Reason, Scope
from schemas.report import CapToRaise, DeferredFigures

if TYPE_CHECKING:  # a report is shown without its policy, and without the time that takes to import
    from schemas.policy import Policy

#: how the budget of a run is called where it is set; "Run budget in USD" is its title in the form
_RUN_BUDGET = {
    CapSource.OPTION: "--run-budget-usd",
    CapSource.PARAMETER: 'run_budget_usd ("Run budget in USD" in the form)',
    CapSource.UNKNOWN: (
        "the run's budget (--run-budget-usd or run_budget_usd, where the run was given one, or else run.budget_usd in the "
        "policy)"
    ),
}
#: an amount to be typed into a policy has this many digits, and is rounded up
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class DeferredSum:
    """The jobs of one group that were deferred for one reason. Nano-USD.

    Attributes:
        group: "": none.
        unpriced: how many of the jobs were deferred before they had an estimate; they are in no amount.
        widest: by how much a worst case is above what is expected, at most.
    """

    group: str
    reason: str
    jobs: int
    unpriced: int
    expected: int
    worst_case: int
    widest: int


def deferred_figures(
    sums: Sequence[DeferredSum],
    caps: Sequence[WindowCap],
    used: Mapping[Window, int],
    policy: "Policy",
    *,
    cap_from: CapSource = CapSource.POLICY,
) -> DeferredFigures | None:
    """What the deferred jobs need, and the caps that are too low for them; None: there are none.

    Args:
        sums: of the jobs that were deferred for want of money.
        caps: that the next run would be under.
        used: nano-USD settled and held of each window, as the next run finds it.
        policy: that the caps are from.
        cap_from: where that of the run came from.
    """
    if not sums:
        return None
    raised = [_to_raise(cap, sums, used.get(cap.window, 0), policy, cap_from) for cap in caps]
    return DeferredFigures(
        jobs=sum(one.jobs for one in sums),
        unpriced=sum(one.unpriced for one in sums),
        expected_usd=to_usd(sum(one.expected for one in sums)),
        worst_usd=to_usd(sum(one.worst_case for one in sums)),
        caps=[cap for cap in raised if cap is not None],
    )


def _to_raise(
    cap: WindowCap, sums: Sequence[DeferredSum], used: int, policy: "Policy", cap_from: CapSource
) -> CapToRaise | None:
    """A cap with what it would have to be; None: it is high enough, or there is none."""
    covered = [one for one in sums if _covers(cap, one)]
    if cap.nano_usd is None or not covered:
        return None
    before = used + cap.reserve
    needed = before + sum(one.expected for one in covered) + max(one.widest for one in covered)
    enough = before + sum(one.worst_case for one in covered)
    if needed <= cap.nano_usd:
        return None
    is_of_run = cap.window.scope is Scope.RUN and not cap.window.group
    return CapToRaise(
        setting=_setting(cap.window, policy),
        set_by=cap_from if is_of_run else CapSource.POLICY,
        cap_usd=to_usd(cap.nano_usd),
        used_usd=to_usd(used),
        needed_usd=to_usd(_rounded_up(needed)),
        enough_usd=to_usd(_rounded_up(enough)),
    )


def _covers(cap: WindowCap, one: DeferredSum) -> bool:
    """Whether a cap is about these jobs; that of a deadline only about those which it deferred."""
    if cap.window.scope is Scope.DEADLINE and one.reason != Reason.DEADLINE_BUDGET:
        return False
    return cap.covers((one.group,))


def _setting(window: Window, policy: "Policy") -> str:
    """The field of the policy that a cap is from."""
    if window.scope is Scope.DEADLINE:
        return "batch.deadline_budget_usd"
    if not window.group:
        return f"{window.scope}.budget_usd"
    group = window.group if window.group in policy.groups else ANY_GROUP
    return f"groups.{group}.{window.scope}.budget_usd"


def _rounded_up(nano: int) -> int:
    step: int = 10 ** max(0, len(str(nano)) - _DIGITS)
    return -(-nano // step) * step


def need_sentence(figures: DeferredFigures) -> str:
    """What the deferred jobs need and which caps to raise to what, as a part of a sentence."""
    if fits(figures):
        return f"{_need(figures)}, which the caps leave room for: run again"
    if not figures.caps:
        return f"{_need(figures)}: run again"
    raised = " and ".join(
        f"raise {_named(cap)} from {_usd(cap.cap_usd)} to {_usd(cap.needed_usd)}{_in_any_case(cap)}"
        for cap in figures.caps
    )
    return f"{_need(figures)}; {raised}, then run again"


def fits(figures: DeferredFigures) -> bool:
    """Whether the next run sends all of the deferred jobs under the caps as they are, if they cost what is expected."""
    return not figures.caps and not figures.unpriced


def _need(figures: DeferredFigures) -> str:
    who = "it needs" if figures.jobs == 1 else "they need"
    need = f"{who} {_usd(figures.expected_usd)} expected and {_usd(figures.worst_usd)} at most"
    if figures.unpriced == figures.jobs:
        return "they were not priced yet"
    if figures.unpriced:
        return f"{figures.jobs - figures.unpriced:,} of them have a price: {need}"
    return need


def _named(cap: CapToRaise) -> str:
    """A cap as it is called where it is set."""
    return _RUN_BUDGET.get(cap.set_by, f"{cap.setting} in the policy")


def _in_any_case(cap: CapToRaise) -> str:
    if cap.enough_usd <= cap.needed_usd:
        return ""
    return f" (with {_usd(cap.enough_usd)} in any case)"


def _usd(amount: Decimal) -> str:
    """USD without the zeros at its end."""
    return f"{amount.normalize():f} USD"
