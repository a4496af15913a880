"""`weighbridge alerts apply`."""

import asyncio
import os
from typing import Annotated

import typer

from cli.alerts.bring_alerts import LATE_HOURS, WebhookOption, bring_alerts
from rules.watched_alerts import alerts
from schemas.alert import AlertChannels
from services.alerts import remove_alerts
from services.cockpit import named_server

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
    webhook: WebhookOption = None,
    slack: _Slack = None,
    email: _Email = None,
    email_from: _Sender = None,
    block: _Block = None,
    late_hours: Annotated[
        int, typer.Option(min=1, max=24, help="How many hours a night may be overdue.")
    ] = LATE_HOURS,
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
    api = named_server()
    if remove:
        removed = asyncio.run(remove_alerts(api, alerts(late_hours)))
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
    bring_alerts(api, channels, late_hours, reset=reset)
