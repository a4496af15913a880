"""`weighbridge time-zone`: whose days a ledger counts in."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.options import JsonOption, LedgerOption, opened_ledger
from schemas.errors import BadInput
from schemas.time_zone import known_zone
from services.ledger.day_zones import change_zone, zone_of


def time_zone(
    zone: Annotated[
        str | None,
        typer.Argument(
            help="The zone to count in from now on, such as Europe/Berlin; left out: only say which it is."
        ),
    ] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say in which time zone the ledger counts its days, or have it count them in another one.

    All runs of a ledger count their days and months in one zone, that of the first run, so that a cap holds for all of
    them. A change counts what was sent this month again in days of the new zone. It needs a moment without a run.
    """
    if zone is not None:
        try:
            known_zone(zone)
        except ValueError as error:
            raise BadInput(f"This is an {error}. Nothing was changed.") from error
    opened = opened_ledger(ledger)
    if zone is None:
        with opened.read() as connection:
            found = zone_of(connection)
        if as_json:
            print(json.dumps({"time_zone": found}))
        elif found is None:
            print(f"{opened.url} has no runs yet; it will count its days in the time zone of the first one.")
        else:
            print(f"{opened.url} counts its days in {found}.")
        return
    change = change_zone(opened, zone, datetime.now(UTC))
    if as_json:
        print(json.dumps({"time_zone": zone, "before": change.before, "recounted": change.recounted}))
        return
    print(
        f"{opened.url} counts its days in {zone} from now on (before: {change.before or 'none'}). "
        f"Attempts of this month that are of another day by that: {change.recounted:,}. Write "
        f'time_zone = "{zone}" in the policies.'
    )
