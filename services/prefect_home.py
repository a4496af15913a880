"""A new home for a Prefect server: its empty database, copied, where Prefect's own migrations take seven CPU seconds.

The copy is `prefect_home.sql`. It is used for the version of Prefect that it was made with and for no other, and the
server migrates from it on: a test holds it equal to what the migrations make.
"""

import os
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

_TABLES = Path(__file__).with_name("prefect_home.sql")
#: settings that lead to another database than the one in the home
_ELSEWHERE = ("PREFECT_API_DATABASE_", "PREFECT_SERVER_DATABASE_")


def home_of(environment: Mapping[str, str]) -> Path:
    """The folder where Prefect keeps its things."""
    return Path(environment.get("PREFECT_HOME") or "~/.prefect").expanduser()


def make_database(environment: Mapping[str, str]) -> bool:
    """Put an empty database into a Prefect home that has none; whether it did.

    Args:
        environment: of the server; where it names a database of its own, nothing is made.
    """
    file = home_of(environment) / "prefect.db"
    text = _TABLES.read_text()
    is_of_this_version = text.partition("\n")[0].endswith(f" {version('prefect')}")
    if file.exists() or not is_of_this_version or any(name.startswith(_ELSEWHERE) for name in environment):
        return False
    with suppress(OSError):  # then the server makes it, or says why it cannot
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            made = Path(folder) / file.name
            with closing(sqlite3.connect(made)) as connection:
                connection.executescript(text)
            os.link(made, file)  # unlike a renaming, it never replaces what another server has just made
        return True
    return False
