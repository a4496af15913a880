"""The ledger on SQLite and PostgreSQL: its tables, and the rules of holding, settling, interrupting and reviewing."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, func, insert, inspect, select, text, update

from schemas.errors import BadInput, RunFailed
from schemas.estimate import TokenCount
from schemas.job import RejectedRow, Shard
from schemas.ledger import AttemptRow, BudgetRow, CountRow, JobRow, PayloadRow, ResponseRow, RunRow
from schemas.outcome import AttemptState, Decision, Outcome, Reason
from schemas.payload.payload import Payload
from schemas.review import Filter
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from schemas.table import Table
from services.ledger import counts, jobs, open_ledger, reviews, run_sums, runs
from services.ledger.reviews import JobLimits
from services.ledger.store import MIGRATIONS
from tests.strategies import begin, job, job_update, request, settlement, take, write_down

NO_LIMITS = JobLimits(None, None)


def succeeded(attempt, cost=5, **more):
    return settlement(
        attempt.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=cost, response="{}", **more
    )


def failed(attempt, **more):
    return settlement(
        attempt.attempt_id, AttemptState.FAILED, Outcome.FAILED, reason=Reason.API_UNAVAILABLE, **more
    )


def unknown(attempt):
    return settlement(
        attempt.attempt_id, AttemptState.UNKNOWN, Outcome.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME
    )


def settle(ledger, *settlements):
    write_down(ledger, [], settlements)


def rows(ledger, table, *columns):
    with ledger.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).select_from(table))]


def budgets(ledger):
    """Held and settled by window."""
    with ledger.read() as connection:
        found = connection.execute(
            select(BudgetRow.scope, BudgetRow.held_nano_usd, BudgetRow.settled_nano_usd).where(
                BudgetRow.scope != "month", BudgetRow.group_name == ""
            )
        )
        return {scope: (held, settled) for scope, held, settled in found}


def outcomes(ledger, run_id="run-1"):
    with ledger.read() as connection:
        found = connection.execute(
            select(JobRow.outcome, JobRow.reason).where(JobRow.run_id == run_id).order_by(JobRow.row_number)
        )
        return [tuple(row) for row in found]


def started(ledger, number=1, run_id="run-1"):
    """A run with so many jobs in its queue."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(row) for row in range(number)], [])
    return run_id


# --- tables ---------------------------------------------------------------------------------------------------


def test_the_migrations_make_exactly_the_tables_of_the_schema(ledger):
    with ledger.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": False}
        )
        differences = compare_metadata(context, Table.metadata)
    # the queue's index is over an expression, which SQLite's reflection leaves out
    assert [d for d in differences if getattr(d[1], "name", "") != "ix_jobs_queue"] == []


def test_a_ledger_of_an_earlier_version_keeps_its_money_and_its_reviews(ledger_url):
    engine = create_engine(ledger_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    review = (
        "INSERT INTO reviews (id, job_id, run_id, reason, detail, status, created_at, row_number, fingerprint, payload, worst_case_nano_usd) "
        "VALUES (7, 'a', 'run-1', 'no_route', 'x', 'approved', '2026-11-01 00:00:00', 3, 'f', '{}', 9)"
    )
    run = (
        "INSERT INTO runs (run_id, jobs_path, results_path, policy_name, policy, mode, endpoint, simulated, host, pid, "
        "process_started, started_at, heartbeat_at) VALUES ('run-1', '', '', '', '{}', '', '', true, '', 1, 1, "
        "'2026-11-01 00:00:00', '2026-11-01 00:00:00')"
    )
    attempt = (
        "INSERT INTO attempts (attempt_id, run_id, row_number, job_id, fingerprint, group_name, budget_day, model, state, "
        "input_tokens, input_bound, max_tokens, expected_nano_usd, worst_case_nano_usd, held_nano_usd, opened_at, tries, "
        "actual_nano_usd) VALUES ('{0}', 'run-1', 1, '{0}', '{0}', 'ana', '2026-11-01', 'm', '{1}', 1, 1, 1, 1, 50, {2}, "
        "'2026-11-01 00:00:00', 1, {3})"
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.execute(text("INSERT INTO budgets VALUES ('day', '2026-11-01', 100, 30, 40)"))
        connection.execute(text(run))
        connection.execute(text(review))
        connection.execute(text(attempt.format("a", "open", 30, "null")))
        connection.execute(text(attempt.format("b", "succeeded", 0, 40)))
    engine.dispose()
    ledger = open_ledger(ledger_url)
    assert rows(ledger, BudgetRow, *BudgetRow.__table__.columns) == [
        ("day", "2026-11-01", "", 100, 30, 40),
        ("month", "2026-11", "", None, 30, 40),
        ("month", "2026-11", "ana", None, 30, 40),
        ("day", "2026-11-01", "ana", None, 30, 40),
        ("run", "run-1", "ana", None, 30, 40),
    ]
    kept = (ReviewRow.id, ReviewRow.status, ReviewRow.decided_by, ReviewRow.ceiling_nano_usd)
    assert rows(ledger, ReviewRow, *kept) == [(7, "approved", "unknown", 9)]
    assert reviews.one_review(ledger, 7).payload == "{}"
    assert [event.to_status for event in reviews.events(ledger, 7)] == ["approved"]
    parked(ledger, "run-2")
    assert {row[0] for row in rows(ledger, ReviewRow, ReviewRow.id)} == {7, 8}
    ledger.close()


def test_indexes_and_the_view_for_people_are_there(ledger):
    inspector = inspect(ledger.engine)
    assert set(inspector.get_view_names()) == {"reconciliation", "reviews_pending", "spend_today"}
    with ledger.read() as connection:
        catalogue = "sqlite_master" if ledger.engine.dialect.name == "sqlite" else "pg_indexes"
        column = "name" if catalogue == "sqlite_master" else "indexname"
        found = set(connection.scalars(text(f"SELECT {column} FROM {catalogue}")))
        assert connection.execute(text("SELECT count(*) FROM reconciliation")).scalar() == 0
    assert {"ix_jobs_queue", "uq_attempts_live"} <= found


def opened_by_another_process(url, gate):
    gate.wait()
    ledger = open_ledger(url)
    begin(ledger, f"run-{multiprocessing.current_process().pid}")
    ledger.close()


def test_two_processes_may_open_a_new_ledger_at_once(ledger_url):
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(2)
    openers = [context.Process(target=opened_by_another_process, args=(ledger_url, gate)) for _ in range(2)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(60)
    assert [opener.exitcode for opener in openers] == [0, 0]
    ledger = open_ledger(ledger_url)
    assert len(rows(ledger, RunRow, RunRow.run_id)) == 2
    ledger.close()


def test_many_threads_may_open_a_new_ledger_at_once(ledger_url):
    with ThreadPoolExecutor(6) as pool:
        for ledger in pool.map(open_ledger, [ledger_url] * 6):
            ledger.close()


def test_opening_again_changes_nothing_and_keeps_the_rows(ledger, ledger_url):
    started(ledger, 2)
    again = open_ledger(ledger_url)
    assert len(jobs.next_in_queue(again, "run-1", 9)) == 2
    again.close()


def test_a_ledger_of_a_newer_version_is_refused(ledger, ledger_url):
    with ledger.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RunFailed, match="newer version"):
        open_ledger(ledger_url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ledger.db",
        "nosuchdatabase://x/y",
        "postgresql+psycopg://user@host:port/ledger",
        "sqlite:////dev/null/folder/ledger.db",
        "sqlite:////dev/null",
    ],
)
def test_a_ledger_that_cannot_be_opened_is_a_sentence(url):
    with pytest.raises((BadInput, RunFailed)) as refused:
        open_ledger(url)
    assert str(refused.value).endswith(".")


def test_a_password_is_shown_nowhere(tmp_path):
    with pytest.raises(RunFailed) as refused:
        open_ledger("postgresql+psycopg://user:SECRET@127.0.0.1:1/ledger")
    assert "SECRET" not in str(refused.value)


# --- errors say nothing of the rows ---------------------------------------------------------------------------


def test_a_database_error_does_not_quote_a_payload(ledger):
    begin(ledger)
    values = {"run_id": "run-1", "row_number": 1, "body": "SECRET"}
    with pytest.raises(RunFailed) as error, ledger.write() as connection:
        connection.execute(insert(PayloadRow), [values, values])
    assert "SECRET" not in str(error.value)


def test_a_constraint_that_fails_does_not_quote_the_row(ledger):
    begin(ledger)
    review = {
        "job_id": "j", "run_id": "run-1", "reason": "r", "detail": "d", "status": "nonsense", "row_number": 0,
        "fingerprint": "SECRET", "created_at": func.now(),
    }  # fmt: skip
    with pytest.raises(RunFailed) as error, ledger.write() as connection:
        connection.execute(insert(ReviewRow).values(review))
    assert "SECRET" not in str(error.value)


# --- rows -----------------------------------------------------------------------------------------------------


def test_each_row_is_on_record_once_and_a_second_row_of_an_id_is_rejected(ledger):
    begin(ledger)
    assert (
        jobs.add(ledger, "run-1", [job(0, "a"), job(1, "b"), job(2, "a")], [RejectedRow(3, None, "c", "r")])
        == 2
    )
    assert jobs.add(ledger, "run-1", [job(4, "b")], []) == 0
    assert outcomes(ledger) == [
        (None, None),
        (None, None),
        ("rejected", "invalid_row"),
        ("rejected", "invalid_row"),
        ("rejected", "invalid_row"),
    ]
    assert [row for row, *_ in rows(ledger, PayloadRow, PayloadRow.row_number)] == [0, 1]


def test_a_rejected_rows_id_counts_the_same_wherever_the_batch_ends(ledger):
    rejected, valid = RejectedRow(0, "a", "messages", "is empty"), job(1, "a")
    begin(ledger, "run-1")
    jobs.add(ledger, "run-1", [valid], [rejected])
    begin(ledger, "run-2")
    jobs.add(ledger, "run-2", [], [rejected])
    jobs.add(ledger, "run-2", [valid], [])
    assert outcomes(ledger, "run-1") == outcomes(ledger, "run-2")


def test_an_odd_parameter_name_in_a_rejection_does_not_stop_the_others(ledger):
    begin(ledger)
    jobs.add(
        ledger, "run-1", [job(0)], [RejectedRow(1, "b", "odd\0name", "not a parameter of the Messages API")]
    )


def test_an_odd_text_in_a_detail_does_not_stop_the_others(ledger):
    started(ledger)
    [attempt] = take(ledger, [10]).held
    settle(ledger, failed(attempt, detail="HTTP 400: odd \0 text"))
    assert outcomes(ledger) == [("failed", "api_unavailable")]


def test_a_verdict_writes_what_it_names_and_keeps_the_rest(ledger):
    started(ledger, 2)
    jobs.record(
        ledger,
        "run-1",
        [job_update(0, model="m", input_tokens=7, method="counted"), job_update(1, model="n")],
    )
    jobs.record(ledger, "run-1", [job_update(0, outcome=Outcome.REVIEW, reason=Reason.NO_ROUTE)])
    jobs.record(ledger, "run-1", [])
    columns = (JobRow.model, JobRow.input_tokens, JobRow.method, JobRow.outcome, JobRow.detail)
    assert sorted(rows(ledger, JobRow, *columns), key=str) == [
        ("m", 7, "counted", "review", None),
        ("n", None, None, None, None),
    ]


def test_shards_cover_every_undecided_row_once(ledger):
    started(ledger, 25)
    jobs.record(ledger, "run-1", [job_update(row, outcome=Outcome.REVIEW) for row in (0, 7, 8, 24)])
    for size in (1, 4, 500):
        shards = jobs.shards(ledger, "run-1", size)
        inside = [[queued.row_number for queued, _ in jobs.of_shard(ledger, "run-1", one)] for one in shards]
        assert sorted(row for part in inside for row in part) == sorted(set(range(25)) - {0, 7, 8, 24})
        assert all(len(part) <= size for part in inside)
    assert [str(shard) for shard in (Shard(1, 1), Shard(1, 3))] == ["row 1", "rows 1-3"]


def test_the_queue_is_ordered_by_priority_and_then_by_row(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(row, priority=p) for row, p in enumerate([0, 5, -1, 5, 0])], [])
    assert [queued.row_number for queued in jobs.next_in_queue(ledger, "run-1", 9)] == [1, 3, 0, 4, 2]
    assert [queued.row_number for queued in jobs.next_in_queue(ledger, "run-1", 2)] == [1, 3]


def test_a_count_on_record_stays(ledger):
    counts.add(ledger, [TokenCount("f", "m", 10), TokenCount("f", "n", 20)])
    counts.add(ledger, [TokenCount("f", "m", 99), TokenCount("g", "m", 30)])
    counts.add(ledger, [])
    assert counts.known(ledger, ["f", "h"]) == {"f": {"m": 10, "n": 20}}
    assert len(rows(ledger, CountRow, CountRow.model)) == 3


# --- holding and settling -------------------------------------------------------------------------------------


def test_a_hold_is_taken_from_every_window_and_settling_replaces_it_with_the_bill(ledger):
    started(ledger, 3)
    first, second, third = take(ledger, [100, 50, 20], run=200, day=500).held
    assert budgets(ledger) == {"run": (170, 0), "day": (170, 0)}
    settle(ledger, succeeded(first, 60), failed(second), unknown(third))
    assert budgets(ledger) == {"run": (20, 60), "day": (20, 60)}
    assert [outcome for outcome, _ in outcomes(ledger)] == ["succeeded", "failed", "unknown"]
    assert run_sums.held(ledger, "run-1") == 20


def test_a_job_that_waits_for_what_is_held_before_it_is_not_deferred(ledger):
    started(ledger, 3)
    admission = take(ledger, [60, 50, 40], run=100)
    assert [attempt.row_number for attempt in admission.held] == [0]
    assert (admission.deferred, admission.short) == (0, True)


def test_a_job_that_can_never_fit_is_deferred_and_a_smaller_one_behind_it_still_goes(ledger):
    started(ledger, 3)
    admission = take(ledger, [60, 110, 40], run=100)
    assert [attempt.row_number for attempt in admission.held] == [0, 2]
    assert (admission.deferred, admission.short) == (1, False)
    assert outcomes(ledger)[1] == ("deferred", "run_budget")


def test_while_money_is_in_flight_the_queue_stops_instead_of_deferring(ledger):
    started(ledger, 3)
    admission = take(ledger, [60, 50, 10], day=100, may_defer=False)
    assert [attempt.row_number for attempt in admission.held] == [0]
    assert (admission.deferred, admission.short) == (0, True)
    settle(ledger, succeeded(admission.held[0], 30))
    assert [attempt.row_number for attempt in take(ledger, [50, 10], day=100).held] == [1, 2]


def test_a_cap_that_was_lowered_below_what_is_used_lets_nothing_through(ledger):
    started(ledger, 2)
    take(ledger, [60], day=100)
    assert take(ledger, [1], day=50).deferred == 1


# a Counter's `|` drops what is not positive: such a group once released no hold and stopped the run
@pytest.mark.parametrize("end", [failed, unknown, lambda attempt: succeeded(attempt, 0)])
def test_a_group_in_which_nothing_cost_anything_is_settled(ledger, end):
    started(ledger)
    [attempt] = take(ledger, [10]).held
    settle(ledger, end(attempt))
    left = 10 if end is unknown else 0
    assert budgets(ledger) == {"run": (left, 0), "day": (left, 0)}


def test_settling_again_changes_nothing(ledger):
    started(ledger, 2)
    first, second = take(ledger, [100, 100]).held
    settle(ledger, succeeded(first, 60), unknown(second))
    before = budgets(ledger), outcomes(ledger)
    settle(ledger, succeeded(first, 60), unknown(second))
    settle(ledger, failed(first))
    settle(ledger, succeeded(first, 90))
    assert (budgets(ledger), outcomes(ledger)) == before
    assert len(rows(ledger, ResponseRow, ResponseRow.attempt_id)) == 1


def test_an_attempt_is_on_record_before_its_bytes_leave_and_only_an_open_one_can_leave(ledger):
    started(ledger)
    [attempt] = take(ledger, [10]).held
    assert rows(ledger, AttemptRow, AttemptRow.state, AttemptRow.sent_at) == [("open", None)]
    write_down(ledger, [attempt.attempt_id], [])
    [(sent_at,)] = rows(ledger, AttemptRow, AttemptRow.sent_at)
    assert sent_at.tzinfo is not None
    settle(ledger, failed(attempt))
    write_down(ledger, [attempt.attempt_id], [])
    assert rows(ledger, AttemptRow, AttemptRow.sent_at) == [(sent_at,)]


def test_a_job_that_succeeded_is_never_held_again(ledger):
    started(ledger)
    settle(ledger, succeeded(*take(ledger, [10]).held))
    started(ledger, run_id="run-2")
    assert take(ledger, [10], "run-2").held == []
    assert outcomes(ledger, "run-2") == [("succeeded", None)]
    assert run_sums.carried(ledger, "run-2") == 1


def test_a_job_that_succeeds_elsewhere_between_reading_and_holding_is_not_held(ledger):
    started(ledger)
    started(ledger, run_id="run-2")
    settle(ledger, succeeded(*take(ledger, [10]).held))
    assert take(ledger, [10], "run-2").held == []
    assert outcomes(ledger, "run-2") == [("succeeded", None)]


@pytest.mark.parametrize("resend_unknown", [False, True])
def test_a_job_in_flight_in_another_run_is_left_to_the_next(ledger, resend_unknown):
    started(ledger)
    take(ledger, [10])
    started(ledger, run_id="run-2")
    assert take(ledger, [10], "run-2", resend_unknown=resend_unknown).held == []
    assert outcomes(ledger, "run-2") == [("deferred", "in_flight_elsewhere")]


def test_an_unknown_attempt_keeps_its_hold_and_is_sent_again_only_when_the_policy_says_so(ledger):
    started(ledger)
    settle(ledger, unknown(*take(ledger, [10]).held))
    started(ledger, run_id="run-2")
    assert take(ledger, [10], "run-2").held == []
    assert outcomes(ledger, "run-2") == [("unknown", "unknown_outcome")]
    started(ledger, run_id="run-3")
    assert len(take(ledger, [10], "run-3", resend_unknown=True).held) == 1
    assert budgets(ledger)["day"] == (20, 0)


def test_the_same_payload_under_another_id_is_a_job_of_its_own(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0, "a"), job(1, "b")], [])
    assert len(take(ledger, [10, 10]).held) == 2


def test_an_interrupted_run_releases_what_never_left_and_holds_on_to_what_did(ledger):
    started(ledger, 4)
    held = take(ledger, [10, 20, 30]).held
    settle(ledger, succeeded(held[0], 7))
    write_down(ledger, [held[1].attempt_id], [])
    for _ in range(2):
        with ledger.write() as connection:
            runs.close_books(connection, "run-1", review_unknown=True)
        assert outcomes(ledger) == [
            ("succeeded", None),
            ("unknown", "unknown_outcome"),
            ("deferred", "interrupted"),
            ("deferred", "interrupted"),
        ]
        assert budgets(ledger) == {"run": (20, 7), "day": (20, 7)}
    assert rows(ledger, PayloadRow, PayloadRow.row_number) == []
    [review] = reviews.listed(ledger, Filter(status="pending", run_id="run-1"))
    assert Payload.restored(reviews.one_review(ledger, review.id).payload).request == request()


def test_a_run_whose_process_is_gone_is_closed_and_a_living_one_is_not(ledger):
    started(ledger)
    started(ledger, run_id="run-2")
    with ledger.write() as connection:
        connection.execute(update(RunRow).where(RunRow.run_id == "run-1").values(process_started=1))
    assert runs.close_dead_runs(ledger) == ["run-1"]
    assert runs.close_dead_runs(ledger) == []
    assert outcomes(ledger) == [("deferred", "interrupted")]
    assert outcomes(ledger, "run-2") == [(None, None)]
    assert runs.find(ledger, "run-1").ended_at is None  # whoever collects makes its report
    assert runs.find(ledger).run_id == "run-2"


def test_real_and_simulated_runs_do_not_share_a_ledger(ledger):
    begin(ledger, "run-1", simulated=True)
    with pytest.raises(BadInput, match="must not mix"):
        begin(ledger, "run-2", simulated=False)
    assert rows(ledger, RunRow, RunRow.run_id) == [("run-1",)]


# --- reviews --------------------------------------------------------------------------------------------------


def parked(ledger, run_id, tokens=50_000):
    """A run whose only job waits for a person."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, max_input_tokens=40_000)], [])
    jobs.record(
        ledger,
        run_id,
        [
            job_update(0, "m", tokens, "counted", Decision.REVIEW, Outcome.REVIEW, Reason.OVER_INPUT_LIMIT, "too heavy", 1, 2_500_000_000)
        ],
    )  # fmt: skip
    assert reviews.park_over_budget(ledger, run_id, JobLimits(32_000, 500_000_000)) == 1


def test_a_job_is_parked_once_and_its_figures_are_brought_up_to_date(ledger):
    parked(ledger, "run-1")
    parked(ledger, "run-2", tokens=60_000)
    [review] = reviews.listed(ledger)
    assert (review.run_id, review.status, review.input_tokens, review.limit_tokens) == (
        "run-2",
        "pending",
        60_000,
        32_000,
    )
    assert (float(review.worst_case_usd), float(review.limit_usd)) == (2.5, 0.5)
    assert not hasattr(review, "payload")


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "approved"},
        {"status": "rejected", "decided_by": " "},
        {"status": "claimed"},
        {"status": "edited", "decided_by": "ada"},
        {"status": "lost", "decided_by": "ada"},
        {"ceiling_nano_usd": -1},
    ],
)
def test_a_change_of_a_review_that_makes_no_sense_is_refused(ledger, wrong):
    parked(ledger, "run-1")
    with pytest.raises(RunFailed, match="refused a statement"), ledger.write() as connection:
        connection.execute(update(ReviewRow).values(wrong))


@pytest.mark.parametrize("status", ["approved", "rejected", "edited"])
def test_what_a_person_decided_is_kept_when_the_job_is_parked_again(ledger, status):
    parked(ledger, "run-1")
    with ledger.write() as connection:
        decision = {"status": status, "decided_by": "ada", "note": "mine"}
        edited = {"edited_fingerprint": "e"} if status == "edited" else {}
        connection.execute(update(ReviewRow).values(decision | edited))
        if status == "edited":
            connection.execute(update(ReviewPayloadRow).values(edited_payload="{}"))
    [review] = reviews.listed(ledger)
    before = reviews.one_review(ledger, review.id)
    parked(ledger, "run-2", tokens=60_000)
    assert reviews.one_review(ledger, review.id) == before


def test_a_parked_job_that_is_answered_is_closed_and_does_not_wait_again(ledger):
    parked(ledger, "run-1")
    begin(ledger, "run-2")
    jobs.add(ledger, "run-2", [job(0)], [])
    [attempt] = take(ledger, [10], "run-2").held
    settle(ledger, settlement(attempt.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=1))
    with ledger.write() as connection:
        reviews.close_answered(connection, "run-2")
    [closed] = reviews.listed(ledger)
    assert (closed.status, closed.sent_run_id, closed.sent_attempt_id) == (
        "sent",
        "run-2",
        attempt.attempt_id,
    )
    begin(ledger, "run-3")
    jobs.add(ledger, "run-3", [job(0, max_input_tokens=40_000)], [])
    assert reviews.park_over_budget(ledger, "run-3", NO_LIMITS) == 0
    assert reviews.park_of_unknown_outcome(ledger, "run-3", NO_LIMITS) == 0
    assert [r.status for r in reviews.listed(ledger)] == ["sent"]


def test_more_jobs_than_a_page_are_all_parked(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(row, text=f"t{row}") for row in range(1_001)], [])
    jobs.record(
        ledger,
        "run-1",
        [job_update(row, outcome=Outcome.REVIEW, reason=Reason.NO_ROUTE) for row in range(1_001)],
    )
    assert reviews.park_over_budget(ledger, "run-1", NO_LIMITS) == 1_001
    assert len(reviews.listed(ledger, Filter("pending", run_id="run-1"), limit=2_000)) == 1_001
