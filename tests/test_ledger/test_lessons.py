"""Observations: only what was counted by the provider and billed in full is one, and the newest come first."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, insert, select, text, update

from rules.lesson import LessonKey
from schemas.ledger import AttemptRow
from schemas.outcome import AttemptState, Outcome
from schemas.payload.traits import PayloadClass
from schemas.policy_sections import Margin
from services.ledger import jobs, lessons
from tests.strategies import begin, job, settlement, take, write_down

KIND = LessonKey("claude-haiku-5-5", PayloadClass.TEXT)


def answered(ledger, bills, run_id="run-1", **written):
    """A run whose attempts, counted at 10 tokens each, were billed these input tokens; written are columns of theirs."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(n, f"{run_id}-{n}") for n in range(len(bills))], [])
    held = take(ledger, [100] * len(bills), run_id).held
    ends = [
        settlement(
            attempt.attempt_id,
            AttemptState.SUCCEEDED,
            Outcome.SUCCEEDED,
            cost=50,
            input_tokens=billed,
            output_tokens=7,
        )
        for attempt, billed in zip(held, bills, strict=True)
    ]
    write_down(ledger, [attempt.attempt_id for attempt in held], ends)
    if written:
        with ledger.write() as connection:
            connection.execute(update(AttemptRow).where(AttemptRow.run_id == run_id).values(**written))


def moment():
    """Between what has ended and what is yet to."""
    time.sleep(0.002)
    return datetime.now(UTC)


def errors(ledger, before, most=100):
    return list(lessons.observed(ledger, KIND, before, most).error_tokens)


def test_what_was_observed_before_a_moment_is_learned_newest_first(ledger):
    answered(ledger, [11, 11], "run-1")
    early = moment()
    answered(ledger, [12, 12], "run-2")
    late = moment()
    answered(ledger, [13], "run-3")
    assert errors(ledger, late, 3) == [2, 2, 1]
    assert errors(ledger, late) == [2, 2, 1, 1]
    # a run that began earlier learns what it learned then, whenever it is taken over
    assert errors(ledger, early) == [1, 1]
    assert errors(ledger, datetime(2020, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    "written",
    [
        {"billing": "partial"},
        {"billing": "not_billed"},
        {"method": "bounded"},
        {"state": "unknown"},
        {"state": "failed"},
        {"actual_output_tokens": None},
        {"actual_input_tokens": None},
        {"input_tokens": 0},
        {"payload_class": "pdf"},
        {"model": "claude-opus-5-5"},
        {"effort": "high"},
    ],
)
def test_what_is_not_whole_or_not_of_the_kind_is_no_lesson(ledger, written):
    answered(ledger, [15, 15], "run-1", **written)
    answered(ledger, [11], "run-2", billing="full")
    assert errors(ledger, moment()) == [1]


def test_a_run_teaches_only_by_what_is_whole_and_counts_the_rest(ledger):
    answered(ledger, [11, 500, 12, 9, 10])
    with ledger.write() as connection:
        connection.execute(
            update(AttemptRow)
            .where(AttemptRow.row_number == 4)
            .values(billing="partial", payload_class="text")
        )
        connection.execute(update(AttemptRow).where(AttemptRow.row_number == 3).values(payload_class="pdf"))
    taught = lessons.of_run(ledger, "run-1")
    assert list(taught) == [LessonKey(KIND.model, PayloadClass.PDF), KIND]
    seen = taught[KIND]
    assert (seen.jobs, seen.left_out, seen.over_bound, seen.tally.n) == (4, 1, 1, 3)
    assert sorted(seen.tally.error_tokens) == [1, 2, 490]
    assert sorted(seen.tally.error_share) == [10_000, 20_000, 4_900_000]
    assert list(taught[LessonKey(KIND.model, PayloadClass.PDF)].tally.error_tokens) == [-1]


def test_answers_at_one_effort_teach_nothing_about_another(ledger):
    answered(ledger, [11, 11], "run-1")
    answered(ledger, [14], "run-2", effort="high")
    answered(ledger, [19], "run-3", effort="low")
    high, medium = KIND._replace(effort="high"), KIND._replace(effort="medium")
    assert list(lessons.observed(ledger, high, moment(), 9).error_tokens) == [4]
    assert list(lessons.observed(ledger, medium, moment(), 9).error_tokens) == []
    assert errors(ledger, moment()) == [1, 1]
    assert list(lessons.of_run(ledger, "run-2")) == [high]
    read = lessons.Lessons(ledger, moment(), Margin())
    assert [read.of(key).n for key in (KIND, high, medium)] == [2, 1, 0]


def test_a_ledger_without_an_answer_is_asked_once_for_all_kinds(ledger):
    answered(ledger, [])
    asked = []
    event.listen(ledger.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    read = lessons.Lessons(ledger, moment(), Margin())
    assert [read.of(KIND._replace(effort=effort)).n for effort in (None, "low", "high")] == [0, 0, 0]
    assert sum("attempts" in statement for statement in asked) == 1


def test_usage_that_has_nothing_to_do_with_its_count_is_told_on_the_first_night(ledger):
    """Each was counted at 10 tokens, with a bound of 30."""
    answered(ledger, [0, 1, 4, 31, 20], "run-1")
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).values(input_bound=13))
        connection.execute(
            update(AttemptRow).where(AttemptRow.row_number == 4).values(actual_output_tokens=999)
        )
        connection.execute(update(AttemptRow).where(AttemptRow.row_number == 0).values(billing="partial"))
    seen = lessons.of_run(ledger, "run-1")[KIND]
    assert (seen.without_input, seen.far_off, seen.over_output, seen.over_bound) == (1, 3, 1, 2)
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).values(method="bounded"))
    seen = lessons.of_run(ledger, "run-1")[KIND]
    assert (seen.without_input, seen.far_off, seen.over_output) == (0, 0, 0)


def test_the_view_has_a_signed_error_only_where_the_usage_is_whole(ledger):
    answered(ledger, [11, 9, 10])
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).where(AttemptRow.row_number == 2).values(billing="partial"))
        connection.execute(update(AttemptRow).values(expected_low_nano_usd=20, expected_high_nano_usd=30))
    columns = (
        "error_tokens, error_percent, billing, payload_class, method, estimated_low_usd, worst_case_nano_usd"
    )
    with ledger.read() as connection:
        found = connection.execute(text(f"SELECT {columns} FROM reconciliation ORDER BY job_id")).all()
    assert [(row[0], None if row[1] is None else float(row[1]), row[2]) for row in found] == [
        (1, 10.0, "full"),
        (-1, -10.0, "full"),
        (None, None, "partial"),
    ]
    assert {(row[3], row[4], float(row[5]), row[6]) for row in found} == {("text", "counted", 2e-8, 100)}


def test_the_newest_are_found_through_the_index_and_not_by_sorting(ledger):
    answered(ledger, [11])
    with ledger.read() as connection:
        row = dict(connection.execute(select(AttemptRow.__table__)).mappings().one())
    when = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        row
        | {"attempt_id": f"a{n}", "job_id": f"j{n}", "fingerprint": f"f{n}"}
        | {"payload_class": "text" if n % 300 else "pdf", "ended_at": when + timedelta(minutes=n)}
        | {"effort": None if n % 200 else "high"}
        for n in range(3_000)
    ]
    with ledger.write() as connection:
        connection.execute(insert(AttemptRow), rows)
    with ledger.write() as connection:
        connection.execute(text("ANALYZE attempts"))
    asked = []
    event.listen(ledger.engine, "before_cursor_execute", lambda *call: asked.append(call[2:4]))
    for kind in (LessonKey(KIND.model, PayloadClass.PDF), LessonKey(KIND.model, PayloadClass.TEXT, "high")):
        asked.clear()
        lessons.observed(ledger, kind, moment(), 20)
        statement, parameters = next(call for call in asked if "FROM attempts" in call[0])
        explain = "EXPLAIN QUERY PLAN " if ledger.engine.dialect.name == "sqlite" else "EXPLAIN "
        with ledger.read() as connection:
            plan = str(connection.exec_driver_sql(explain + statement, parameters).all())
        assert "ix_attempts_observed" in plan
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan
