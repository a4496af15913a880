"""A new home for a Prefect server: an empty database, copied, where Prefect's own migrations take seven CPU seconds.

    python -m services.prefect_home

makes the empty database once, next to the installed packages; `make setup` does. It is used for the version of Prefect
that it was made with and for no other, and the server migrates from it on. Without it, the server makes its own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

_FILE = "prefect.db"
#: settings that lead to another database than the one in the home
_ELSEWHERE = ("PREFECT_API_DATABASE_", "PREFECT_SERVER_DATABASE_")


def home_of(environment: Mapping[str, str]) -> Path:
    """The folder where Prefect keeps its things."""
    return Path(environment.get("PREFECT_HOME") or "~/.prefect").expanduser()


def empty_database() -> Path:
    """Where the empty database of the installed version of Prefect is kept."""
    return Path(sys.prefix) / "share" / "weighbridge" / f"prefect-{version('prefect')}.db"


def make_database(environment: Mapping[str, str]) -> bool:
    """Put an empty database into a Prefect home that has none; whether it did.

    Args:
        environment: of the server; where it names a database of its own, nothing is made.
    """
    file = home_of(environment) / _FILE
    empty = empty_database()
    if file.exists() or not empty.exists() or any(name.startswith(_ELSEWHERE) for name in environment):
        return False
    with suppress(OSError):  # then the server makes it, or says why it cannot
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            made = shutil.copyfile(empty, Path(folder) / file.name)
            os.link(made, file)  # unlike a renaming, it never replaces what another server has just made
        return True
    return False


def make_empty_database() -> None:
    """Let Prefect's migrations make an empty database, and keep it for `make_database`."""
    empty = empty_database()
    empty.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=empty.parent) as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
        subprocess.run(  # noqa: S603 - our own interpreter
            command, env=environment | {"PREFECT_HOME": folder}, check=True, stdout=subprocess.DEVNULL
        )
        Path(folder, _FILE).replace(empty)


if __name__ == "__main__":
    make_empty_database()
