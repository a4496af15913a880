"""Frames say exactly what the ledger and the files say: no float, the same types without rows, and never cut short."""

import asyncio
from decimal import Decimal
from itertools import count

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from schemas.errors import BadInput
from services import frames
from services.ledger import jobs, open_to_read
from tests.ledgers import failed, parked, settle, succeeded, unknown
from tests.nights import night, text_row
from tests.strategies import begin, examples, job, take

MONEY = {
    "jobs": ("expected_nano_usd", "worst_case_nano_usd"),
    "reconciliation": ("estimated_nano_usd", "worst_case_nano_usd", "actual_nano_usd"),
}
_RUNS = count(1)


def every_frame(ledger):
    return {
        "runs": frames.runs(ledger),
        "jobs": frames.jobs(ledger),
        "reconciliation": frames.reconciliation(ledger),
        "reviews": frames.reviews(ledger),
        "pending": frames.reviews(ledger, pending=True),
    }


def paid_run(ledger, costs, ends=(succeeded,)):
    """A run with an attempt for each cost, which ended in these ways by turns."""
    run_id = begin(ledger, f"run-{next(_RUNS)}")
    new = [job(row, f"{run_id} {row}", f"{run_id} {row}") for row in range(len(costs))]
    jobs.add(ledger, run_id, new, [])
    held = take(ledger, [cost * 2 for cost in costs], run_id).held
    made = []
    for number, (attempt, cost) in enumerate(zip(held, costs, strict=True)):
        end = ends[number % len(ends)]
        made.append(
            end(attempt, cost, input_tokens=cost % 97, output_tokens=3) if end is succeeded else end(attempt)
        )
    settle(ledger, *made)
    return run_id


def no_float(frame):
    return [
        name
        for name, kind in frame.dtypes.items()
        if not isinstance(kind, pd.ArrowDtype) or pa.types.is_floating(kind.pyarrow_dtype)
    ]


def test_frames_add_up_to_what_sql_adds_up_to(ledger):
    @settings(max_examples=examples(12))
    @given(
        st.lists(st.integers(1, 10**12), min_size=1, max_size=12),
        st.permutations([succeeded, failed, unknown]),
        st.integers(1, 5),
    )
    def adds_up(costs, ends, rows):
        run_id = paid_run(ledger, costs, ends)
        pieces = {
            "jobs": list(frames.jobs_in_pieces(ledger, run_id, rows=rows)),
            "reconciliation": list(frames.reconciliation_in_pieces(ledger, run_id, rows=rows)),
        }
        whole = {"jobs": frames.jobs(ledger, run_id), "reconciliation": frames.reconciliation(ledger, run_id)}
        for name, columns in MONEY.items():
            assert all(len(piece) <= rows for piece in pieces[name])
            pd.testing.assert_frame_equal(pd.concat(pieces[name], ignore_index=True), whole[name])
            for column in columns:
                query = text(f"SELECT coalesce(sum({column}), 0) FROM {name} WHERE run_id = :run_id")
                with ledger.read() as connection:
                    in_sql = connection.scalar(query, {"run_id": run_id})
                assert int(whole[name][column].sum() or 0) == in_sql
                assert Decimal(frames.usd(whole[name][column]).sum() or 0) == Decimal(int(in_sql)).scaleb(-9)

    adds_up()
    assert [name for name, frame in every_frame(ledger).items() if no_float(frame)] == []


def test_types_are_the_same_with_and_without_rows_and_none_is_a_float(ledger):
    empty = every_frame(ledger)
    [first] = frames.jobs_in_pieces(ledger)
    assert list(first.dtypes) == list(empty["jobs"].dtypes)
    assert all(len(frame) == 0 and no_float(frame) == [] for frame in empty.values())
    paid_run(ledger, [5, 10**12])
    parked(ledger, "parked")
    for name, frame in every_frame(ledger).items():
        assert len(frame) > 0
        pd.testing.assert_series_equal(frame.dtypes, empty[name].dtypes)


def test_moments_are_utc_and_the_error_is_a_decimal(ledger):
    run_id = paid_run(ledger, [5])
    [started] = frames.runs(ledger).set_index("run_id").loc[[run_id], "started_at"]
    assert started.utcoffset().total_seconds() == 0
    paid = frames.reconciliation(ledger, run_id)
    assert list(paid["error_percent"]) == [
        Decimal(paid["error_tokens"][0] * 100) / paid["estimated_input_tokens"][0]
    ]


def test_pending_reviews_are_those_of_the_view(ledger):
    parked(ledger, "run-1")
    [review] = frames.reviews(ledger, pending=True)["id"]
    with ledger.write() as connection:
        connection.execute(
            text("UPDATE reviews SET status = 'rejected', decided_by = 'ann' WHERE id = :id"), {"id": review}
        )
    assert list(frames.reviews(ledger)["status"]) == ["rejected"]
    assert len(frames.reviews(ledger, pending=True)) == 0


def test_a_url_is_as_good_as_an_open_ledger_and_is_only_read(ledger):
    paid_run(ledger, [5, 6, 7])
    url = ledger.engine.url.render_as_string(hide_password=False)
    reading = open_to_read(url)
    for opened in (url, reading):
        for name, frame in every_frame(opened).items():
            pd.testing.assert_frame_equal(frame, every_frame(ledger)[name])
    reading.close()


def test_more_rows_than_allowed_are_refused_with_a_way_out(ledger, monkeypatch):
    run_id = paid_run(ledger, [5, 6, 7])
    monkeypatch.setattr(frames, "PIECE", 2)
    assert len(frames.jobs(ledger, run_id, limit=3)) == 3
    with pytest.raises(BadInput, match=r"more than 2 rows. None was kept; .*_in_pieces"):
        frames.jobs(ledger, run_id, limit=2)


def test_a_ledger_of_another_version_and_one_that_is_not_there_are_refused(ledger, tmp_path):
    with ledger.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(BadInput, match="another version"):
        frames.runs(ledger)
    with pytest.raises(Exception, match="ledger"):
        frames.runs(f"sqlite:///{tmp_path}/nothing.db")
    assert not (tmp_path / "nothing.db").exists()


def test_results_are_the_answers_of_all_parts(tmp_path, ledger, monkeypatch):
    monkeypatch.setattr("tasks.publish.ROWS_PER_PART", 2)
    asyncio.run(night(ledger, tmp_path, 1, [{"job_id": f"job-{n}", **text_row(f"{n}")} for n in range(5)]))
    asyncio.run(night(ledger, tmp_path, 2, []))
    found, none = frames.results(tmp_path / "run-1"), frames.results(tmp_path / "run-2")
    assert sorted(found["job_id"]) == [f"job-{n}" for n in range(5)]
    assert len(none) == 0
    assert no_float(found) == []
    pd.testing.assert_series_equal(none.dtypes, found.dtypes)
    in_pieces = pd.concat(frames.results_in_pieces(tmp_path / "run-1", rows=1), ignore_index=True)
    pd.testing.assert_frame_equal(in_pieces, found)
    assert found["cost_usd"].sum() == frames.usd(frames.reconciliation(ledger)["actual_nano_usd"]).sum()
    with pytest.raises(BadInput, match="more than 4 rows"):
        frames.results(tmp_path / "run-1", limit=4)
    with pytest.raises(BadInput, match="no files"):
        frames.results(tmp_path)
