"""Refusals of a model: an answer like any other to HTTP, and not always to the bill.

Source: Anthropic release notes (2026-09-24): a refusal before any output is billed for the categories in
`BILLED_BEFORE_OUTPUT` and for no other; one in mid-stream always is. SDK 2.12.0, `RefusalStopDetails`.
"""

from dataclasses import dataclass
from typing import Any

#: values of `stop_details.category` besides null
CATEGORIES = ("cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms")

#: how plans and requests name a refusal whose category is null
NO_CATEGORY = "none"

BILLED_BEFORE_OUTPUT = frozenset({"bio", "frontier_llm", "reasoning_extraction"})


@dataclass(frozen=True, slots=True)
class AnsweredRefusal:
    """One refusal.

    Attributes:
        category: one of `CATEGORIES`, or None.
        before_output: whether it came before any output; otherwise in mid-stream.
    """

    category: str | None
    before_output: bool

    @property
    def billed(self) -> bool:
        """Whether its tokens are paid for."""
        return not self.before_output or self.category in BILLED_BEFORE_OUTPUT

    def details(self) -> dict[str, Any]:
        """The `stop_details` of the reply."""
        return {
            "type": "refusal",
            "category": self.category,
            "explanation": "[simulated] refusal as planned or asked for",
        }


def wished_refusal(wishes: dict[str, str]) -> AnsweredRefusal | None:
    """The refusal that a request asks for, if it does; an unknown category counts as none asked for."""
    for name, before_output in (("refusal_before_output", True), ("refusal", False)):
        category = wishes.get(name)
        if category in CATEGORIES or category == NO_CATEGORY:
            return AnsweredRefusal(None if category == NO_CATEGORY else category, before_output)
    return None
