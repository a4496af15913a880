"""Where the jobs of a night are: a path in which {date} stands for the day."""

from datetime import datetime
from zoneinfo import ZoneInfo

DATE = "{date}"


def dated_path(path: str, moment: datetime, time_zone: str) -> str:
    """The path with the day of a moment in place of {date}, as 2026-11-27; any other brace stays.

    Args:
        path: a file, a folder or a glob.
        moment: when the run was to begin, with its zone: a run that starts late is still of its own night.
        time_zone: of the policy: its days are those of the budgets.
    """
    return path.replace(DATE, f"{moment.astimezone(ZoneInfo(time_zone)):%Y-%m-%d}")
