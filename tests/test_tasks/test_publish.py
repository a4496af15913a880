"""What is published: the answers, the rows without one, and the columns of the input that are kept."""

import asyncio

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.policy_sections import RESULT_COLUMNS, JobColumns
from services.job_file import JobFile
from services.ledger import reviews
from tasks.publish import RESULTS, UNANSWERED
from tests.nights import night
from tests.strategies import quick_ledger

KEEP = ["country", "n"]
RULES = {"results": {"keep": KEEP}, "request": {"max_input_tokens": 60}}


@pytest.fixture
def ledger(tmp_path):
    opened = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


def job_file(folder, rows):
    pq.write_table(pa.Table.from_pylist(rows), folder / "x.parquet")
    return JobFile(str(folder / "x.parquet"), JobColumns(prompt="{n}: {body}"), KEEP)


def published(folder, stem, run="run-1"):
    parts = sorted((folder / run).glob(f"{stem}-*.parquet"))
    return {row["job_id"]: row for part in parts for row in pq.read_table(part).to_pylist()}


def kept(rows):
    return {name: (row["country"], row["n"]) for name, row in rows.items()}


def test_the_policy_knows_every_column_of_the_results():
    assert set(RESULT_COLUMNS) == {*RESULTS.names, *UNANSWERED.names}


def test_every_row_has_the_columns_that_are_kept_whatever_it_ended_as(ledger, tmp_path):
    rows = [
        {"job_id": "answered", "country": "DE", "n": 7, "body": "x", "max_tokens": 5},
        {"job_id": "without", "country": None, "n": 8, "body": "x", "max_tokens": 5},
        {"job_id": "heavy", "country": "FR", "n": 9, "body": "x" * 200, "max_tokens": 5},
        {"job_id": "invalid", "country": "ES", "n": 10, "body": "x", "max_tokens": 0},
        {"job_id": "answered", "country": "IT", "n": 11, "body": "twice", "max_tokens": 5},
    ]
    asyncio.run(night(ledger, tmp_path, 1, job_file(tmp_path, rows), **RULES))
    assert kept(published(tmp_path, "results")) == {"answered": ("DE", "7"), "without": (None, "8")}
    assert kept(published(tmp_path, "unanswered")) == {
        "heavy": ("FR", "9"),
        "invalid": ("ES", "10"),
        "answered": ("IT", "11"),
    }
    # a row that an earlier run paid for has what its own input says tonight
    again = [row | {"country": "XX"} for row in rows[:1]]
    asyncio.run(night(ledger, tmp_path, 2, job_file(tmp_path, again), **RULES))
    assert kept(published(tmp_path, "results", "run-2")) == {"answered": ("XX", "7")}


def test_what_was_approved_has_the_columns_of_the_row_that_was_parked(ledger, tmp_path):
    rows = [{"job_id": "heavy", "country": "FR", "n": 9, "body": "x" * 200, "max_tokens": 5}]
    asyncio.run(night(ledger, tmp_path, 1, job_file(tmp_path, rows), **RULES))
    assert reviews.approve(ledger, [1], "ana").changed == 1
    asyncio.run(night(ledger, tmp_path, 2, None, resubmit=True, **RULES))
    assert kept(published(tmp_path, "results", "run-2")) == {"heavy": ("FR", "9")}


def test_without_kept_columns_the_results_are_as_they_were(ledger, tmp_path):
    asyncio.run(night(ledger, tmp_path, 1, [{"job_id": "a", "prompt": "x", "max_tokens": 5}]))
    [part] = (tmp_path / "run-1").glob("results-*.parquet")
    assert pq.read_schema(part).names == RESULTS.names
