"""What alerts listen to is sent at the end of a run, and can break none."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from rules.caps import budget_day
from schemas.alert import AlertEventName
from schemas.ledger import BudgetRow
from schemas.outcome import RunOutcome
from schemas.review_tables import ReviewRow
from tasks import announce as module
from tests.nights import night, text_row
from tests.strategies import policy

pytestmark = pytest.mark.one_database


@pytest.fixture(autouse=True)
def _without_prefect(monkeypatch):
    """Warnings go to the test, not to a Prefect server."""
    monkeypatch.setattr(logging.getLogger("weighbridge"), "handlers", [])


@pytest.fixture
def sent(monkeypatch):
    """What was sent: name and sentence."""
    found = []

    def send(events, run_id, flow_run):
        found.extend((event.name, event.sentence) for event in events)

    monkeypatch.setattr(module, "send_events", send)
    return found


def row(name, **more):
    return {"job_id": name, **text_row(name), **more}


async def test_a_night_that_is_well_sends_nothing(ledger, tmp_path, sent):
    _, report = await night(ledger, tmp_path, 1, [row("one")])
    assert report.outcome == RunOutcome.COMPLETE
    assert (sent, report.month_projections) == ([], [])


async def test_reviews_that_wait_for_longer_than_the_policy_says_are_announced_by_each_run(
    ledger, tmp_path, sent
):
    rules = {"alerts": {"review_days": 2}}
    await night(ledger, tmp_path, 1, [row("own", max_input_tokens=1)], **rules)
    assert sent == []
    with ledger.write() as connection:
        connection.execute(
            update(ReviewRow).values(created_at=datetime.now(UTC) - timedelta(days=2, hours=1))
        )
    await night(ledger, tmp_path, 2, [row("two")], **rules)
    [(name, sentence)] = sent
    assert name == AlertEventName.OLD_REVIEWS
    assert sentence.startswith(
        "run-2: (simulated) 1 job waits for a person for more than 2 days, the oldest for 2"
    )


async def test_a_cap_that_will_be_reached_is_in_the_report_and_announced(ledger, tmp_path, sent):
    today = budget_day(policy(), datetime.now(UTC))
    month = {"budget_usd": "5"}
    with (
        ledger.write() as connection
    ):  # a day that cost more than the month may: its own window is another row
        window = {"scope": "day", "period": today, "group_name": "", "held_nano_usd": 0}
        connection.execute(insert(BudgetRow).values(**window, settled_nano_usd=6 * 10**9))
    _, report = await night(ledger, tmp_path, 1, [row("one")], month=month, day={})
    [projection] = report.month_projections
    assert (projection.month, str(projection.reached_on)) == (today[:7], today)
    [(name, sentence)] = sent
    assert name == AlertEventName.CAP_PROJECTED
    assert "The budget is reached." in sentence


async def test_whatever_is_wrong_with_the_display_the_run_ends_and_one_line_is_logged(
    ledger, tmp_path, monkeypatch, caplog
):
    def fail(*_):
        raise ConnectionError("https://secret.example.com")

    monkeypatch.setattr(module, "send_events", fail)
    with caplog.at_level(logging.WARNING, logger="weighbridge"):
        _, report = await night(ledger, tmp_path, 1, [row("one")])
    assert report.outcome == RunOutcome.COMPLETE
    [line] = [record.getMessage() for record in caplog.records if "alerts" in record.getMessage()]
    assert "ConnectionError" in line
    assert "secret" not in line
