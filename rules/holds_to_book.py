"""The attempts of a run whose holds stay until a person books what they cost, as people read them."""

from collections.abc import Sequence

from rules.ledger_option import ledger_option
from schemas.money import to_usd, usd_exact
from schemas.report import HoldToBook, RunReport
from schemas.review import UnknownHold

#: at most this many are listed one by one
HOLDS_TO_BOOK = 20


def holds_to_book(holds: Sequence[UnknownHold], ledger_url: str) -> list[HoldToBook]:
    """The attempts with what each holds, and the command that books what it cost.

    Args:
        holds: of attempts of unknown outcome.
        ledger_url: the ledger's address as it may be shown.
    """
    return [
        HoldToBook(
            attempt_id=hold.attempt_id,
            job_id=hold.job_id,
            held_usd=to_usd(hold.held),
            command=f"weighbridge review book --attempt {hold.attempt_id} --billed USD{ledger_option(ledger_url)}",
        )
        for hold in holds
    ]


def hold_heading(report: RunReport) -> str:
    """What stands above the list; "" where nothing is held."""
    if not report.holds_to_book:
        return ""
    return (
        "Held at the end of the run, until somebody books what it cost. Look that up first, for example with "
        "`weighbridge check-bill`; the commands take `--not-billed` in place of `--billed USD`:"
    )


def hold_lines(report: RunReport) -> list[tuple[str, str]]:
    """What is held for which job, and the command that books it; at last how many more there are."""
    lines = [
        (f"{usd_exact(hold.held_usd)} USD held for job {hold.job_id}", hold.command)
        for hold in report.holds_to_book
    ]
    if report.more_holds_to_book:
        url = "" if report.places is None else report.places.ledger
        command = f"weighbridge review holds{ledger_option(url)}"
        lines.append((f"and {report.more_holds_to_book:,} more, which are all listed by", command))
    return lines
