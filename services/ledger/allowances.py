"""Allowances: the rates of an account, of which every process leases blocks by the database's clock.

One row is one rate of one account. Who leases a block reads the row, books what it has used, takes its part and writes
the row, in one short transaction; nobody else is at the row meanwhile.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Integer, cast, func, select, update

from rules.lease_block import Allowance, Block, BlockAsk, Holding, lease_block
from schemas.allowance_table import AllowanceRow
from services.ledger.store import Ledger, upsert

Clock = Callable[[Connection], int]


def database_micros(connection: Connection) -> int:
    """The moment by the database's clock, microseconds since 1970; SQLite knows it to the millisecond."""
    if connection.dialect.name == "postgresql":
        seconds = func.extract("epoch", func.clock_timestamp())
        return int(connection.scalar(select(seconds * 1_000_000)) or 0)
    days = func.julianday("now") - 2_440_587.5
    return (connection.scalar(select(cast(func.round(days * 86_400_000), Integer))) or 0) * 1_000


def lease(
    ledger: Ledger, account: str, limit_name: str, ask: BlockAsk, clock: Clock = database_micros
) -> Block:
    """Book what a process has used of a rate, and give it its next block.

    Args:
        ledger: the ledger.
        account: whose rate it is: processes that name the same one share it.
        limit_name: which of the account's rates.
        ask: what the process reports and asks for.
        clock: the database's.

    Raises:
        LedgerUnavailable: the ledger cannot be written just now; nothing was leased.
    """
    here = (AllowanceRow.account == account, AllowanceRow.limit_name == limit_name)
    with ledger.write() as connection:
        query = select(AllowanceRow.__table__).where(*here).with_for_update()
        row = connection.execute(query).first()
        if row is None:
            _begin(connection, account, limit_name)
            row = connection.execute(query).one()
        allowance = _read(row)
        block = lease_block(allowance, ask, clock(connection))
        connection.execute(update(AllowanceRow).where(*here).values(**_columns(allowance)))
    return block


def _begin(connection: Connection, account: str, limit_name: str) -> None:
    new = upsert(connection, AllowanceRow).values(
        account=account, limit_name=limit_name, **_columns(Allowance())
    )
    connection.execute(new.on_conflict_do_nothing())


def _read(row: Any) -> Allowance:
    return Allowance(
        next_turn=row.next_turn_us,
        paused_until=row.paused_until_us,
        stated=row.stated,
        taken={int(span): (tokens[0], tokens[1]) for span, tokens in row.taken.items()},
        holdings={name: _holding(stored) for name, stored in row.holdings.items()},
    )


def _holding(stored: dict[str, Any]) -> Holding:
    return Holding(
        beat=stored["beat"],
        asked=stored["asked"],
        until=stored["until"],
        tokens=(stored["tokens"][0], stored["tokens"][1]),
        since=stored["since"],
        need=(stored["need"][0], stored["need"][1]),
    )


def _columns(allowance: Allowance) -> dict[str, Any]:
    holdings = {
        name: {
            "beat": one.beat,
            "asked": one.asked,
            "until": one.until,
            "tokens": one.tokens,
            "since": one.since,
            "need": one.need,
        }
        for name, one in allowance.holdings.items()
    }
    return {
        "next_turn_us": allowance.next_turn,
        "paused_until_us": allowance.paused_until,
        "stated": allowance.stated,
        "taken": {str(span): tokens for span, tokens in allowance.taken.items()},
        "holdings": holdings,
    }
