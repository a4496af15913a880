"""Jobs with the same payload: one is sent, whatever becomes of it, and what a person decides about it holds for all."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from schemas.ledger import BudgetRow, JobRow
from schemas.money import to_usd
from schemas.outcome import Method, RunOutcome
from schemas.payload.payload import Payload
from schemas.review import EditEstimate
from schemas.review_tables import ReviewRow
from services.ledger import reviews
from services.ledger.verify import verify
from tests.fake_batches import BatchGateway
from tests.nights import night as run_a_night
from tests.nights import text_row

pytestmark = pytest.mark.one_database

TIGHT = {"request": {"max_input_tokens": 60}}
HEAVY = "h" * 80


def night(ledger, number, rows, **changes):
    """A run over rows, after which the ledger is true."""
    folder = Path(ledger.engine.url.database).parent
    gateway, report = asyncio.run(run_a_night(ledger, folder, number, rows, **changes))
    found = verify(ledger, folder)
    assert found.ok, [check for check in found.checks if not check.ok]
    return gateway, report


def same(*job_ids, text="the same", **more):
    return [{"job_id": name} | text_row(text, **more) for name in job_ids]


def outcomes(ledger, run_id):
    with ledger.read() as connection:
        query = select(JobRow.job_id, JobRow.outcome, JobRow.reason).where(JobRow.run_id == run_id)
        return {job_id: (outcome, reason) for job_id, outcome, reason in connection.execute(query)}


def standing(ledger):
    with ledger.read() as connection:
        return {row.job_id: row for row in connection.execute(select(ReviewRow.__table__))}


def published(ledger, number):
    folder = Path(ledger.engine.url.database).parent / f"run-{number}"
    return [row for part in sorted(folder.glob("results-*")) for row in pq.read_table(part).to_pylist()]


def test_one_is_counted_and_sent_and_each_has_its_answer_in_the_results(ledger):
    rows = [*same("a", "b"), *same("c", text="another"), *same("d", priority=1)]
    gateway, report = night(ledger, 1, rows)
    assert (len(gateway.counted), len(gateway.sent), report.jobs.succeeded) == (2, 2, 4)
    assert report.outcome == RunOutcome.COMPLETE
    found = {row["job_id"]: row for row in published(ledger, 1)}
    assert set(found) == {"a", "b", "c", "d"}
    assert {row["text"] for row in found.values()} == {"answer"}
    assert found["a"]["cost_usd"] == found["b"]["cost_usd"] == 0
    assert sum(row["cost_usd"] for row in found.values()) == report.usd.actual
    assert (report.shared.jobs, report.shared.saved_usd) == (2, 2 * found["d"]["cost_usd"])


def test_a_later_job_with_another_id_gets_the_kept_answer_for_nothing(ledger):
    night(ledger, 1, same("a"))
    gateway, report = night(ledger, 2, same("b", "a", "c"))
    assert (gateway.counted, gateway.sent, report.jobs.succeeded, report.usd.actual) == ([], [], 3, 0)
    assert (report.from_earlier_runs, report.shared.jobs) == (3, 2)
    assert {row["job_id"]: row["paid_in_run"] for row in published(ledger, 2)} == dict.fromkeys(
        "abc", "run-1"
    )


@pytest.mark.parametrize("mode", ["messages", pytest.param("batches", marks=pytest.mark.slow)])
def test_without_sharing_each_job_is_paid_for(ledger, mode):
    changes = {"run": {"share_answers": False}, "mode": mode}
    gateway = BatchGateway()
    for number, (rows, paid) in enumerate(((same("a", "b", "c"), 3), (same("a", "d"), 4)), start=1):
        _, report = night(ledger, number, rows, gateway=gateway, **changes)
        assert len(gateway.sent) + sum(len(items) for items in gateway.made.values()) == paid
        assert (report.shared.jobs, report.jobs.succeeded) == (0, len(rows))


def test_what_is_private_to_a_group_is_shared_within_it_alone(ledger):
    rows = [*same("a", "b", group="ana"), *same("c", "d", group="ben"), *same("e", "f")]
    private = {"run": {"answers_private_to_group": True}}
    gateway, report = night(ledger, 1, rows, **private)
    assert (len(gateway.sent), report.shared.jobs) == (3, 3)
    later = [*same("g", group="ana"), *same("h", group="eve"), *same("i")]
    gateway, report = night(ledger, 2, later, **private)
    assert (len(gateway.sent), report.shared.jobs) == (1, 2)


@pytest.mark.parametrize("mode", ["messages", pytest.param("batches", marks=pytest.mark.slow)])
def test_what_is_split_is_borne_by_each_group_and_asked_of_each_cap(ledger, mode):
    rows = [*same("a", "b", group="ana"), *same("c", group="ben"), *same("d")]
    split = {"run": {"pays": "split"}, "mode": mode}
    _, report = night(ledger, 1, rows, groups={"ben": {"day": {"budget_usd": "0.000001"}}}, **split)
    assert outcomes(ledger, "run-1") == dict.fromkeys("abcd", ("deferred", "group_budget"))
    assert "its share of" in report.reasons[0].example_detail
    _, report = night(ledger, 2, rows, gateway=BatchGateway(), **split)
    costs = {row["job_id"]: row["cost_usd"] for row in published(ledger, 2)}
    assert sum(costs.values()) == report.usd.actual > 0
    assert costs["b"] == costs["c"] == costs["d"] <= costs["a"] < costs["b"] + Decimal("0.000000004")
    with ledger.read() as connection:
        query = select(BudgetRow.group_name, BudgetRow.settled_nano_usd).where(BudgetRow.period == "run-2")
        settled = {group: to_usd(nano) for group, nano in connection.execute(query)}
    assert settled == {"": report.usd.actual, "ana": costs["a"] + costs["b"], "ben": costs["c"]}


def test_in_a_batch_the_payload_stands_once(ledger):
    gateway, report = night(
        ledger, 1, [*same("a", "b", "c"), *same("d", text="x")], gateway=BatchGateway(), mode="batches"
    )
    [items] = gateway.made.values()
    assert (len(items), report.jobs.succeeded, report.shared.jobs) == (2, 4, 2)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("count:refused", "rejected"),
        ("send:refused", "rejected"),
        ("count:passing", "failed"),
        ("send:passing", "failed"),
        ("send:maybe", "unknown"),
        ("send:spend", "deferred"),
    ],
)
def test_what_becomes_of_the_one_becomes_of_all_in_the_same_words(ledger, fault, outcome):
    gateway, report = night(ledger, 1, same("a", "b", "c", text=fault))
    assert len(gateway.sent) == fault.startswith("send:")
    with ledger.read() as connection:
        query = select(JobRow.outcome, JobRow.reason, JobRow.detail).distinct()
        [(ended, _, _)] = connection.execute(query).all()
    assert ended == outcome
    assert getattr(report.jobs, outcome) == 3
    # an attempt in doubt is one, and so is its review
    assert list(standing(ledger)) == (["a"] if outcome == "unknown" else [])


def test_money_that_runs_out_defers_all_that_share_and_the_next_run_answers_them(ledger):
    _, report = night(ledger, 1, same("a", "b"), run={"budget_usd": "0.000001"})
    assert outcomes(ledger, "run-1") == dict.fromkeys("ab", ("deferred", "run_budget"))
    gateway, report = night(ledger, 2, same("a", "b"))
    assert (len(gateway.sent), report.jobs.succeeded) == (1, 2)


def parked(ledger, *job_ids):
    """A run whose jobs share one payload that waits for a person; the id of its review."""
    gateway, _ = night(ledger, 1, same(*job_ids, text=HEAVY), **TIGHT)
    assert gateway.sent == []
    assert outcomes(ledger, "run-1") == dict.fromkeys(job_ids, ("review", "over_input_limit"))
    [review] = standing(ledger).values()
    assert review.job_id == job_ids[0]
    return review.id


def test_an_approval_holds_for_all_that_share_it_also_for_one_of_higher_priority(ledger):
    reviews.approve(ledger, [parked(ledger, "a", "b")], "ana")
    rows = [*same("a", "b", text=HEAVY), *same("new", text=HEAVY, priority=5)]
    gateway, report = night(ledger, 2, rows, resubmit=True, **TIGHT)
    assert (len(gateway.sent), report.jobs.succeeded, report.shared.jobs) == (1, 3, 2)
    assert standing(ledger)["a"].status == "sent"
    gateway, report = night(ledger, 3, rows, **TIGHT)
    assert (gateway.sent, report.jobs.succeeded) == ([], 3)


def test_a_rejection_holds_for_all_that_share_it(ledger):
    reviews.reject(ledger, [parked(ledger, "a", "b")], "ana")
    gateway, report = night(ledger, 2, same("b", "a", text=HEAVY))
    assert gateway.sent == []
    assert outcomes(ledger, "run-2") == dict.fromkeys("ab", ("rejected", "rejected_by_reviewer"))
    assert report.outcome == RunOutcome.COMPLETE


def test_an_edit_is_the_answer_to_all_that_share_what_was_edited(ledger):
    review = parked(ledger, "a", "b")
    edit = Payload.checked({"messages": [{"role": "user", "content": "short"}], "max_tokens": 50})
    figures = EditEstimate("claude-haiku-5-5", 60, Method.COUNTED, 10**9)
    assert reviews.edit(ledger, review, "ana", edit, figures).changed == 1
    # it waits for the run that sends edits, and so do all
    gateway, report = night(ledger, 2, same("a", "b", text=HEAVY), **TIGHT)
    assert (gateway.sent, report.jobs.review) == ([], 2)
    for number in (3, 4):
        gateway, report = night(ledger, number, same("b", "a", text=HEAVY), resubmit=number == 3, **TIGHT)
        assert report.jobs.succeeded == 2
        assert [body["messages"][0]["content"] for body in gateway.sent] == ["short"] * (number == 3)
