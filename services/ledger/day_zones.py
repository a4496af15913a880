"""The time zone of a ledger: whose days and months its windows of money are of.

A cap holds for all jobs of a day. If one run counted in days of Berlin and another in days of New York, what they send at
one moment would stand in two windows, and in the course of one day each could take the whole cap. So a ledger has one
zone, which only `change_zone` changes, and what was sent this month is then counted again in days of the new one.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from rules.ledger_option import ledger_option
from schemas.budget import Payers, Window
from schemas.day_zone_table import DayZoneRow
from schemas.errors import BadInput
from schemas.ledger import AttemptRow, RunRow
from services.ledger.payers import payers_of
from services.ledger.store import Ledger
from services.ledger.windows import OF_DAY, add_to_windows, one_at_a_time, put_on_record

#: attempts that are looked at together
_PAGE = 1_000
#: no two zones are further apart, and an attempt is never counted under a day further from its moment
_APART = timedelta(days=2)
_MOMENT = func.coalesce(AttemptRow.sent_at, AttemptRow.opened_at)
_RUNS_NAMED = 3


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """What a change of the zone did.

    Attributes:
        before: the zone until then; None: the ledger had none.
        recounted: attempts that are counted under another day now.
    """

    before: str | None
    recounted: int


def zone_of(connection: Connection) -> str | None:
    """The time zone that a ledger counts its days in; None while no run has been put on record."""
    return connection.scalar(select(DayZoneRow.time_zone).order_by(DayZoneRow.id.desc()).limit(1))


def assert_zone(connection: Connection, url: str, time_zone: str) -> None:
    """Check that a policy counts its days in the zone of the ledger, if that has one.

    Args:
        connection: the caller's transaction.
        url: of the ledger, as it may be shown.
        time_zone: of the policy.

    Raises:
        BadInput: it counts them in another.
    """
    zone = zone_of(connection)
    if zone in (None, time_zone):
        return
    raise BadInput(
        f"The ledger {url} counts its days in {zone}, and the policy has the time zone {time_zone}. With days of two zones, "
        "the cap of a day could be spent twice within it. Nothing was counted or sent. Write "
        f'time_zone = "{zone}" in the policy, or have the ledger count in days of {time_zone} from now on: '
        f"weighbridge time-zone {time_zone}{ledger_option(url)}"
    )


def keep_zone(connection: Connection, url: str, time_zone: str) -> None:
    """Count the days of a ledger in a run's zone from its first run on; see `assert_zone`."""
    one_at_a_time(connection)
    assert_zone(connection, url, time_zone)
    if zone_of(connection) is None:
        connection.execute(insert(DayZoneRow).values(time_zone=time_zone, since=datetime.now(UTC)))


def change_zone(ledger: Ledger, time_zone: str, now: datetime) -> ZoneChange:
    """Count the days of a ledger in another zone, and what was sent this month with them, in one transaction.

    Older windows stay as they are: nothing is held in them any more. So does what was pruned of this month.

    Args:
        ledger: the ledger.
        time_zone: an IANA name.
        now: the moment, which says the month.

    Raises:
        BadInput: a run has not ended, which counts in the zone as it is. Nothing was changed.
    """
    with ledger.write() as connection:
        one_at_a_time(connection)
        _assert_no_run(connection, ledger.url)
        before = zone_of(connection)
        connection.execute(insert(DayZoneRow).values(time_zone=time_zone, since=now))
        zone = ZoneInfo(time_zone)
        start = month_start(now, zone) - _APART
        recounted = sum(_recount(connection, page, zone) for page in _sent_since(connection, start))
    return ZoneChange(before, recounted)


def month_start(moment: datetime, zone: ZoneInfo) -> datetime:
    """When the month of a moment began by the clocks of a zone: from then on, a change at that moment counts again."""
    return moment.astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _assert_no_run(connection: Connection, url: str) -> None:
    query = select(RunRow.run_id).where(RunRow.ended_at.is_(None)).order_by(RunRow.started_at)
    unended = list(connection.scalars(query))
    if not unended:
        return
    named = ", ".join(unended[:_RUNS_NAMED])
    if len(unended) > _RUNS_NAMED:
        named += f" and {len(unended) - _RUNS_NAMED:,} more"
    raise BadInput(
        f"Runs that have not ended count in the time zone as it is: {named}. Nothing was changed. Wait for them, or finish "
        f"those that were interrupted: weighbridge collect{ledger_option(url)}"
    )


def _sent_since(connection: Connection, start: datetime) -> Iterator[Sequence[Row[Any]]]:
    """The attempts that left, or were to leave, from a moment on, in pages."""
    columns = (
        *OF_DAY,
        func.coalesce(AttemptRow.actual_nano_usd, 0).label("settled"),
        AttemptRow.sent_at,
        AttemptRow.opened_at,
    )
    last = ""
    while True:
        query = select(*columns).where(start <= _MOMENT, AttemptRow.attempt_id > last)
        page = connection.execute(query.order_by(AttemptRow.attempt_id).limit(_PAGE)).all()
        if not page:
            return
        yield page
        last = page[-1].attempt_id


def _recount(connection: Connection, attempts: Sequence[Row[Any]], zone: ZoneInfo) -> int:
    """Move attempts with their money to the days on which they left by the clocks of a zone; how many changed."""
    held: Counter[Window] = Counter()
    settled: Counter[Window] = Counter()
    moved = []
    payers = payers_of(connection, attempts)
    for row in attempts:
        day = (row.sent_at or row.opened_at).astimezone(zone).date().isoformat()
        if day == row.budget_day:
            continue
        moved.append({"r_id": row.attempt_id, "v_day": day})
        bears = payers[row.attempt_id]
        _shift(held, bears, row, day, row.held_nano_usd)
        _shift(settled, bears, row, day, row.settled)
    if not moved:
        return 0
    connection.execute(
        update(AttemptRow)
        .where(AttemptRow.attempt_id == bindparam("r_id"))
        .values(budget_day=bindparam("v_day")),
        moved,
    )
    put_on_record(connection, held)
    add_to_windows(connection, {window: (held[window], settled[window]) for window in held})
    return len(moved)


def _shift(changes: Counter[Window], bears: Payers, row: Row[Any], day: str, amount: int) -> None:
    """Note an amount of an attempt as moved from the windows of its day to those of another one."""
    changes.update(bears.in_windows(row.run_id, day, amount))
    changes.subtract(bears.in_windows(row.run_id, row.budget_day, amount))
