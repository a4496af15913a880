"""What several commands share: their options, an amount of USD, and the ledger that an option names.

What opens a ledger is imported when one is opened: a command that only looks something up has no second to wait for it.
"""

import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rules.ledger_option import ledger_option
from schemas.errors import BadInput
from schemas.forms.bounds import LEAST_ROWS, LEAST_SEED, LEAST_TOKENS, LEAST_WORKERS, MOST_WORKERS
from schemas.ledger_place import ledger_url_of, plain_sqlite_file, with_driver
from schemas.outcome import Mode, Runner
from schemas.words import masked_url

if TYPE_CHECKING:
    from services.ledger import Ledger

#: where a simulated run keeps its ledger when nothing else is named, below the current folder
SIMULATED_LEDGER = Path("data/simulated/ledger.db")
#: where else a ledger may be, below the current folder, and whose it is
_OTHER_LEDGERS = {
    SIMULATED_LEDGER: "simulated runs",
    Path("data/up/ledger.db"): "`weighbridge up`",
    Path("data/up-simulated/ledger.db"): "`weighbridge up --simulate`",
}
_MOST_USD = 1_000_000
#: what `Decimal` reads besides, such as 1_0 or 1e-9, is more likely a slip than an amount
_PLAIN_DECIMAL = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)")

#: a command in a hint
_COMMAND = re.compile(r"`(weighbridge [^`]*)`")

PolicyOption = Annotated[Path | None, typer.Option(help="The policy file (TOML).")]
LedgerOption = Annotated[
    str | None, typer.Option(help="The ledger, as a SQLAlchemy URL such as sqlite:///ledger.db.")
]
ResultsOption = Annotated[Path | None, typer.Option(help="The folder for results.")]
MaxInputTokensOption = Annotated[
    int | None, typer.Option(min=LEAST_TOKENS, help="A job with more input tokens than this goes to review.")
]
RunBudgetOption = Annotated[
    str | None, typer.Option(help="The most that this run may hold and spend, in USD, such as 12.50.")
]
ModeOption = Annotated[
    Mode | None, typer.Option(help="messages: answers now; batches: half the price, within 24 hours.")
]
ModeOfApprovedOption = Annotated[
    Mode | None,
    typer.Option(
        help="messages: answers now; batches: half the price, within 24 hours. Left out: batches where a run in batches "
        "parked some of it, and as the policy says where none did."
    ),
]
EffortOption = Annotated[
    str | None,
    typer.Option(
        help="Ask every row with this effort (low, medium, high, xhigh or max) in place of its own. That makes another "
        "request of it: a run without the option pays for the row again."
    ),
]
ThinkingBudgetOption = Annotated[
    int | None,
    typer.Option(
        help="Ask every row to think with a budget of this many tokens, in place of its own thinking and effort. As with "
        "--effort, a run without the option pays for the row again."
    ),
]
QuoteOption = Annotated[
    str | None,
    typer.Option(
        help="The id of a quote; refuse to start when it does not hold any more, or a cap is below it."
    ),
]
AlsoApprovedOption = Annotated[
    bool, typer.Option("--resubmit-approved", help="Also send the jobs that reviewers approved.")
]
LimitOption = Annotated[
    int | None, typer.Option(min=LEAST_ROWS, help="Read the first rows only, at most this many.")
]
SampleOption = Annotated[
    int | None, typer.Option(min=LEAST_ROWS, help="Pay for this many rows only, drawn by size.")
]
SeedOption = Annotated[int, typer.Option(min=LEAST_SEED, help="Which rows --sample draws.")]
JobsArgument = Annotated[
    str,
    typer.Argument(
        help="A job file (Parquet, CSV or JSON Lines), a folder of them, or a glob; {date} stands for the day."
    ),
]
IdColumnOption = Annotated[str | None, typer.Option(help="The column with the job's id, if not job_id.")]
PromptColumnOption = Annotated[
    str | None,
    typer.Option(
        help="The column with the prompt, if not prompt; or a template over columns, such as 'Summarise: {body}'."
    ),
]
DeadlineOption = Annotated[
    str | None,
    typer.Option(
        metavar="HH:MM",
        help="When the answers are due, in the policy's time zone: what batches have not answered shortly before goes "
        "out in Messages mode.",
    ),
]
RunnerOption = Annotated[
    Runner | None,
    typer.Option(
        help="Where counts and paid calls are made: local (in this process), processes (worker processes on this machine) "
        "or dask (the workers of a cluster)."
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=LEAST_WORKERS, max=MOST_WORKERS, help="How many processes, with --runner processes."),
]
DaskAddressOption = Annotated[
    str | None,
    typer.Option(help="The scheduler of the cluster, with --runner dask, such as tcp://10.0.0.5:8786."),
]
MoveDoneOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Move job files to this folder after the report, once nothing of them is left to do; {date} stands for the "
        "day.",
    ),
]
SimulateOption = Annotated[
    bool, typer.Option("--simulate", help="Use a simulator on this machine: no key, no money.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]


def option_called(name: str) -> str:
    """What a field of a flow's form is called where it is an option of a command."""
    return "The argument jobs" if name == "jobs" else f"The option --{name.replace('_', '-')}"


def at_ledger(hint: str, ledger: str | None) -> str:
    """A hint whose commands lead to the ledger that the person named by an option; else they find it as this one did.

    Args:
        hint: each command of it between backticks.
        ledger: the option; None: it was left out.
    """
    option = "" if ledger is None else ledger_option(masked_url(with_driver(ledger)))
    return _COMMAND.sub(lambda found: f"`{found[1]}{option}`", hint)


def opened_ledger(url: str | None, *, create: bool = False) -> "Ledger":
    """The ledger at `url`, or, when that is None, the one that the settings name.

    Args:
        url: a SQLAlchemy URL, or None.
        create: make a SQLite ledger that does not exist yet. A command that only reads never does: an empty
            ledger in the wrong folder would look like one with nothing to do.

    Raises:
        BadInput: the URL cannot be used, or nothing is there.
        RunFailed: the database does not answer, or was made by a newer version.
    """
    from services.ledger import open_ledger  # noqa: PLC0415 - see the top

    address = ledger_url_of(url)
    if not create:
        require_tables(address)
    return open_ledger(address)


def ledger_to_read(url: str | None) -> "Ledger":
    """The ledger at `url`, or the one that the settings name, as it stands: it is neither made nor migrated.

    Raises:
        BadInput: the URL cannot be used, or no ledger is there.
        RunFailed: the database does not answer.
    """
    from services.ledger import open_to_read  # noqa: PLC0415 - see the top

    address = ledger_url_of(url)
    require_ledger(address)
    return open_to_read(address)


def looked_at(url: str | None) -> str:
    """The URL of the ledger that a command only looks at: the one that is named, or that the settings name.

    Raises:
        BadInput: its SQLite file is not there.
    """
    address = ledger_url_of(url)
    require_ledger(address)
    return address


def require_ledger(address: str) -> None:
    """Check that the SQLite file of a ledger is there, without making it.

    Raises:
        BadInput: it is not there.
    """
    file = _sqlite_file(address)
    if file is None or file.exists():
        return
    here = ", ".join(f"sqlite:///{path} ({whose})" for path, whose in _OTHER_LEDGERS.items() if path.exists())
    others = f" Here is: {here}." if here else ""
    raise BadInput(
        f"There is no ledger at {file.absolute()}. Name another one with --ledger or WEIGHBRIDGE_LEDGER; the first "
        f"`weighbridge run` makes it.{others} Nothing was changed."
    )


def require_tables(address: str) -> None:
    """Check that a ledger is at an address, without making one in an empty file or in a database of something else.

    Raises:
        BadInput: the URL cannot be used, or there are no tables of a ledger.
        RunFailed: the database does not answer.
    """
    from services.ledger import open_to_read  # noqa: PLC0415 - see the top

    require_ledger(address)
    open_to_read(address).close()


def _sqlite_file(address: str) -> Path | None:
    """The file of a SQLite URL; None for any other database, and for what `open_ledger` refuses."""
    if (plain := plain_sqlite_file(address)) is not None:
        return plain
    from sqlalchemy import make_url  # noqa: PLC0415 - see the top
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        return None
    if url.get_backend_name() != "sqlite":
        return None
    name = url.database or ":memory:"
    if "uri" in url.query:
        name = name.removeprefix("file:")
    return Path(name)


def usd_amount(text: str | None, option: str) -> Decimal | None:
    """An amount of USD from 0 to under a million; None when the option was left out.

    Raises:
        BadInput: the text is not such an amount.
    """
    if text is None:
        return None
    if not _PLAIN_DECIMAL.fullmatch(text.strip()):
        raise BadInput(f"{option} {text!r} is not an amount of USD; write it like 0.50.")
    amount = Decimal(text)
    if not 0 <= amount < _MOST_USD:
        raise BadInput(f"{option} {text!r} is not an amount of USD from 0 to under {_MOST_USD:,}.")
    return amount
