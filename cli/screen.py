"""Where tables are printed, and how a figure that may be missing is shown there."""

import sys

from rich.console import Console

from schemas.money import usd_short


def screen(width: int = 140) -> Console:
    """The terminal; or, when the output goes into a file and there is no width to fit, a page of this width."""
    return Console() if sys.stdout.isatty() else Console(width=width)


def shown_usd(nano: int | None, missing: str = "") -> str:
    """Nano-USD as USD for people, or a word for a missing amount."""
    return missing if nano is None else usd_short(nano)


def shown_tokens(number: int | None, missing: str = "") -> str:
    """A number of tokens for people, or a word for a missing one."""
    return missing if number is None else f"{number:,}"
