"""Which version of the tables this program works with: read from the names of the migrations, without Alembic."""

from functools import cache
from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
#: where a ledger says which version its tables are of; None is there where nobody made any
ASK_VERSION = "SELECT version_num FROM alembic_version"


@cache
def newest_revision() -> str:
    """The version of the tables that this program works with: the number that the last migration's name begins with."""
    return max(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))
