"""What can stop a run, as one tree.

Each message is a sentence that says what happened and what to do next; none carries payload text or a key, because
messages end up in Prefect states, events and logs.

WeighbridgeError
├── BadInput            the arguments, the policy or the input file cannot be used (exit code 2)
└── RunFailed           the run cannot go on; the ledger is true and the next run continues (exit code 1)
"""


class WeighbridgeError(Exception):
    """Any refusal that a person should read as a sentence, not as a traceback."""


class BadInput(WeighbridgeError):  # noqa: N818 - a noun of the command line, not a fault of the program
    """The arguments, the policy or the input file cannot be used. Nothing was counted or sent."""


class RunFailed(WeighbridgeError):  # noqa: N818
    """The run cannot go on. What was held or settled stays in the ledger."""
