"""Announce: send the events that alerts listen to, and project the month. Neither can stop a run."""

import logging
from datetime import datetime

from rules.alert_events import alert_events
from rules.caps import budget_day
from rules.project_month import project_month
from schemas.month_projection import MonthProjection
from schemas.outcome import Scope
from schemas.report import RunReport
from services.ledger.month_spend import month_spend
from services.ledger.old_reviews import old_reviews
from services.send_events import send_events
from tasks.run import Run

log = logging.getLogger("weighbridge")


def announce(run: Run, report: RunReport) -> None:
    """Send what somebody has to hear of. A Prefect server that is away, or whatever else is wrong, is logged once."""
    try:
        now = run.scale.clock()
        waiting = old_reviews(run.ledger, now, run.policy.alerts.review_days)
        send_events(alert_events(report, waiting, now), run.run_id, run.reference.prefect_flow_run_id)
    except Exception as error:  # noqa: BLE001 - the run has ended, and its report says the same
        log.warning(
            "What alerts listen to could not be sent (%s). The report of the run says the same.",
            type(error).__name__,
        )


def month_projections(run: Run) -> list[MonthProjection]:
    """What the month comes to under each of its caps, that of all jobs first."""
    today = datetime.fromisoformat(budget_day(run.policy, run.scale.clock())).date()
    spent = month_spend(run.ledger, f"{today:%Y-%m}")
    found = []
    for group in sorted(spent):
        cap = run.policy.cap(Scope.MONTH, group)
        if cap:
            days = run.policy.alerts.projection_days
            found.append(project_month(cap, spent[group], today, days, group or None))
    return found
