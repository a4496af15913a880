"""The ledger: the one record of every job, count, hold, bill and review. Any SQLAlchemy URL; SQLite by default."""

from services.ledger.store import Ledger, open_ledger, open_to_read

__all__ = ["Ledger", "open_ledger", "open_to_read"]
