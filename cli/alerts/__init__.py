"""`weighbridge alerts`: who hears of what happens at night. Each command is imported when it is called."""

from typer.core import TyperGroup

from cli.lazy_command import LazyCommand

alerts = TyperGroup(
    name="alerts",
    help="Say who is notified of what happens at night, through the Prefect server.",
    no_args_is_help=True,
    commands=(
        LazyCommand(
            "apply",
            "cli.alerts.apply_alerts:apply",
            "Make the alerts on the Prefect server, or take them away.",
        ),
        LazyCommand(
            "list", "cli.alerts.list_alerts:list_alerts", "List what is watched, and which alerts are on."
        ),
    ),
)
