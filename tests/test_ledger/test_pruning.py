"""Pruning: promise 3 (nothing paid twice) and the money on record survive it, and what is open or waits is not touched."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, func, insert, select, text, update

from schemas.estimate import TokenCount
from schemas.ledger import (
    AttemptRow,
    BatchRow,
    BudgetRow,
    CountRow,
    HistoryRow,
    JobRow,
    PayloadRow,
    ResponseRow,
    RunRow,
)
from schemas.outcome import AttemptState, Outcome, RunOutcome
from schemas.review_tables import ReviewEventRow, ReviewPayloadRow, ReviewRow
from schemas.table import Table
from services.ledger import jobs, pruning, runs
from services.ledger.counts import add
from services.ledger.pruning import compact, prune
from tests.nights import KINDS, ended, night, text_row
from tests.strategies import (
    begin,
    end_early,
    examples,
    job,
    packed,
    quick_ledger,
    settlement,
    take,
    write_down,
)

NOW = datetime.now(UTC)
MODELS = ["claude-haiku-5-5", "claude-opus-5-5"]
STATUSES = ["pending", "claimed", "approved", "edited", "rejected", "sent", "expired"]
WAITING = {"pending", "claimed", "approved", "edited"}
IN_DOUBT = ("open", "unknown")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """So that a table of a few rows is walked in pieces too."""
    monkeypatch.setattr(pruning, "PIECE", 3)


def all_rows(ledger):
    """Every row of every table, by table."""
    with ledger.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in Table.metadata.sorted_tables
        }


def rows(ledger, row):
    with ledger.read() as connection:
        return connection.execute(select(*row.__table__.columns)).all()


def money(ledger):
    """Nano-USD by day and model, on record and in history."""
    total = Counter()
    for attempt in rows(ledger, AttemptRow):
        if attempt.actual_nano_usd is not None:
            total[f"{attempt.ended_at:%Y-%m-%d}", attempt.model] += attempt.actual_nano_usd
    for past in rows(ledger, HistoryRow):
        total[past.day, past.model] += past.actual_nano_usd
    return total


def assert_no_key_hangs(ledger):
    if ledger.engine.dialect.name == "sqlite":
        with ledger.read() as connection:
            assert connection.execute(text("PRAGMA foreign_key_check")).all() == []


def emptied(ledger):
    with ledger.write() as connection:
        for table in reversed(Table.metadata.sorted_tables):
            connection.execute(delete(table))


attempt_plans = st.fixed_dictionaries(
    {
        "end": st.sampled_from(["succeeded", "succeeded", "succeeded", "failed", "unknown", "open", None]),
        "cost": st.integers(0, 100),
        "days": st.sampled_from([9, 9, 7, 4, 0]),
        "model": st.sampled_from(MODELS),
        "tier": st.sampled_from([None, None, "standard", "priority"]),
        "group": st.sampled_from([None, "ana"]),
        "batch": st.booleans(),
    }
)
run_plans = st.fixed_dictionaries(
    {
        "days": st.sampled_from([8, 8, 6, 3, 0, None]),
        "jobs": st.lists(attempt_plans, min_size=2, max_size=6),
        "carries": st.booleans(),
        "reviews": st.lists(st.tuples(st.sampled_from(STATUSES), st.sampled_from([9, 5, 0])), max_size=3),
    }
)


def ago(days):
    """A moment so many times ten days ago; never at the limit of a test to the microsecond."""
    return NOW - timedelta(days=10 * days, hours=1)


def made(ledger, plans):
    """Runs as they were planned, through the ledger's own doors; then their clocks are put back."""
    for number, plan in enumerate(plans):
        run_id = begin(ledger, f"run-{number}")
        own = [
            job(row, f"{number}-{row}", f"text {number}-{row}", group=one["group"])
            for row, one in enumerate(plan["jobs"])
        ]
        carried = (
            [job(50 + row, f"0-{row}", f"text 0-{row}") for row in range(len(plans[0]["jobs"]))]
            if plan["carries"] and number
            else []
        )
        jobs.add(ledger, run_id, own + carried, [])
        add(ledger, [TokenCount(one.payload.fingerprint, MODELS[0], 5) for one in own])
        for attempt in take(ledger, [100] * 20, run_id, ana=None).held:
            settle_as_planned(ledger, plan, attempt)
        put_back(ledger, run_id, plan)
        add_reviews(ledger, run_id, plan["reviews"])


def settle_as_planned(ledger, plan, attempt):
    one = (
        plan["jobs"][attempt.row_number]
        if attempt.row_number < 50
        else plan["jobs"][0]
        if plan["jobs"]
        else None
    )
    if one is None or one["end"] is None:
        one = {"end": "failed", "batch": False, "cost": 0, "model": MODELS[0], "tier": None, "days": 0}
    if one["batch"]:
        packed(ledger, [attempt.attempt_id], attempt_run(ledger, attempt))
    if one["end"] != "open":
        paid = one["end"] == "succeeded"
        state = AttemptState(one["end"])
        end = settlement(
            attempt.attempt_id,
            state,
            Outcome(one["end"]),
            cost=one["cost"] if paid else None,
            input_tokens=10 if paid else None,
            output_tokens=3 if paid else None,
            usage={"input_tokens": 10} if paid else None,
            request_id="req" if paid else None,
            response="{}" if paid else None,
        )
        write_down(ledger, [attempt.attempt_id], [end])
    with ledger.write() as connection:
        connection.execute(
            update(AttemptRow)
            .where(AttemptRow.attempt_id == attempt.attempt_id)
            .values(model=one["model"], service_tier=one["tier"])
        )
        if one["end"] != "open":
            connection.execute(
                update(AttemptRow)
                .where(AttemptRow.attempt_id == attempt.attempt_id)
                .values(ended_at=ago(one["days"]))
            )
            connection.execute(
                update(BatchRow)
                .where(BatchRow.batch_id.in_(_batch_of(attempt)))
                .values(state="submitted" if one["end"] == "unknown" else "ended", ended_at=ago(one["days"]))
            )


def _batch_of(attempt):
    return select(AttemptRow.batch_id).where(AttemptRow.attempt_id == attempt.attempt_id)


def attempt_run(ledger, attempt):
    with ledger.read() as connection:
        return connection.scalar(select(AttemptRow.run_id).where(AttemptRow.attempt_id == attempt.attempt_id))


def put_back(ledger, run_id, plan):
    if plan["days"] is None:
        return
    runs.finish(ledger, run_id, RunOutcome.COMPLETE, {"run": run_id})
    with ledger.write() as connection:
        connection.execute(
            update(RunRow)
            .where(RunRow.run_id == run_id)
            .values(started_at=ago(plan["days"]), ended_at=ago(plan["days"]))
        )
        connection.execute(update(CountRow).values(counted_at=ago(plan["days"])))


def add_reviews(ledger, run_id, planned):
    for number, (status, days) in enumerate(planned):
        edited = (status in ("edited", "sent") and number % 2 == 0) or status == "edited"
        values = {
            "job_id": f"{run_id}-{number}",
            "run_id": run_id,
            "reason": "no_route",
            "detail": "",
            "status": status,
            "created_at": ago(days),
            "claimed_by": "ana",
            "decided_by": "ana",
            "decided_at": ago(days),
            "row_number": number,
            "fingerprint": "f",
            "edited_fingerprint": "e" if edited else None,
        }
        with ledger.write() as connection:
            review_id = connection.execute(insert(ReviewRow).values(**values)).inserted_primary_key[0]
            texts = {"payload": "{}", "edited_payload": "{}" if edited else None}
            connection.execute(insert(ReviewPayloadRow).values(review_id=review_id, **texts))
            if edited and status == "sent":
                one = select(AttemptRow.attempt_id).where(AttemptRow.state == "succeeded").limit(1)
                connection.execute(
                    update(ReviewRow)
                    .where(ReviewRow.id == review_id)
                    .values(sent_attempt_id=one.scalar_subquery())
                )
            connection.execute(
                update(ReviewEventRow).where(ReviewEventRow.review_id == review_id).values(at=ago(days))
            )


@settings(max_examples=examples(8))
@given(
    plans=st.lists(run_plans, min_size=2, max_size=4),
    limits=st.tuples(st.integers(0, 4), st.integers(1, 6)),
)
def test_whatever_is_pruned_no_money_is_forgotten_and_nothing_open_is_touched(ledger, plans, limits):
    emptied(ledger)
    made(ledger, plans)
    forget, old = (NOW - timedelta(days=10 * limit) for limit in sorted(limits, reverse=True))
    before = all_rows(ledger)
    total = money(ledger)
    attempts = {row.attempt_id: row for row in rows(ledger, AttemptRow)}
    young = {row.run_id for row in rows(ledger, RunRow) if row.ended_at is None or row.ended_at >= old}
    waiting = {r.id for r in rows(ledger, ReviewRow) if r.status in WAITING or r.run_id in young}
    untouched = {
        BudgetRow: lambda row: row.scope != "run",
        AttemptRow: lambda row: row.state in IN_DOUBT or row.run_id in young,
        JobRow: lambda row: (
            row.run_id in young or ((a := attempts.get(row.attempt_id)) and a.state in IN_DOUBT)
        ),
        PayloadRow: lambda row: row.run_id in young,
        RunRow: lambda row: row.run_id in young,
        BatchRow: lambda row: row.state in ("prepared", "submitted") or row.run_id in young,
        ReviewRow: lambda row: row.id in waiting,
        ReviewPayloadRow: lambda row: row.review_id in waiting,
    }

    def kept():
        return {
            row: sorted(map(tuple, filter(which, rows(ledger, row))), key=repr)
            for row, which in untouched.items()
        }

    stays = kept()
    edits = [r for r in rows(ledger, ReviewRow) if r.status == "sent" and r.edited_fingerprint]
    paid = {(a.job_id, a.fingerprint): a for a in attempts.values() if a.state == "succeeded"}

    for limit in (None, forget):
        planned = prune(ledger, old, limit, dry_run=True)
        assert all_rows(ledger) == before
        assert prune(ledger, old, limit) == planned
        before = all_rows(ledger)
        assert money(ledger) == total
        assert kept() == stays
        assert_no_key_hangs(ledger)
        # once more changes nothing
        assert set(prune(ledger, old, limit).values()) == {0}
        assert all_rows(ledger) == before
        left = {row.attempt_id: row for row in rows(ledger, AttemptRow)}
        # an attempt keeps its run, its batch and its window, and the review that it answers in an edit's place
        assert {a.run_id for a in left.values()} <= {run.run_id for run in rows(ledger, RunRow)}
        assert {a.batch_id for a in left.values()} - {None} <= {b.batch_id for b in rows(ledger, BatchRow)}
        windows = {window.period for window in rows(ledger, BudgetRow)}
        assert {a.run_id for a in left.values()} <= windows
        assert {r.id for r in edits if r.sent_attempt_id in left} <= {
            r.id for r in rows(ledger, ReviewRow) if r.edited_fingerprint
        }
        if limit is None:
            assert before["history"] == []
            assert {(a.job_id, a.fingerprint) for a in left.values() if a.state == "succeeded"} == set(paid)
    for attempt in paid.values():
        gone = attempt.attempt_id not in left
        assert not gone or attempt.ended_at < forget
    assert sum(row.jobs for row in rows(ledger, HistoryRow)) == len(paid.keys()) - sum(
        row.state == "succeeded" for row in left.values()
    )
    # and every run that is left can go on and end
    for run in rows(ledger, RunRow):
        if run.ended_at is None:
            end_early(ledger, run.run_id)


def test_an_answer_goes_and_its_job_is_still_not_paid_for_again(ledger, tmp_path):
    """Every kind of row: after pruning, the second night ends as the first did and pays for nothing."""
    inputs = [{"job_id": f"job-{n}"} | make(n) for n, (make, _) in enumerate(KINDS.values())]
    first, report = asyncio.run(night(ledger, tmp_path, 1, inputs))
    outcomes = ended(ledger, "run-1")
    total = money(ledger)
    later = datetime.now(UTC) + timedelta(days=1)
    pruned = prune(ledger, later)
    assert pruned["responses"] == pruned["attempts stripped"] == report.jobs.succeeded == len(first.answered)
    assert rows(ledger, ResponseRow) == []
    assert rows(ledger, CountRow) == []
    # only the row whose attempt may have been billed is left
    assert [row.outcome for row in rows(ledger, JobRow)] == ["unknown"]
    # which waits for a person, as do the others in review
    assert {row.status for row in rows(ledger, ReviewRow)} == {"pending"}
    kept = {row.review_id for row in rows(ledger, ReviewPayloadRow) if row.payload}
    assert kept == {row.id for row in rows(ledger, ReviewRow)}
    for attempt in rows(ledger, AttemptRow):
        if attempt.state == "succeeded":
            assert (attempt.usage, attempt.error, attempt.request_id) == (None, None, None)
            assert attempt.actual_nano_usd > 0
            assert attempt.actual_output_tokens == 3

    second, again = asyncio.run(night(ledger, tmp_path, 2, inputs))
    assert ended(ledger, "run-2") == outcomes
    assert second.answered == []
    assert (again.usd.actual, again.from_earlier_runs) == (0, report.jobs.succeeded)
    assert money(ledger) == total
    results = parts(tmp_path / "run-2", "results")
    assert len(results) == report.jobs.succeeded
    assert len(results) + len(parts(tmp_path / "run-2", "unanswered")) == len(inputs)
    before = {row["job_id"]: row for row in parts(tmp_path / "run-1", "results")}
    for row in results:
        assert before[row["job_id"]]["text"] == "answer"
        assert row == before[row["job_id"]] | {"text": None, "response": None}
    assert_no_key_hangs(ledger)

    # who asks for it pays again: the attempts are forgotten, and their money is in history
    forgotten = prune(ledger, later, later)
    assert forgotten["attempts rolled up"] == report.jobs.succeeded
    assert money(ledger) == total
    # the run of the open question stays, and the latest one
    assert {row.run_id for row in rows(ledger, RunRow)} == {"run-1", "run-2"}
    third, _ = asyncio.run(night(ledger, tmp_path, 3, inputs))
    assert sorted(third.answered) == sorted(first.answered)
    assert ended(ledger, "run-3") == outcomes
    prune(ledger, later, later)
    assert money(ledger) == Counter({key: 2 * amount for key, amount in total.items()})


def parts(folder, stem):
    return [
        row
        for part in sorted(Path(folder).glob(f"{stem}-*.parquet"))
        for row in pq.read_table(part).to_pylist()
    ]


def test_a_run_under_way_keeps_the_answers_and_counts_it_goes_by(ledger, tmp_path):
    inputs = [{"job_id": f"job-{n}"} | text_row(f"good {n}") for n in range(5)]
    asyncio.run(night(ledger, tmp_path, 1, inputs))
    begin(ledger, "run-2")
    with ledger.write() as connection:
        connection.execute(
            insert(JobRow).from_select(
                ["run_id", "row_number", "job_id", "fingerprint", "priority", "outcome", "attempt_id"],
                select(
                    text("'run-2'"),
                    JobRow.row_number,
                    JobRow.job_id,
                    JobRow.fingerprint,
                    JobRow.priority,
                    JobRow.outcome,
                    JobRow.attempt_id,
                ).where(JobRow.row_number < 2),
            )
        )
    later = datetime.now(UTC) + timedelta(days=1)
    prune(ledger, later, later)
    assert len(rows(ledger, ResponseRow)) == len(rows(ledger, AttemptRow)) == 2
    assert len(rows(ledger, CountRow)) >= 2
    assert {row.run_id for row in rows(ledger, RunRow)} == {"run-1", "run-2"}
    runs.finish(ledger, "run-2", RunOutcome.COMPLETE, {})
    prune(ledger, later, later)
    assert rows(ledger, AttemptRow) == rows(ledger, CountRow) == []
    assert [row.run_id for row in rows(ledger, RunRow)] == ["run-2"]


def test_a_rejection_stays_without_its_payload(ledger):
    begin(ledger)
    add_reviews(ledger, "run-1", [("rejected", 5), ("expired", 5)])
    put_back(ledger, "run-1", {"days": 5})
    pruned = prune(ledger, NOW, NOW)
    [review] = rows(ledger, ReviewRow)
    assert (review.status, review.version) == ("rejected", 2)
    assert rows(ledger, ReviewPayloadRow) == []
    assert (pruned["reviews"], pruned["review events"], pruned["review payloads"]) == (1, 1, 1)
    assert {row.review_id for row in rows(ledger, ReviewEventRow)} == {review.id}
    assert len(rows(ledger, RunRow)) == 1


def test_history_says_how_it_was_paid(ledger):
    plans = [
        {
            "end": "succeeded",
            "cost": 7,
            "days": 1,
            "model": MODELS[0],
            "tier": None,
            "group": None,
            "batch": False,
        },
        {
            "end": "succeeded",
            "cost": 8,
            "days": 1,
            "model": MODELS[0],
            "tier": None,
            "group": "ana",
            "batch": True,
        },
        {
            "end": "succeeded",
            "cost": 9,
            "days": 1,
            "model": MODELS[0],
            "tier": "priority",
            "group": None,
            "batch": True,
        },
        {
            "end": "succeeded",
            "cost": 1,
            "days": 1,
            "model": MODELS[0],
            "tier": None,
            "group": None,
            "batch": False,
        },
    ]
    made(ledger, [{"days": 1, "jobs": plans, "carries": False, "reviews": []}])
    prune(ledger, NOW, NOW)
    day = f"{ago(1):%Y-%m-%d}"
    found = {row[:5]: (row.jobs, row.actual_nano_usd) for row in rows(ledger, HistoryRow)}
    assert found == {
        (day, MODELS[0], "standard", "", "text"): (2, 8),
        (day, MODELS[0], "batch", "ana", "text"): (1, 8),
        (day, MODELS[0], "priority", "", "text"): (1, 9),
    }
    [one] = [row for row in rows(ledger, HistoryRow) if row.jobs == 2]
    assert (one.estimated_input_tokens, one.actual_input_tokens, one.actual_output_tokens) == (20, 20, 6)
    assert (one.worst_case_nano_usd, one.expected_nano_usd, one.web_searches) == (200, 100, 0)
    assert rows(ledger, BatchRow) == []
    assert {row.scope for row in rows(ledger, BudgetRow)} == {"day", "month"}


def test_a_piece_is_a_transaction_and_an_interrupted_one_is_gone_on_with(ledger):
    plan = {
        "end": "succeeded",
        "cost": 7,
        "days": 1,
        "model": MODELS[0],
        "tier": None,
        "group": None,
        "batch": False,
    }
    made(ledger, [{"days": 1, "jobs": [plan] * 10, "carries": False, "reviews": []}])
    total = money(ledger)
    seen = []

    def stop(connection, cursor, statement, parameters, context, many):
        if statement.startswith("DELETE FROM attempts"):
            seen.append(statement)
            if len(seen) == 3:
                raise KeyboardInterrupt

    event.listen(ledger.engine, "before_cursor_execute", stop)
    with pytest.raises(KeyboardInterrupt):
        prune(ledger, NOW, NOW)
    event.remove(ledger.engine, "before_cursor_execute", stop)
    assert money(ledger) == total
    assert len(rows(ledger, AttemptRow)) == 4
    assert prune(ledger, NOW, NOW)["attempts rolled up"] == 4
    assert money(ledger) == total


def test_the_file_gets_smaller_when_it_is_compacted(tmp_path, monkeypatch):
    monkeypatch.setattr(pruning, "PIECE", 500)
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    add(ledger, [TokenCount(f"{n:064}", MODELS[0], 5) for n in range(3_000)])
    later = datetime.now(UTC) + timedelta(days=1)
    assert prune(ledger, later)["counts"] == 3_000
    before, after = compact(ledger)
    assert after < before / 2
    assert (tmp_path / "ledger.db").stat().st_size == after
    with ledger.read() as connection:
        assert connection.scalar(select(func.count()).select_from(CountRow)) == 0
    ledger.close()


def test_postgresql_compacts_by_itself(postgres_url):
    ledger = quick_ledger(postgres_url)
    assert compact(ledger) is None
    ledger.close()
