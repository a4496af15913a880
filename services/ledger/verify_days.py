"""Verifying the days that the caps of a ledger are of: one known time zone, which every run and every attempt goes by."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from rules.misplaced_days import CountedDay, misplaced_days
from rules.verdict import Examples, Fact, verdict
from schemas.day_zone_table import DayZoneRow
from schemas.ledger import AttemptRow, RunRow
from schemas.time_zone import known_zone
from schemas.verification import CheckFinding
from services.ledger.day_zones import month_start
from services.ledger.verify_rows import examples

_NAME = "days"
_SET_IT = "Have the ledger count in the zone of your policies, at a moment without a run: `weighbridge time-zone ZONE`."


def check_days(connection: Connection) -> CheckFinding:
    """The days of the caps are those of one known time zone, for every run since it holds."""
    zones = connection.execute(
        select(DayZoneRow.time_zone, DayZoneRow.since).order_by(DayZoneRow.id.desc()).limit(2)
    ).all()
    if not zones:
        without = examples(connection, select(RunRow.run_id))
        return verdict(
            _NAME, "no run has fixed a time zone yet", [Fact("runs without one", without, _SET_IT)]
        )
    name, since = zones[0]
    try:
        zone = ZoneInfo(known_zone(name))
    except ValueError:
        return verdict(_NAME, "", [Fact("unknown time zones", Examples(1, (name,)), _SET_IT)])
    own_zone = func.coalesce(RunRow.policy["time_zone"].as_string(), "UTC")
    others = select(RunRow.run_id).where(RunRow.started_at > since, own_zone != name)
    # what a change counted again goes by the new zone too
    start = since if len(zones) == 1 else month_start(since, zone)
    misplaced = _misplaced(connection, zone, start)
    return verdict(
        _NAME,
        f"the days of all caps are days in {name}",
        [
            Fact(
                f"runs that count their days in another zone than {name}",
                examples(connection, others),
                _SET_IT,
            ),
            Fact(
                f"days with attempts that left on another day by the clocks in {name}",
                Examples(len(misplaced), tuple(misplaced[:3])),
                "If the clocks of the machines are right, count this month again, at a moment without a run: "
                f"`weighbridge time-zone {name}`.",
                is_fault=False,
            ),
        ],
    )


def _misplaced(connection: Connection, zone: ZoneInfo, start: datetime) -> list[str]:
    """The days, since a moment, under which something is counted that left on another one."""
    sent = AttemptRow.sent_at
    query = (
        select(AttemptRow.budget_day, func.min(sent), func.max(sent))
        .where(sent >= start)
        .group_by(AttemptRow.budget_day)
        .order_by(AttemptRow.budget_day)
    )
    return misplaced_days((CountedDay(*row) for row in connection.execute(query)), zone)
