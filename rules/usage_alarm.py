"""Usage that has nothing to do with what was asked: what it is settled at, and when it stops a run."""

from dataclasses import replace

from schemas.attempt import Expectation, Settlement
from schemas.money import NanoUsd, usd_text
from schemas.outcome import Billing, Reason

#: a run whose bills were out of line this many times sends no more: its holds bound nothing
MOST_OUT_OF_LINE = 3
#: from this factor on, up or down, a bill has little to do with its count
FAR = 2


def believed(settlement: Settlement, expects: Expectation | None) -> Settlement:
    """A settlement as far as its usage can be believed.

    Usage without a single input token, of a payload that weighs some, says nothing about the bill, and neither does
    usage without a single output token, of an answer that says something: it is settled at the worst case, which
    bounds it, and marked as partial.
    """
    charge = settlement.charge
    if expects is None or charge is None or charge.billing is Billing.NOT_BILLED:
        return settlement
    lacks_input = charge.input_tokens == 0 and expects.counted > 0
    if not lacks_input and not charge.lacks_output:
        return settlement
    cost = NanoUsd(max(charge.cost, expects.worst_case))
    return replace(settlement, charge=replace(charge, cost=cost, billing=Billing.PARTIAL))


def out_of_line(settlement: Settlement, expects: Expectation | None) -> str | None:
    """How an answer's bill left what was held for it, as a sentence, or None when it did not."""
    charge = settlement.charge
    if expects is None or charge is None:
        return None
    if charge.cost > expects.worst_case:
        over = usd_text(charge.cost - expects.worst_case)
        return f"billed {usd_text(charge.cost)} USD, {over} USD over its worst case"
    output = charge.output_tokens or 0
    if expects.is_counted and output > expects.max_tokens:
        return f"billed {output:,} output tokens, over its max_tokens of {expects.max_tokens:,}"
    return None


def is_far_off(counted: int, billed: int, bound: int) -> bool:
    """Whether a billed input lies far from its count, up or down, and by more than the margin of its bound."""
    if abs(billed - counted) <= bound - counted:
        return False
    return billed > FAR * counted or billed * FAR < counted


class BillWatch:
    """The bills of one run that were out of line, as its answers come."""

    def __init__(self) -> None:
        self.out_of_line = 0

    def reason_to_stop(self, settlement: Settlement, expects: Expectation | None) -> Reason | None:
        """Take an answer in; why the run must send no more, or None while it may go on."""
        if out_of_line(settlement, expects) is not None:
            self.out_of_line += 1
        return Reason.BILLS_OVER_HOLDS if self.out_of_line >= MOST_OUT_OF_LINE else None
