"""A rejected row is news once: the night after, it counts as rejected, is named as known, and turns nothing red."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import null

from rules.read_row import rejected_row
from rules.report_text import job_rows, rows_to_fix
from rules.shown_state import shown_state
from schemas.ledger import RunRow
from schemas.outcome import RunOutcome
from schemas.payload.invalid import InvalidPayload
from services.job_file import JobFile
from services.ledger.known_rejects import known_rejects
from tasks import report_run
from tests.fake_batches import all_rows
from tests.nights import night, text_row
from tests.strategies import quick_ledger

BAD = {"job_id": "bad", "params": '{"temperature": 0.5}'} | text_row("hello")
NO_ID = {"job_id": None} | text_row("who am I")
GOOD = {"job_id": "good"} | text_row("hello")


async def a_night(ledger, folder, number, *rows):
    _, report = await night(ledger, folder, number, list(rows))
    assert report.jobs.read == len(rows)
    return report


async def test_what_was_rejected_and_reported_just_so_is_no_news_the_night_after(ledger, tmp_path):
    first = await a_night(ledger, tmp_path, 1, BAD, NO_ID, GOOD)
    assert (first.outcome, first.rejected_before) == (RunOutcome.INCOMPLETE, 0)
    second = await a_night(ledger, tmp_path, 2, GOOD, BAD, NO_ID)
    assert (second.outcome, second.jobs.rejected, second.rejected_before) == (RunOutcome.COMPLETE, 2, 2)
    first_day = min(row.started_at for row in all_rows(ledger, RunRow)).date()
    assert second.rejected_since == first_day
    assert shown_state(second).to_do == ()
    assert next(row[:2] for row in job_rows(second) if row[0] == "rejected") == ("rejected", "2")
    assert f"2 known since {first_day}" in str(job_rows(second))
    assert all(f"(known since {first_day})" in row[3] for row in rows_to_fix(second))


async def test_since_when_it_is_known_is_a_day_of_the_policy(ledger, tmp_path):
    zone = {"time_zone": "Pacific/Kiritimati"}
    await night(ledger, tmp_path, 1, [BAD], **zone)
    with ledger.write() as connection:
        started_at = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
        connection.execute(RunRow.__table__.update().values(started_at=started_at))
    _, report = await night(ledger, tmp_path, 2, [BAD], **zone)
    assert str(report.rejected_since) == "2026-11-21"
    assert [str(row.known_since) for row in report.rows_to_mend] == ["2026-11-21"]


async def test_a_new_one_is_news_next_to_those_that_are_known_and_stands_before_them(ledger, tmp_path):
    await a_night(ledger, tmp_path, 1, BAD)
    new = BAD | {"job_id": "new"}
    second = await a_night(ledger, tmp_path, 2, BAD, new)
    assert (second.outcome, second.jobs.rejected, second.rejected_before) == (RunOutcome.INCOMPLETE, 2, 1)
    assert [row.job_id for row in second.rows_to_mend] == ["new", "bad"]
    assert shown_state(second).to_do == ("1 job was rejected: fix the rows that the report names",)


async def test_known_rows_take_no_place_from_new_ones_in_the_report(ledger, tmp_path, monkeypatch):
    monkeypatch.setattr(report_run, "ROWS_TO_FIX", 2)
    old = [BAD | {"job_id": f"old-{n}"} for n in range(4)]
    await a_night(ledger, tmp_path, 1, *old)
    second = await a_night(ledger, tmp_path, 2, *old, BAD)
    assert [row.job_id for row in second.rows_to_mend] == ["bad", "old-0"]


@pytest.mark.parametrize(
    "changed",
    [{"params": '{"temperature": 0.7}'}, {"prompt": "hello again"}, {"job_id": "other"}],
    ids=["column", "text", "id"],
)
async def test_a_row_that_was_touched_and_is_rejected_again_is_news(ledger, tmp_path, changed):
    await a_night(ledger, tmp_path, 1, BAD)
    second = await a_night(ledger, tmp_path, 2, BAD | changed)
    assert (second.outcome, second.rejected_before) == (RunOutcome.INCOMPLETE, 0)


async def test_a_second_row_of_an_id_is_news_once_too(ledger, tmp_path):
    await a_night(ledger, tmp_path, 1, GOOD, GOOD)
    second = await a_night(ledger, tmp_path, 2, GOOD, GOOD)
    assert (second.outcome, second.jobs.rejected, second.rejected_before) == (RunOutcome.COMPLETE, 1, 1)


async def test_a_run_that_told_nobody_made_nothing_known(ledger, tmp_path):
    await a_night(ledger, tmp_path, 1, BAD)
    with ledger.write() as connection:
        connection.execute(RunRow.__table__.update().values(report=null()))
    second = await a_night(ledger, tmp_path, 2, BAD)
    assert second.rejected_before == 0
    # and the first one does not learn from the second
    assert known_rejects(ledger, "run-1") == {}
    assert {row.run_id for row in all_rows(ledger, RunRow)} == {"run-1", "run-2"}


async def test_the_same_id_in_two_files_names_both(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"job_id": "1", "prompt": "of ' + name + '"}\n')
    opened = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    _, report = await night(opened, tmp_path, 1, JobFile(str(tmp_path / "*.jsonl")))
    [row] = report.rows_to_mend
    assert row.detail == (
        f"job_id: the same id stands in {tmp_path}/a.jsonl too, and this row is of {tmp_path}/b.jsonl; ids must be unique "
        "over all files of a run"
    )
    opened.close()


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text() | st.lists(st.floats())))
def test_a_row_is_known_by_its_values_and_not_by_the_order_of_its_columns(row):
    def mark(values):
        return rejected_row(0, values, InvalidPayload("a", "b")).fingerprint

    assert mark(row) == mark(dict(reversed(row.items())))
    assert mark(row) != mark(row | {"another": 1})
