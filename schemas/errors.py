"""What can stop a run, as one tree.

Each message is a sentence that says what happened and what to do next; none carries payload text or a key, because
messages end up in Prefect states, events and logs.

WeighbridgeError
├── BadInput            the arguments, the policy or the input file cannot be used (exit code 2)
│   └── NoJobs          there is no input file, or it has no rows
├── Interrupted         somebody stopped the command (exit code 130 or 143)
└── RunFailed           the run cannot go on; the ledger is true and the next run continues (exit code 1)
"""

from schemas.outcome import EXIT_BAD_INPUT

#: the last words when the program itself is at fault; takes the exception's class
UNEXPECTED = (
    "an unexpected {} ended the command. What was held or settled is kept in the ledger, and the next run over the "
    "same input goes on from there."
)


class WeighbridgeError(Exception):
    """Any refusal that a person should read as a sentence, not as a traceback."""


class BadInput(WeighbridgeError):  # noqa: N818 - a noun of the command line, not a fault of the program
    """The arguments, the policy or the input file cannot be used. Nothing was counted or sent."""


class NoJobs(BadInput):
    """There is no input: no file, or one without rows. For a night that may be empty this is not an error."""


class RunFailed(WeighbridgeError):  # noqa: N818
    """The run cannot go on. What was held or settled stays in the ledger."""


class Interrupted(WeighbridgeError):  # noqa: N818
    """Somebody stopped the command: Ctrl-C, SIGTERM or a Prefect cancellation. Nothing more was sent."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(
            "The run was interrupted. Nothing more was sent; what was held, sent or settled is in the ledger, and the "
            "next run over the same input goes on from there."
        )
        self.exit_code = exit_code


def exit_code(error: WeighbridgeError) -> int:
    """The exit code that an error ends a command with."""
    if isinstance(error, Interrupted):
        return error.exit_code
    return EXIT_BAD_INPUT if isinstance(error, BadInput) else 1
