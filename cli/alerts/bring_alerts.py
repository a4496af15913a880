"""Alerts on a Prefect server, as commands bring them there."""

import asyncio
from typing import Annotated

import typer

from rules.watched_alerts import alerts
from schemas.alert import AlertChannels

#: how overdue a night may be when nobody says otherwise
LATE_HOURS = 2
WebhookOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="WEIGHBRIDGE_ALERT_WEBHOOK",
        help="Post each alert there, as JSON with subject and body.",
    ),
]


def bring_alerts(
    api: str, channels: AlertChannels, late_hours: int = LATE_HOURS, *, reset: bool = False
) -> None:
    """Bring all alerts to a server, and say what was done.

    Args:
        api: the server's API.
        channels: where they go.
        late_hours: how overdue a night may be.
        reset: also take back what was changed on the server.
    """
    from services.alerts import apply_alerts  # noqa: PLC0415 - Prefect takes seconds to import

    report = asyncio.run(apply_alerts(api, alerts(late_hours), channels, reset=reset))
    for words, names in (("made", report.made), ("reset", report.reset)):
        if names:
            print(f"Alerts {words}: {', '.join(names)}.")
    if report.kept:
        print(f"{report.kept} alerts are there already, as they should be.")
    for line in report.differences:
        print(f"Left as it is: {line}")
    if report.differences:
        print("`weighbridge alerts apply --reset`, with the same options, takes it back.")
