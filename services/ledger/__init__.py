"""The ledger: the one record of every job, count, hold, bill and review. Any SQLAlchemy URL; SQLite by default."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.ledger.store import Ledger, open_ledger, open_to_read

__all__ = ["Ledger", "open_ledger", "open_to_read"]


def __getattr__(name: str) -> Any:
    """What opens a ledger is imported when it is asked for: `look_up` does without it, and so without its second."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("services.ledger.store"), name)
