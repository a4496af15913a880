"""The sentence that a command ends with when it fails."""

import json
import os

from schemas.errors import UNEXPECTED, WeighbridgeError
from schemas.failures import CallFailed


def is_expected(error: Exception) -> bool:
    """Whether the error is one that a person should read as a sentence, without a traceback."""
    return isinstance(error, WeighbridgeError | CallFailed) or _is_of_prefect(error)


def last_words(error: Exception) -> str:
    """What happened, what was kept and what to do next. Never payload text, never a key."""
    if isinstance(error, WeighbridgeError):
        return str(error)
    if isinstance(error, CallFailed):
        return (
            f"The API did not do what it was asked: {error}. What was held or settled is kept in the ledger; "
            "check the API's address and key, then repeat the command."
        )
    if _is_of_prefect(error):
        return (
            f"The Prefect server at {os.environ.get('PREFECT_API_URL', 'this machine')} does not answer. It only shows "
            "what a run does: what was held, paid or answered is in the ledger. Start the server, or unset "
            "PREFECT_API_URL, then repeat the command."
        )
    return UNEXPECTED.format(type(error).__name__)


def mark_as_said(error: Exception) -> None:
    """Note that the last words about an error are on stdout as JSON already."""
    error.said_as_json = True  # type: ignore[attr-defined]


def as_json(error: Exception) -> str | None:
    """The last words as the only JSON on stdout; None: they are there already."""
    return None if getattr(error, "said_as_json", False) else json.dumps({"error": last_words(error)})


def _is_of_prefect(error: BaseException) -> bool:
    """Whether a call to the Prefect server failed: the only one that goes over httpx, for the API's client has httpx2."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__module__.partition(".")[0] in ("httpx", "httpcore"):
            return True
        cause = cause.__cause__ or cause.__context__
    return str(error).startswith("Failed to reach API at")
