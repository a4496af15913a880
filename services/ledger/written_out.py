"""Written out: a state or an outcome that stands in a statement itself, rather than being passed to it."""

from enum import StrEnum

from sqlalchemy import literal_column
from sqlalchemy.sql.elements import ColumnClause

from schemas.ledger import AttemptRow
from schemas.outcome import AttemptState


def written_out(value: StrEnum) -> ColumnClause[str]:
    """A value of an enumeration of ours, for conditions on columns that say which rows an index has.

    A database uses an index of some rows only for a condition that it can read. And where a value is passed, SQLite
    compiles the statement again for each row that it is executed for, since the value might change its plan: see "host
    parameter" at https://sqlite.org/c3ref/prepare.html.
    """
    return literal_column(f"'{value.value}'")


#: the attempts that were answered, as the indexes of those alone have it
SUCCEEDED = AttemptRow.state == written_out(AttemptState.SUCCEEDED)
