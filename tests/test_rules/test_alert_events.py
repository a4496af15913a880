"""The events of a run: one for each thing that somebody has to hear of, and none of a night that is well."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from rules.alert_events import alert_events
from rules.project_month import project_month
from schemas.alert import AlertEventName, WaitingReviews
from schemas.outcome import RunOutcome
from schemas.report import Drift, RunReport, UsdFigures

NOW = datetime(2026, 11, 10, 3, tzinfo=UTC)
NOTHING = WaitingReviews(3)
USD = 10**9


def report(**values):
    return RunReport(run_id="run-1", outcome=RunOutcome.COMPLETE, **values)


def events(found, waiting=NOTHING):
    return {event.name: event.sentence for event in alert_events(found, waiting, NOW)}


def projection(cap):
    days = {date(2026, 11, n): 2 * USD for n in range(1, 11)}
    return project_month(cap * USD, days, date(2026, 11, 10), 5)


def test_a_night_that_is_well_sends_nothing():
    assert events(report(month_projections=[projection(100)])) == {}


def test_each_thing_sends_one_event_with_its_sentence():
    found = report(
        over_hold=2,
        usd=UsdFigures(over_hold=Decimal("0.5")),
        drift=[Drift(model="m", payload_class="text", detail="m, text: above the bound.")],
        month_projections=[projection(100), projection(50)],
    )
    sent = events(found, WaitingReviews(3, 2, NOW - timedelta(days=5, hours=1)))
    assert set(sent) == set(AlertEventName)
    assert sent[AlertEventName.OVER_HOLD].startswith("run-1: Over hold: 2 jobs")
    assert sent[AlertEventName.DRIFT] == "run-1: Drift of estimates. m, text: above the bound."
    assert sent[AlertEventName.OLD_REVIEWS].startswith(
        "run-1: 2 jobs wait for a person for more than 3 days, the oldest for 5: decide"
    )
    assert "the budget is reached about 2026-11-25" in sent[AlertEventName.CAP_PROJECTED]


def test_what_is_simulated_says_so():
    found = report(over_hold=1, usd=UsdFigures(over_hold=Decimal(1)), simulated=True)
    [sentence] = events(found).values()
    assert sentence.startswith("run-1: (simulated) Over hold")
