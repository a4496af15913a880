"""`weighbridge alerts list`."""

import asyncio
import json
from dataclasses import asdict

from cli.alerts.bring_alerts import LATE_HOURS
from cli.options import JsonOption
from rules.watched_alerts import alerts
from services.alerts import alerts_on_server
from services.cockpit import named_server

_MARKS = {True: "on ", False: "OFF", None: " - "}


def list_alerts(as_json: JsonOption = False) -> None:
    """List what is watched, and which alerts are on.

    "on": it is on the Prefect server; "OFF": it is there and switched off; "-": it is not there.
    """
    found = asyncio.run(alerts_on_server(named_server(), alerts(LATE_HOURS)))
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
        return
    for one in found:
        where = f" To: {', '.join(one.sends_to)}." if one.sends_to else ""
        print(f"{_MARKS[one.on]}  {one.name}  {one.watches}{where}")
    if all(one.on is None for one in found):
        print("`weighbridge alerts apply` makes them.")
