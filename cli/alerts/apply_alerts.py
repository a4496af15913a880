"""`weighbridge alerts apply`."""

import asyncio
import os
from typing import Annotated

import typer

from rules.watched_alerts import alerts
from schemas.alert import AlertChannels, AppliedAlerts
from services.alerts import apply_alerts, remove_alerts
from services.cockpit import named_server

_Webhook = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="WEIGHBRIDGE_ALERT_WEBHOOK",
        help="Post each alert there, as JSON with subject and body.",
    ),
]
_Slack = Annotated[
    str | None,
    typer.Option(metavar="URL", envvar="WEIGHBRIDGE_ALERT_SLACK", help="An incoming webhook of Slack."),
]
_Email = Annotated[
    list[str] | None,
    typer.Option(metavar="ADDRESS", help="By SendGrid, with the key in SENDGRID_API_KEY; may be repeated."),
]
_Sender = Annotated[str | None, typer.Option(metavar="ADDRESS", help="The sender of --email.")]
_Block = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TYPE/NAME", help="A notification block that is on the server already; may be repeated."
    ),
]


def apply(
    webhook: _Webhook = None,
    slack: _Slack = None,
    email: _Email = None,
    email_from: _Sender = None,
    block: _Block = None,
    late_hours: Annotated[
        int, typer.Option(min=1, max=24, help="How many hours a night may be overdue.")
    ] = 2,
    reset: Annotated[
        bool, typer.Option("--reset", help="Take back what was changed on the alerts in the Prefect UI.")
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take the alerts away, and the blocks that were made for them.")
    ] = False,
) -> None:
    """Make the alerts on the Prefect server, or take them away.

    An alert that is there already stays as it is, and so does what was changed on one in the Prefect UI, which is named;
    --reset takes it back.
    """
    api, specs = named_server(), alerts(late_hours)
    if remove:
        removed = asyncio.run(remove_alerts(api, specs))
        print(f"Removed: {', '.join(removed)}." if removed else "There was nothing to remove.")
        return
    channels = AlertChannels(
        webhook=webhook,
        slack=slack,
        email=tuple(email or ()),
        email_from=email_from,
        sendgrid_key=os.environ.get("SENDGRID_API_KEY"),
        blocks=tuple(block or ()),
    )
    _say(asyncio.run(apply_alerts(api, specs, channels, reset=reset)))


def _say(report: AppliedAlerts) -> None:
    for words, names in (("made", report.made), ("reset", report.reset)):
        if names:
            print(f"Alerts {words}: {', '.join(names)}.")
    if report.kept:
        print(f"{report.kept} alerts are there already, as they should be.")
    for line in report.differences:
        print(f"Left as it is: {line}")
    if report.differences:
        print("`weighbridge alerts apply --reset`, with the same options, takes it back.")
