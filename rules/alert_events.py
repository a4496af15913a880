"""The events that a run sends at its end, for alerts to listen to: what its report says, and what waits."""

from collections.abc import Iterator
from datetime import datetime

from rules.projection_text import projection_line
from rules.report_text import alarm_lines
from schemas.alert import AlertEvent, AlertEventName, WaitingReviews
from schemas.report import RunReport
from schemas.words import with_noun


def alert_events(report: RunReport, waiting: WaitingReviews, now: datetime) -> Iterator[AlertEvent]:
    """What somebody has to hear of, an event each.

    Args:
        report: of the run.
        waiting: reviews that wait too long.
        now: the moment.
    """
    simulated = "(simulated) " if report.simulated else ""

    def event(name: AlertEventName, sentence: str) -> AlertEvent:
        return AlertEvent(name, f"{report.run_id}: {simulated}{sentence}")

    if report.over_hold:
        over = [line for line in alarm_lines(report) if line.startswith(("Over hold", "Cap passed"))]
        yield event(AlertEventName.OVER_HOLD, " ".join(over))
    if report.drift:
        details = " ".join(one.detail for one in report.drift)
        yield event(AlertEventName.DRIFT, f"Drift of estimates. {details}")
    if waiting.reviews and waiting.oldest is not None:
        age = (now - waiting.oldest).days
        jobs = with_noun(waiting.reviews, "job waits", "jobs wait")
        yield event(
            AlertEventName.OLD_REVIEWS,
            f"{jobs} for a person for more than {waiting.days} days, the oldest for {age}: decide with `weighbridge "
            "review list` or on the review page.",
        )
    for found in report.month_projections:
        if found.reached_on is not None:
            yield event(AlertEventName.CAP_PROJECTED, projection_line(found))
