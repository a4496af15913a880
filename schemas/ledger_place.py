"""Where the ledger is: read without the libraries that open one, since they take longer than a look into it."""

import os
import re
from pathlib import Path

_DEFAULT = Path("data/ledger.db")
_SQLITE = "sqlite:///"
#: as PostgreSQL's own tools and DATABASE_URL have it: which driver opens it is not said
_WITHOUT_DRIVER = re.compile(r"postgres(ql)?://", re.IGNORECASE)
_WITH_DRIVER = "postgresql+psycopg://"


def default_ledger_url() -> str:
    """Where the ledger is when nobody says otherwise: below the current folder."""
    return f"{_SQLITE}{_DEFAULT.absolute()}"


def ledger_url_of(named: str | None) -> str:
    """The URL that an option names, or else WEIGHBRIDGE_LEDGER, or else the default."""
    return named_ledger_url(named) or default_ledger_url()


def named_ledger_url(named: str | None) -> str | None:
    """The URL that an option names, or else WEIGHBRIDGE_LEDGER; None: neither names one."""
    url = named or os.environ.get("WEIGHBRIDGE_LEDGER")
    return with_driver(url) if url else None


def with_driver(url: str) -> str:
    """A ledger's URL as it is shown, stored and compared: one of PostgreSQL names the driver that opens it."""
    return _WITHOUT_DRIVER.sub(_WITH_DRIVER, url, count=1) if _WITHOUT_DRIVER.match(url) else url


def plain_sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL without options; None for every other URL, which SQLAlchemy has to read."""
    name = url.removeprefix(_SQLITE)
    if name == url or not name or name == ":memory:" or "?" in name:
        return None
    return Path(name)
