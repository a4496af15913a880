"""What came for an attempt and could not be read, as a reviewer sees it, and whether it can be accepted as the answer."""

from collections.abc import Sequence
from typing import NamedTuple

from rules.over_hold import over_hold
from schemas.review import ACCEPT_ADVICE, UNKNOWN_ADVICE, RawAnswer

#: bytes of a raw answer that are shown, at most
SHOWN_BYTES = 8_000
RAW_LABEL = "What the provider sent for this job, which Weighbridge could not read"


class ShownRaw(NamedTuple):
    """The beginning of a raw answer, and how many bytes of it are left out."""

    text: str
    left_out: int


def shown_raw(body: str, most: int = SHOWN_BYTES) -> ShownRaw:
    """A raw answer as it is shown: at most this many bytes of UTF-8, and no part of a character.

    Args:
        body: what came, as text.
        most: bytes.
    """
    octets = body.encode(errors="surrogatepass")
    head = octets[:most].decode(errors="ignore")
    return ShownRaw(head, len(octets) - len(head.encode()))


def unknown_advice(*, has_raw: bool) -> str:
    """What can be done about a job of unknown outcome, a sentence a line.

    Args:
        has_raw: something came for it, and could not be read.
    """
    return f"{UNKNOWN_ADVICE}\n{ACCEPT_ADVICE}" if has_raw else UNKNOWN_ADVICE


def why_not_accepted(unknown: int, raw: RawAnswer | None, rivals: Sequence[str], billed: int) -> str | None:
    """Why a raw answer cannot be accepted as the answer of its job, or None when it can.

    Args:
        unknown: how many attempts of unknown outcome the job has.
        raw: the newest that came for one of them; None: none is kept.
        rivals: other attempts at the job that are in flight, or were answered: one answer of a job counts.
        billed: nano-USD that the provider billed for it.
    """
    if not unknown:
        return "it has no attempt of unknown outcome: it was not sent, it was answered, or what it cost is booked already"
    if raw is None:
        return (
            "no raw answer of it is kept: none came, or it was pruned; book what it cost with "
            "`weighbridge review book`"
        )
    if rivals:
        return (
            f"its job was sent again (attempt {rivals[0]}), and one answer of a job counts; book what this one cost "
            f"with `weighbridge review book --attempt {raw.attempt_id}`"
        )
    if billed < 0:
        return "what was billed cannot be less than nothing"
    over = over_hold(billed, raw.held_nano_usd, raw.worst_case_nano_usd)
    return over and f"{over}; look again"
