"""A ledger after real nights verifies; whatever is changed in it or in its files, the check that is about it says so."""

import asyncio
import contextlib
import hashlib
import shutil
import sqlite3
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url, text, update

from schemas.errors import BadInput, RunFailed
from schemas.ledger import AttemptRow, JobRow
from schemas.outcome import AttemptState, Outcome, RunOutcome
from services.ledger import batches, jobs, open_to_read, reviews, runs
from services.ledger.pruning import prune
from services.ledger.verify import verify
from tests.nights import KINDS, night
from tests.processes import postgresql_database
from tests.strategies import (
    abandon,
    begin,
    compiled_once,
    end_early,
    examples,
    job,
    packed,
    quick_ledger,
    settlement,
    take,
    write_down,
)

CHECKS = [
    "schema", "windows", "days", "holds", "rows", "answers", "paid_once", "batches", "reviews", "results",
]  # fmt: skip


def mixed_rows():
    """A row of each kind, every second one of a group."""
    return [
        {"job_id": f"job-{n}", "group": "blue" if n % 2 else None} | make(n)
        for n, (make, _) in enumerate(KINDS.values())
    ]


def settled_batch(ledger):
    """run-9, which has ended: a batch of two, answered and failed; and one that went out for a deadline."""
    begin(ledger, "run-9")
    today = datetime.now(UTC).date().isoformat()
    added = [job(0, "x", "batch 0", group="blue"), job(1, "y", "batch 1"), job(2, "z", "due", group="blue")]
    jobs.add(ledger, "run-9", added, [])
    first, second = (one.attempt_id for one in take(ledger, [100, 100], "run-9", date=today).held)
    batch = packed(ledger, [first, second], "run-9")
    batches.submitted(ledger, batch.batch_id, "msgbatch_1", None)
    [due] = take(ledger, [100], "run-9", date=today, due="2026-11-23T05:30:00Z").held
    answered = [
        settlement(
            attempt_id,
            AttemptState.SUCCEEDED,
            Outcome.SUCCEEDED,
            cost=cost,
            input_tokens=10,
            output_tokens=3,
            usage={"input_tokens": 10},
            response="{}",
        )
        for attempt_id, cost in ((first, 70), (due.attempt_id, 50))
    ]
    write_down(ledger, [], [*answered, settlement(second, AttemptState.FAILED, Outcome.FAILED)])
    batches.ended(ledger, batch.batch_id, {})
    runs.finish(ledger, "run-9", RunOutcome.COMPLETE, {})


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def made(request, tmp_path_factory):
    """The URL of a ledger of two nights over rows of every kind, and of a batch; and the folder of its results."""
    folder = tmp_path_factory.mktemp("made")
    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{folder}/ledger.db"
        if request.param == "postgresql":
            url = stack.enter_context(postgresql_database(request.getfixturevalue("postgresql_folder")))
        ledger = quick_ledger(url)
        for number in (1, 2):
            asyncio.run(night(ledger, folder, number, mixed_rows()))
        settled_batch(ledger)
        ledger.close()
        yield url, folder


@pytest.fixture
def nights(made, tmp_path, request):
    """A copy of that ledger."""
    url, _ = made
    with contextlib.ExitStack() as stack:
        copy = f"sqlite:///{tmp_path}/ledger.db"
        if url.startswith("sqlite"):
            shutil.copy(url.removeprefix("sqlite:///"), tmp_path / "ledger.db")
        else:
            server = request.getfixturevalue("postgresql_folder")
            copy = stack.enter_context(postgresql_database(server, make_url(url).database))
        ledger = quick_ledger(copy)
        yield ledger
        ledger.close()


def verified(ledger, results=None):
    """What verify finds, by check, over a connection that can only read."""
    reading = compiled_once(open_to_read(ledger.engine.url.render_as_string(hide_password=False)))
    try:
        found = verify(reading, results)
    finally:
        reading.close()
    assert all(check.found for check in found.checks)
    assert all(check.ok or check.what_to_do for check in found.checks)
    return {check.name: check for check in found.checks}


def off(ledger, results=None):
    return [name for name, check in verified(ledger, results).items() if not check.ok]


def tamper(ledger, *statements):
    """Change the ledger behind its own rules: constraints, keys and triggers are not asked."""
    url = ledger.engine.url
    if url.get_backend_name() == "sqlite":
        with contextlib.closing(sqlite3.connect(url.database)) as connection:
            connection.executescript("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;")
            triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for (name,) in connection.execute(triggers).fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        return
    address = url.render_as_string(hide_password=False).replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        connection.execute("SET session_replication_role = replica")
        for table, rule in (
            ("attempts", "ck_attempts_an_ended_attempt_holds_nothing"),
            ("reviews", "ck_reviews_status_is_known"),
        ):
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {rule}")
        for statement in statements:
            connection.execute(statement)


def columns(table, **changed):
    """The columns of a table, some of them replaced: what an INSERT copies."""
    names = [column.name for column in table.__table__.columns]
    return ", ".join(names), ", ".join(str(changed.get(name, name)) for name in names)


_ONE_FAILED = "(SELECT min(attempt_id) FROM attempts WHERE state = 'failed' AND run_id = 'run-9')"
_ONE_PAID = "(SELECT min(attempt_id) FROM attempts WHERE state = 'succeeded' AND run_id = 'run-1')"
_ITS_WINDOWS = " OR ".join(
    f"period = (SELECT {period} FROM attempts WHERE attempt_id = {_ONE_FAILED})"
    for period in ("run_id", "budget_day", "substr(budget_day, 1, 7)")
)
_REJECTED = "run_id = 'run-1' AND row_number = (SELECT min(row_number) FROM jobs WHERE outcome = 'rejected')"
_SUCCEEDED = "run_id = 'run-1' AND row_number = 0"
_NAMES, _COPY = columns(
    AttemptRow, attempt_id="'att_copy'", actual_nano_usd=0, usage="NULL", run_id="'run-2'"
)
_JOB_NAMES, _JOB_COPY = columns(JobRow, row_number=999)
_HISTORY = "INSERT INTO history VALUES ('2026-01-01', 'm', 'standard', '', 'text', 1" + ", 0" * 10 + ", 7)"
#: what is changed, and the check that is about it
CHANGES = {
    "a day holds more": ("windows", "UPDATE budgets SET held_nano_usd = held_nano_usd + 1 WHERE scope = 'day'"),
    "a run has settled more": (
        "windows",
        "UPDATE budgets SET settled_nano_usd = settled_nano_usd + 1 WHERE period = 'run-1' AND group_name = ''",
    ),
    "a group's month has settled less": (
        "windows",
        "UPDATE budgets SET settled_nano_usd = settled_nano_usd - 1 WHERE scope = 'month' AND group_name = 'blue'",
    ),
    "a deadline has settled less": (
        "windows",
        "UPDATE budgets SET settled_nano_usd = settled_nano_usd - 1 WHERE scope = 'deadline'",
    ),
    "an attempt did not go out for its deadline": (
        "windows",
        "UPDATE attempts SET deadline = NULL WHERE deadline IS NOT NULL",
    ),
    "the windows of a month are gone": ("windows", "DELETE FROM budgets WHERE scope = 'month'"),
    "a window is nobody's": ("windows", "INSERT INTO budgets VALUES ('run', 'run-7', '', NULL, 0, 5)"),
    "history has what was not pruned": ("windows", _HISTORY),
    "a failed attempt holds money": (
        "holds",
        f"UPDATE attempts SET held_nano_usd = 5 WHERE attempt_id = {_ONE_FAILED}",
        f"UPDATE budgets SET held_nano_usd = held_nano_usd + 5 WHERE group_name = '' AND ({_ITS_WINDOWS})",
    ),
    "an attempt of an ended run is open": ("holds", "UPDATE attempts SET state = 'open' WHERE state = 'unknown'"),
    "a row has no outcome": ("rows", f"UPDATE jobs SET outcome = NULL WHERE {_REJECTED}"),
    "a row has an outcome that there is not": ("rows", f"UPDATE jobs SET outcome = 'lost' WHERE {_REJECTED}"),
    "a row is gone": ("rows", f"DELETE FROM jobs WHERE {_REJECTED}"),
    "all rows of a run are gone": ("rows", "DELETE FROM jobs WHERE run_id = 'run-1'"),
    "a row is there that nobody read": (
        "rows",
        f"INSERT INTO jobs ({_JOB_NAMES}) SELECT {_JOB_COPY} FROM jobs WHERE {_REJECTED}",
    ),
    "a row waits for an attempt that is not there": (
        "rows",
        "UPDATE runs SET ended_at = NULL WHERE run_id = 'run-9'",
        "UPDATE jobs SET outcome = NULL, attempt_id = 'att_gone' WHERE run_id = 'run-9' AND row_number = 1",
    ),
    "a row waits for an attempt that has ended": (
        "rows",
        "UPDATE runs SET ended_at = NULL WHERE run_id = 'run-9'",
        "UPDATE jobs SET outcome = NULL WHERE run_id = 'run-9' AND row_number = 1",
    ),
    "the attempt of a succeeded row is not there": (
        "rows",
        f"UPDATE jobs SET attempt_id = 'att_gone' WHERE {_SUCCEEDED}",
    ),
    "an answer is gone": (
        "answers",
        "DELETE FROM responses WHERE attempt_id = (SELECT min(attempt_id) FROM responses)",
    ),
    "an answer has no tokens": (
        "answers",
        "UPDATE attempts SET actual_output_tokens = NULL WHERE state = 'succeeded'",
    ),
    "an answer has fewer than no tokens": (
        "answers",
        "UPDATE attempts SET actual_input_tokens = -1 WHERE state = 'succeeded'",
    ),
    "a job is paid for twice": (
        "paid_once",
        "DROP INDEX uq_attempts_live",
        f"INSERT INTO attempts ({_NAMES}) SELECT {_COPY} FROM attempts WHERE attempt_id = {_ONE_PAID}",
    ),
    "a batch had another item": ("batches", "UPDATE batches SET requests = 3"),
    "a batch had an item less": ("batches", "UPDATE batches SET requests = 1"),
    "a batch is nowhere to be found": (
        "batches",
        "UPDATE batches SET state = 'submitted', provider_batch_id = NULL",
    ),
    "a review is about no job": (
        "reviews",
        "UPDATE reviews SET row_number = 999 WHERE id = (SELECT min(id) FROM reviews)",
    ),
    "a review has a status that there is not": (
        "reviews",
        "UPDATE reviews SET status = 'odd' WHERE id = (SELECT min(id) FROM reviews)",
    ),
    "the tables are of another version": ("schema", "UPDATE alembic_version SET version_num = '0001'"),
}  # fmt: skip


def test_a_ledger_after_real_nights_passes_every_check(nights):
    found = verified(nights)
    assert list(found) == CHECKS
    assert [name for name, check in found.items() if not check.ok] == []
    assert {check.what_to_do for check in found.values()} == {""}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_ledger_fails_exactly_the_check_that_is_about_it(nights, change):
    check, *statements = CHANGES[change]
    tamper(nights, *statements)
    assert off(nights) == [check]


def rewritten(folder, change):
    """The first part of a folder's results, with its rows changed."""
    part = folder / "results-00000.parquet"
    table = pq.read_table(part)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), part)


def _dearer(rows):
    rows[0]["cost_usd"] += Decimal("0.000000001")


FILE_CHANGES = {
    "a row is missing": lambda folder: rewritten(folder, lambda rows: rows.pop(0)),
    "a row is there twice": lambda folder: rewritten(folder, lambda rows: rows.insert(1, rows[0])),
    "a row is another one": lambda folder: rewritten(folder, lambda rows: rows[-1].update(row_number=999)),
    "a row is there twice and another missing": lambda folder: rewritten(
        folder, lambda rows: rows.__setitem__(1, rows[0])
    ),
    "a cost is higher": lambda folder: rewritten(folder, _dearer),
    "a cost is missing": lambda folder: rewritten(folder, lambda rows: rows[0].update(cost_usd=None)),
    "the rows without an answer are missing": lambda folder: (folder / "unanswered-00000.parquet").unlink(),
    "a part is missing": lambda folder: (folder / "results-00000.parquet").unlink(),
    "a part is damaged": lambda folder: (folder / "results-00000.parquet").write_bytes(b"PAR1"),
}


@pytest.fixture(scope="module")
def one_night(tmp_path_factory):
    """The folder of a ledger of one night, and of its results."""
    folder = tmp_path_factory.mktemp("one-night")
    ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
    asyncio.run(night(ledger, folder, 1, mixed_rows()))
    ledger.close()
    return folder


@pytest.mark.parametrize("change", FILE_CHANGES)
def test_changed_result_files_fail_the_check_of_results_alone(tmp_path, one_night, change):
    shutil.copytree(one_night, tmp_path, dirs_exist_ok=True)
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    tamper(ledger, f"UPDATE runs SET results_path = '{tmp_path}/run-1'")
    assert off(ledger) == []
    FILE_CHANGES[change](tmp_path / "run-1")
    assert off(ledger) == ["results"]
    assert "run-1" in verified(ledger)["results"].found
    ledger.close()


def test_result_files_of_a_pruned_run_are_compared_with_its_report(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    asyncio.run(night(ledger, tmp_path, 1, mixed_rows()))
    prune(ledger, datetime.now(UTC) + timedelta(days=1))
    assert off(ledger) == []
    rewritten(tmp_path / "run-1", lambda rows: rows.pop(0))
    assert off(ledger) == ["results"]
    ledger.close()


def test_results_that_were_moved_are_named_and_found_where_they_are(nights, made, tmp_path):
    kept = tmp_path / "kept"
    shutil.copytree(made[1], kept)
    with nights.write() as connection:
        connection.execute(text("UPDATE runs SET results_path = '/nowhere/' || run_id"))
    found = verified(nights)["results"]
    assert found.ok
    assert "runs without a results folder: 2 (run-1, run-2)" in found.found
    assert "--results" in found.what_to_do
    assert verified(nights, kept)["results"].what_to_do == ""
    FILE_CHANGES["a row is missing"](kept / "run-2")
    assert off(nights, kept) == ["results"]


@pytest.mark.parametrize(
    ("check", "statement", "words"),
    [
        (
            "answers",
            "UPDATE attempts SET worst_case_nano_usd = 1 WHERE run_id = 'run-9' AND row_number = 0",
            "(over_hold)",
        ),
        ("batches", "UPDATE batches SET given_up_at = prepared_at", "given up and still hold money"),
        (
            "reviews",
            "DELETE FROM reviews WHERE reason = 'unknown_outcome'",
            "unknown outcome without a review",
        ),
    ],
)
def test_what_is_no_fault_is_named(nights, check, statement, words):
    statements = [statement]
    if check == "batches":
        statements.append("UPDATE attempts SET batch_id = 'b' WHERE batch_id IS NOT NULL")
        statements.append("UPDATE attempts SET batch_id = 'c' WHERE state = 'unknown'")
        statements.append("UPDATE batches SET batch_id = 'c', requests = 1")
    tamper(nights, *statements)
    found = verified(nights)
    assert [name for name, one in found.items() if one.what_to_do] == [check]
    assert found[check].ok
    assert f"{words}: 1 (" in found[check].found


def test_open_attempts_of_a_run_that_nobody_works_on_are_named(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(n, text=f"text {n}") for n in range(5)], [])
    held = take(ledger, [10] * 5).held
    abandon(ledger, "run-1")
    found = verified(ledger)
    assert all(check.ok for check in found.values())
    assert "open attempts of a run that nobody works on: 5" in found["holds"].found
    assert sum(attempt.attempt_id in found["holds"].found for attempt in held) == 3
    assert "weighbridge collect" in found["holds"].what_to_do


def test_a_pruned_ledger_is_true_and_what_history_forgets_is_seen(nights):
    """The day of a history row is not the budget day: so it is the sums that must agree."""
    later = datetime.now(UTC) + timedelta(days=1)
    prune(nights, later)
    assert off(nights) == []
    # what was in doubt when the rest was pruned ends later
    for hold in reviews.unknown_holds(nights):
        reviews.book_attempt(nights, hold.attempt_id, "ana", None)
    assert off(nights) == []
    forgotten = prune(nights, later, later)["attempts rolled up"]
    assert forgotten > 1
    assert off(nights) == []
    with nights.write() as connection:
        connection.execute(
            text("UPDATE history SET actual_nano_usd = actual_nano_usd + 1 WHERE group_name = 'blue'")
        )
    found = verified(nights)
    assert [name for name, check in found.items() if not check.ok] == ["windows"]
    assert found["windows"].found.startswith("budgets that have settled another sum than their attempts: ")


def test_an_answer_that_comes_after_its_run_has_ended_is_no_fault(nights):
    [hold] = reviews.unknown_holds(nights)
    answer = settlement(
        hold.attempt_id,
        AttemptState.SUCCEEDED,
        Outcome.SUCCEEDED,
        cost=7,
        input_tokens=10,
        output_tokens=3,
        usage={"input_tokens": 10},
        response="{}",
    )
    write_down(nights, [], [answer])
    assert off(nights) == []


def test_a_run_that_ended_early_has_published_nothing(ledger, tmp_path):
    begin(ledger, results=tmp_path / "run-1")
    jobs.add(ledger, "run-1", [job(0), job(1, text="other")], [])
    assert off(ledger) == []
    end_early(ledger, "run-1")
    found = verified(ledger)
    assert all(check.ok for check in found.values())
    assert "run-1" not in found["results"].found


def test_verifying_changes_no_byte_and_can_write_nothing(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    asyncio.run(night(ledger, tmp_path, 1, mixed_rows()))
    ledger.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in files}
    assert off(ledger) == []
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in files} == before


def test_a_ledger_opened_to_read_refuses_to_write(ledger):
    begin(ledger)
    reading = open_to_read(ledger.engine.url.render_as_string(hide_password=False))
    with pytest.raises(RunFailed), reading.write() as connection:
        connection.execute(update(AttemptRow).values(tries=1))
    reading.close()


def test_nothing_is_made_where_there_is_no_ledger(tmp_path, ledger_url):
    with pytest.raises((BadInput, RunFailed)):
        open_to_read(ledger_url)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_ledger_is_said_to_be_none(tmp_path):
    (tmp_path / "empty.db").touch()
    with pytest.raises(BadInput, match="no tables of a ledger"):
        open_to_read(f"sqlite:///{tmp_path}/empty.db")
    (tmp_path / "text.db").write_text("not a database, " * 100)
    with pytest.raises(RunFailed, match="cannot be read"):
        open_to_read(f"sqlite:///{tmp_path}/text.db")


@st.composite
def a_night(draw):
    """Rows of many kinds, some with an id that others have too, and the money for them."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=12))
    names = [draw(st.sampled_from([f"job-{n}", f"job-{n}", "twin", None])) for n in range(len(kinds))]
    groups = [draw(st.sampled_from([None, "blue", "red"])) for _ in kinds]
    rows = [
        {"job_id": name, "group": group} | KINDS[kind][0](n)
        for n, (kind, name, group) in enumerate(zip(kinds, names, groups, strict=True))
    ]
    money = {"run": {"budget_usd": f"0.000{draw(st.integers(1, 99)):02d}"}} if draw(st.booleans()) else {}
    on_unknown = draw(st.sampled_from(["review", "resend"]))
    return rows, money | {"on_unknown": on_unknown}


@pytest.mark.slow
@settings(max_examples=examples(6))
@given(
    st.lists(a_night(), min_size=1, max_size=3),
    st.sampled_from(["nothing", "prune", "forget"]),
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
)
def test_whatever_the_nights_were_the_ledger_verifies_at_the_end_of_each(plans, pruned, sizes):
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        for number, (rows, changes) in enumerate(plans):
            asyncio.run(night(ledger, folder, number, rows, sizes, **changes))
            assert off(ledger) == []
            now = datetime.now(UTC)
            if pruned != "nothing":
                prune(ledger, now, now if pruned == "forget" else None)
            assert off(ledger) == []
        assert {path.name for path in Path(folder).iterdir()} >= {"run-0"}
        ledger.close()
