"""What a ledger on PostgreSQL goes by, whatever the defaults of its database are."""

from typing import Any

from sqlalchemy import Engine, event

#: who has waited for the money lock must see what was committed meanwhile
ISOLATION = "READ COMMITTED"


def own_defaults(engine: Engine) -> Engine:
    """The same engine, whose commits survive a crash of the server, so that what has left is on record.

    A stricter setting of the database stays.
    """
    event.listen(engine, "connect", _commit_for_good)
    return engine


def _commit_for_good(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()
