"""The command line. Each command is a file of its own; this one puts them together and says errors as sentences."""

import os
import sys

import typer

from schemas.errors import BadInput, WeighbridgeError
from schemas.outcome import EXIT_BAD_INPUT

# Set before Prefect is imported. They hold for the server that a run starts for itself when no Prefect server is
# configured; the first start migrates its database, which can take 20 s and more.
for _name, _value in {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_CLI_COLORS": "false",
}.items():
    os.environ.setdefault(_name, _value)

app = typer.Typer(
    name="weighbridge",
    help="Weighs every LLM job with the provider's own scale, holds its worst-case cost, and only then sends it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """The `weighbridge` command."""
    from cli import report, review, run, simulate  # noqa: PLC0415 - Prefect is imported after its settings

    run.add_to(app)
    report.add_to(app)
    review.add_to(app)
    simulate.add_to(app)
    try:
        app()
    except WeighbridgeError as error:
        print(f"weighbridge: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT if isinstance(error, BadInput) else 1)
    except KeyboardInterrupt:
        print(
            "weighbridge: interrupted; the ledger is true, and the next run goes on from it.", file=sys.stderr
        )
        sys.exit(130)


if __name__ == "__main__":
    main()
