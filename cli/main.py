"""The command line. Each command is a file of its own; this one puts them together and says errors as sentences."""

import logging
import os
import sys
import traceback

import typer

from schemas.errors import UNEXPECTED, WeighbridgeError, exit_code

# Set before Prefect is imported. They hold for the server that a run starts for itself when no Prefect server is
# configured; the first start migrates its database, which can take 20 s and more.
for _name, _value in {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # that server's recorder writes one task run a transaction by default, falls behind and loses records
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "500",
    # it logs its own shutdown as errors, among the run's report
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    # a warning outside a flow run is for the terminal alone
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # an error is said once, by the command, as a sentence
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
}.items():
    os.environ.setdefault(_name, _value)
# Prefect counts what it still has to tell its server, at every exit
logging.getLogger("EventsWorker").setLevel(logging.ERROR)

app = typer.Typer(
    name="weighbridge",
    help="Weighs every LLM job with the provider's own scale, holds its worst-case cost, and only then sends it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """The `weighbridge` command."""
    # Prefect is imported after its settings
    from cli import check_bill, collect, prune_history, report, resubmit_approved, review, run, simulate  # noqa: PLC0415

    run.add_to(app)
    collect.add_to(app)
    check_bill.add_to(app)
    report.add_to(app)
    review.add_to(app)
    resubmit_approved.add_to(app)
    prune_history.add_to(app)
    simulate.add_to(app)
    try:
        app()
    except WeighbridgeError as error:
        print(f"weighbridge: {error}", file=sys.stderr)
        sys.exit(exit_code(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the last words are a sentence
        traceback.print_exception(error)
        print(f"weighbridge: {UNEXPECTED.format(type(error).__name__)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
