"""Where the ledger is: read without the libraries that open one, since they take longer than a look into it."""

import os
from pathlib import Path

_DEFAULT = Path("data/ledger.db")
_SQLITE = "sqlite:///"


def default_ledger_url() -> str:
    """Where the ledger is when nobody says otherwise: below the current folder."""
    return f"{_SQLITE}{_DEFAULT.absolute()}"


def ledger_url_of(named: str | None) -> str:
    """The URL that an option names, or else WEIGHBRIDGE_LEDGER, or else the default."""
    return named or os.environ.get("WEIGHBRIDGE_LEDGER") or default_ledger_url()


def plain_sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL without options; None for every other URL, which SQLAlchemy has to read."""
    name = url.removeprefix(_SQLITE)
    if name == url or not name or name == ":memory:" or "?" in name:
        return None
    return Path(name)
