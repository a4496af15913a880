"""The sentence that a command ends with when it fails."""

from schemas.errors import UNEXPECTED, WeighbridgeError
from schemas.failures import CallFailed


def is_expected(error: Exception) -> bool:
    """Whether the error is one that a person should read as a sentence, without a traceback."""
    return isinstance(error, WeighbridgeError | CallFailed)


def last_words(error: Exception) -> str:
    """What happened, what was kept and what to do next. Never payload text, never a key."""
    if isinstance(error, WeighbridgeError):
        return str(error)
    if isinstance(error, CallFailed):
        return (
            f"The API did not do what it was asked: {error}. What was held or settled is kept in the ledger; "
            "check the API's address and key, then repeat the command."
        )
    return UNEXPECTED.format(type(error).__name__)
