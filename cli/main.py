"""The command line. Each command is a file of its own; this one lists them, and reports errors as sentences."""

import gc
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from cli.last_words import as_json, is_expected, last_words
from cli.lazy_command import LazyCommand
from schemas.errors import BadInput, WeighbridgeError, exit_code

_COMPARE_BILL = (
    "Compare the ledger with the provider's usage and cost reports, by UTC day, model and service tier."
)
COMMANDS = (
    LazyCommand(
        "run",
        "cli.run:run",
        "Weigh every job, send what fits, park the rest for review, and report what it cost.",
        runs_flow=True,
    ),
    LazyCommand(
        "quote",
        "cli.quote:quote",
        "Say what a run with the same arguments would cost, and what other policies would make of it.",
        runs_flow=True,
    ),
    LazyCommand(
        "audit-tools",
        "cli.audit_tools:audit_tools",
        "Say what the tools of the jobs weigh and cost, and how often each was called.",
        runs_flow=True,
    ),
    LazyCommand(
        "resubmit-approved",
        "cli.resubmit_approved:resubmit_approved",
        "Send the jobs that reviewers approved, each within its own ceiling.",
        runs_flow=True,
    ),
    LazyCommand(
        "collect",
        "cli.collect:collect",
        "Settle the batches that interrupted runs left with the provider, and finish those runs.",
        runs_flow=True,
    ),
    LazyCommand(
        "cancel",
        "cli.cancel:cancel",
        "Ask the provider to stop working on the batches of a run.",
    ),
    LazyCommand(
        "runs",
        "cli.list_runs:list_runs",
        "List the runs on record, the newest first: file, mode, outcome, jobs and USD.",
    ),
    LazyCommand("report", "cli.report:report", "Show the report of a run."),
    LazyCommand(
        "show",
        "cli.show_job:show_job",
        "Show what is on record of a job: its runs, its attempts and their money, and its reviews.",
    ),
    LazyCommand(
        "init",
        "cli.init:init",
        "Make the folders of a new project, with a policy and a sample job file.",
    ),
    LazyCommand(
        "up",
        "cli.up:up",
        "Start the Prefect server, its deployments, a worker and the review page, until Ctrl-C.",
    ),
    LazyCommand(
        "deploy",
        "cli.bring_deployments:deploy",
        "Bring the deployments to the Prefect server that PREFECT_API_URL names, and their work pool.",
    ),
    LazyCommand(
        "doctor",
        "cli.doctor:doctor",
        "Say whether everything is ready for a night, and what to do about what is not.",
    ),
    LazyCommand(
        "alerts",
        "cli.alerts:alerts",
        "Say who is notified of what happens at night, through the Prefect server.",
    ),
    LazyCommand(
        "review", "cli.review:review", "List, show and decide about the jobs that wait for a person."
    ),
    LazyCommand("check-bill", "cli.check_bill:check_bill", _COMPARE_BILL),
    LazyCommand("reconcile", "cli.check_bill:check_bill", _COMPARE_BILL, hidden=True),
    LazyCommand(
        "verify",
        "cli.verify:verify",
        "Recompute the ledger from its rows and files, and say what does not agree.",
    ),
    LazyCommand(
        "time-zone",
        "cli.change_zone:time_zone",
        "Say in which time zone the ledger counts its days, or have it count them in another one.",
    ),
    LazyCommand(
        "prune-history",
        "cli.prune_history:prune_history",
        "Delete old answers, payloads and rows from the ledger.",
    ),
    LazyCommand(
        "simulate",
        "cli.simulate:simulate",
        "Serve a simulated Anthropic API on this machine until it is interrupted.",
    ),
)

#: They hold for the server that a run starts for itself when no Prefect server is configured; the first start
#: migrates its database, which can take 20 seconds and more.
_PREFECT_SETTINGS = {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # that server's recorder writes one task run per transaction by default, falls behind and loses records
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "500",
    # it logs its own shutdown as errors, in the middle of the run's report
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    # a warning outside a flow run is for the terminal alone
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # the command itself reports an error, once, as a sentence
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    # else its workers report at length, after our last words, what a server that is gone did not take
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
}

_root = typer.Typer(
    name="weighbridge",
    help="Weighs every LLM job with the provider's own scale, holds its worst-case cost, and only then sends it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version as installed_version  # noqa: PLC0415 - nothing else needs it

        print(f"weighbridge {installed_version('weighbridge')}")
        raise typer.Exit


@_root.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """The options that come before a command."""


def command_group() -> TyperGroup:
    """The group of all commands; none of their modules is imported yet."""
    group = cast("TyperGroup", get_command(_root))  # it has a callback, which makes it a group
    group.commands.update({command.name or "": command for command in COMMANDS})
    return group


def main() -> None:
    """The `weighbridge` command."""
    set_up_prefect()
    _print_whatever_comes()
    try:
        _check_arguments(sys.argv[1:])
        command_group()()
    except Exception as error:  # noqa: BLE001 - whatever it is, the last words are a sentence
        if not is_expected(error):
            import traceback  # noqa: PLC0415 - most commands end without one

            traceback.print_exception(error)
        if "--json" in sys.argv and (said := as_json(error)) is not None:
            print(said)
        print(f"weighbridge: {last_words(error)}", file=sys.stderr)
        sys.exit(exit_code(error) if isinstance(error, WeighbridgeError) else 1)
    finally:
        gc.freeze()  # what is left ends with the process; to look through it for garbage takes 0.2 s after a run


def _print_whatever_comes() -> None:
    """Print a character that the locale of the terminal does not have as an escape: no text may end a command.

    All JSON is ASCII, so that it stays JSON.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _check_arguments(arguments: Sequence[str]) -> None:
    """Check that every argument is text: neither a ledger nor JSON has a place for other bytes.

    Raises:
        BadInput: one has bytes that are not UTF-8.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise BadInput(
                f"The argument {argument!a} is not UTF-8. Write it, or rename the file, in UTF-8. Nothing was changed."
            ) from error


def set_up_prefect() -> None:
    """Set what Prefect reads when it is imported, which the module of a command does."""
    for name, value in _PREFECT_SETTINGS.items():
        os.environ.setdefault(name, value)
    # a server on this machine is not behind a proxy: neither Prefect's own nor the simulator
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost")))


if __name__ == "__main__":
    main()
