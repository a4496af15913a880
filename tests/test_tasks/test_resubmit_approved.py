"""What people decided about parked jobs is carried out by the runs after it, and by nothing else."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select, update

from schemas.ledger import AttemptRow, JobRow
from schemas.money import to_usd
from schemas.outcome import Method, RunOutcome
from schemas.payload.payload import Payload
from schemas.review import EditEstimate
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from services.ledger import reviews
from tests.fakes import identity
from tests.nights import night as run_a_night
from tests.nights import text_row

pytestmark = pytest.mark.one_database

TIGHT = {"request": {"max_input_tokens": 60}}


def _night(ledger, number, rows, changes, *, resubmit):
    folder = Path(ledger.engine.url.database).parent
    return asyncio.run(run_a_night(ledger, folder, number, rows, resubmit=resubmit, **TIGHT | changes))


def night(ledger, number, rows, **changes):
    """A nightly run over rows."""
    return _night(ledger, number, rows, changes, resubmit=False)


def resubmit(ledger, number, rows=None, **changes):
    """A run that sends what was approved, beside its rows if it has some."""
    return _night(ledger, number, rows, changes, resubmit=True)


def heavy(*job_ids, text="h" * 80):
    return [{"job_id": name} | text_row(f"{name} {text}") for name in job_ids]


def standing(ledger):
    with ledger.read() as connection:
        query = select(ReviewRow.__table__).order_by(ReviewRow.id)
        return {row.job_id: row for row in connection.execute(query)}


def outcomes(ledger, run_id):
    with ledger.read() as connection:
        query = select(JobRow.job_id, JobRow.outcome, JobRow.reason).where(JobRow.run_id == run_id)
        return {job_id: (outcome, reason) for job_id, outcome, reason in connection.execute(query)}


def ids(ledger, *names):
    return [standing(ledger)[name].id for name in names]


def test_what_was_approved_is_sent_once_and_its_review_is_closed(ledger):
    first, report = night(ledger, 1, heavy("a", "b"))
    assert (report.jobs.review, first.sent) == (2, [])
    assert reviews.approve(ledger, ids(ledger, "a"), "ana").changed == 1

    # a night that does not resubmit leaves it alone
    quiet, _ = night(ledger, 2, heavy("a", "b"))
    assert (quiet.sent, standing(ledger)["a"].status) == ([], "approved")

    sender, report = resubmit(ledger, 3)
    assert (report.jobs.read, report.jobs.succeeded, report.outcome) == (1, 1, RunOutcome.COMPLETE)
    assert [body["messages"][0]["content"][:1] for body in sender.sent] == ["a"]
    assert sender.counted == []  # the ledger knows what it weighs
    closed = standing(ledger)["a"]
    assert (closed.status, closed.sent_run_id, standing(ledger)["b"].status) == ("sent", "run-3", "pending")
    with ledger.read() as connection:
        assert connection.scalars(select(AttemptRow.attempt_id)).all() == [closed.sent_attempt_id]

    again, report = resubmit(ledger, 4)
    assert (report.jobs.read, again.sent) == (0, [])
    later, report = night(ledger, 5, heavy("a", "b"))
    assert (later.sent, report.from_earlier_runs, report.jobs.review) == ([], 1, 1)


def test_a_run_may_send_what_was_approved_beside_its_own_rows(ledger):
    night(ledger, 1, heavy("a", "b", "c"))
    reviews.approve(ledger, ids(ledger, "a", "c"), "ana")
    sender, report = resubmit(ledger, 2, [*heavy("a", "b"), {"job_id": "d"} | text_row("light")])
    assert outcomes(ledger, "run-2") == {
        "a": ("succeeded", None),
        "b": ("review", "over_input_limit"),
        "c": ("succeeded", None),
        "d": ("succeeded", None),
    }
    assert (len(sender.sent), report.jobs.read) == (3, 4)
    assert {name: row.status for name, row in standing(ledger).items()} == {
        "a": "sent",
        "b": "pending",
        "c": "sent",
    }


def test_a_rejected_job_is_not_sent_however_high_the_limits(ledger):
    night(ledger, 1, heavy("a"))
    reviews.reject(ledger, ids(ledger, "a"), "ana", note="twice a week is enough")
    for number, start in enumerate((night, resubmit), start=2):
        gateway, report = start(ledger, number, heavy("a"), request={"max_input_tokens": 10_000})
        assert (gateway.sent, gateway.counted) == ([], [])
        assert outcomes(ledger, f"run-{number}") == {"a": ("rejected", "rejected_by_reviewer")}
        # nothing is left to be fixed
        assert report.outcome == RunOutcome.COMPLETE
        assert report.reasons[0].example_detail.endswith("twice a week is enough")


@pytest.mark.parametrize(
    ("ceiling", "said"),
    [({"ceiling_usd": Decimal("0.9"), "ceiling_tokens": 5_000}, None), ({}, "approved up to")],
)
def test_a_job_goes_out_only_while_its_fresh_figures_are_within_the_ceiling(ledger, ceiling, said):
    night(ledger, 1, heavy("a"))
    reviews.approve(ledger, ids(ledger, "a"), "ana", **ceiling)
    # a margin of half as much again makes it dearer than it was when it was looked at
    sender, _ = resubmit(ledger, 2, margin={"input_percent": 50, "input_tokens": 500})
    review = standing(ledger)["a"]
    if said is None:
        assert (len(sender.sent), review.status) == (1, "sent")
    else:
        assert (sender.sent, outcomes(ledger, "run-2")) == ([], {"a": ("review", "over_ceiling")})
        assert (review.status, review.reason) == ("pending", "over_ceiling")
        assert said in review.detail
        assert len(standing(ledger)) == 1


def test_an_approval_that_has_expired_sends_nothing(ledger):
    night(ledger, 1, heavy("a"))
    reviews.approve(ledger, ids(ledger, "a"), "ana", expires_in=timedelta(hours=1))
    with ledger.write() as connection:
        connection.execute(update(ReviewRow).values(expires_at=datetime.now(UTC) - timedelta(minutes=1)))
    gateway, _ = resubmit(ledger, 2)
    assert (gateway.sent, standing(ledger)["a"].status) == ([], "expired")


def edited(ledger, name, text):
    payload = Payload.checked({"messages": [{"role": "user", "content": text}], "max_tokens": 50})
    figures = EditEstimate("claude-haiku-5-5", 90, Method.COUNTED, 10**7)
    assert reviews.edit(ledger, ids(ledger, name)[0], "ana", payload, figures).changed == 1


def test_an_edit_is_sent_in_its_originals_place_and_answers_it_ever_after(ledger):
    night(ledger, 1, heavy("a"))
    edited(ledger, "a", "short")
    # the original is not sent beside it, even when the limits allow it
    quiet, report = night(ledger, 2, heavy("a"), request={"max_input_tokens": 10_000})
    assert (quiet.sent, report.jobs.review) == ([], 1)
    sender, _ = resubmit(ledger, 3, heavy("a"))
    assert [orjson.loads(identity(body))["messages"][0]["content"] for body in sender.sent] == ["short"]
    assert standing(ledger)["a"].status == "sent"
    for number in (4, 5):
        later, report = night(ledger, number, heavy("a"), request={"max_input_tokens": 10_000})
        assert (later.sent, later.counted, report.from_earlier_runs) == ([], [], 1)
    assert len(standing(ledger)) == 1


def test_an_approved_job_of_unknown_outcome_waits_again_and_is_sent_again_only_when_approved_again(ledger):
    night(ledger, 1, heavy("a", text="send:maybe " + "h" * 80))
    reviews.approve(ledger, ids(ledger, "a"), "ana")
    first, _ = resubmit(ledger, 2)
    review = standing(ledger)["a"]
    assert (len(first.sent), review.status, review.reason) == (1, "pending", "unknown_outcome")
    second, _ = resubmit(ledger, 3)
    assert second.sent == []
    reviews.approve(ledger, [review.id], "ana", note="the bill does not show it")
    third, _ = resubmit(ledger, 4)
    assert len(third.sent) == 1


def test_an_approval_given_before_an_attempt_of_unknown_outcome_does_not_send_it_again(ledger):
    night(ledger, 1, heavy("a", text="send:maybe " + "h" * 80))
    reviews.approve(ledger, ids(ledger, "a"), "ana")
    # another night sends it within its own, higher limits, and no answer comes
    other, _ = night(
        ledger, 2, heavy("a", text="send:maybe " + "h" * 80), request={"max_input_tokens": 10_000}
    )
    assert len(other.sent) == 1
    again, _ = resubmit(ledger, 3)
    assert again.sent == []


def test_what_the_api_refuses_of_an_approved_job_is_seen_by_a_person(ledger):
    night(ledger, 1, heavy("a"))
    edited(ledger, "a", "count:refused")
    gateway, _ = resubmit(ledger, 2)
    assert gateway.sent == []
    review = standing(ledger)["a"]
    assert (review.status, review.reason) == ("pending", "refused_by_api")


def test_approved_jobs_stay_under_the_budgets_and_wait_for_the_next_run(ledger):
    night(ledger, 1, heavy("a", "b", "c"))
    reviews.approve(ledger, ids(ledger, "a", "b", "c"), "ana")
    enough_for_one = to_usd(standing(ledger)["a"].worst_case_nano_usd)
    gateway, report = resubmit(ledger, 2, run={"budget_usd": enough_for_one})
    assert (report.outcome, report.jobs.succeeded, report.jobs.deferred) == (RunOutcome.BUDGET_STOP, 1, 2)
    assert sorted(row.status for row in standing(ledger).values()) == ["approved", "approved", "sent"]
    more, report = resubmit(ledger, 3)
    assert (report.jobs.succeeded, len(gateway.sent) + len(more.sent)) == (2, 3)


@pytest.mark.parametrize(
    "kept", ['{"messages": [{"role": "user", "content": "other"}], "max_tokens": 50}', None]
)
def test_an_edit_that_is_not_the_one_decided_about_is_not_sent(ledger, kept):
    night(ledger, 1, heavy("a", "b"))
    edited(ledger, "a", "short")
    edited(ledger, "b", "brief")
    with ledger.write() as connection:
        changed = update(ReviewPayloadRow).where(ReviewPayloadRow.review_id.in_(ids(ledger, "a")))
        connection.execute(changed.values(edited_payload=kept))
    sender, _ = resubmit(ledger, 2)
    assert [body["messages"][0]["content"] for body in sender.sent] == ["brief"]
    # nor is its original, when the run reads it
    again, report = resubmit(ledger, 3, heavy("a"), request={"max_input_tokens": 10_000})
    assert (again.sent, report.jobs.review, standing(ledger)["a"].status) == ([], 1, "edited")
