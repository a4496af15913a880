"""The verdict of one check of the ledger: the facts that were found, as sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.verification import CheckFinding
from schemas.words import printable


@dataclass(frozen=True, slots=True)
class Examples:
    """How many rows something holds for, and the ids of the first of them."""

    number: int
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was looked for.

    Attributes:
        what: which rows they are, to stand before their number.
        seen: the rows; when there are none, the fact is not so.
        what_to_do: a person's next step.
        is_fault: whether it makes the check fail; if not, it is only named.
    """

    what: str
    seen: Examples
    what_to_do: str
    is_fault: bool = True


def verdict(name: str, holds: str, facts: Sequence[Fact]) -> CheckFinding:
    """What a check found.

    Args:
        name: of the check.
        holds: what is so when no fact is a fault.
        facts: what was looked for, found or not.
    """
    found = [fact for fact in facts if fact.seen.number]
    ok = not any(fact.is_fault for fact in found)
    sentences = [_sentence(fact) for fact in found]
    if ok:
        sentences.insert(0, holds)
    return CheckFinding(
        name=name,
        ok=ok,
        found="; ".join(sentences),
        what_to_do=" ".join(dict.fromkeys(fact.what_to_do for fact in found)),
    )


def _sentence(fact: Fact) -> str:
    ids = ", ".join(printable(one) for one in fact.seen.ids)
    if not ids:
        return f"{fact.what}: {fact.seen.number:,}"
    more = ", ..." if fact.seen.number > len(fact.seen.ids) else ""
    return f"{fact.what}: {fact.seen.number:,} ({ids}{more})"
