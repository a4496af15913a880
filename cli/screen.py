"""Where tables are printed."""

import sys

from rich.console import Console


def screen(width: int = 140) -> Console:
    """The terminal; or, piped into a file, where there is no width to fit, one of this width."""
    return Console() if sys.stdout.isatty() else Console(width=width)
