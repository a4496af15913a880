"""Reading the rows of a quote: no jobs, jobs that need no weighing, and jobs that wait."""

import asyncio
from pathlib import Path

from rules.quote_tally import EarlierAttempts
from schemas.outcome import AttemptState, Outcome
from tasks.quoting import Candidate, Quoting
from tasks.read_quoted import read_batch, undecided
from tests.nights import Rows, a_run, night, text_row, with_models_checked
from tests.strategies import quick_ledger

ROWS = [
    {"job_id": "answered"} | text_row("one"),
    {"job_id": "answered"} | text_row("the same id"),
    {"job_id": "maybe"} | text_row("send:maybe"),
    {"job_id": "heavy"} | text_row("h" * 20_000),
    {"job_id": "new"} | text_row("two"),
    {"job_id": "empty", "prompt": None},
]


def test_rows_are_parted_as_a_run_parts_them(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    asyncio.run(night(ledger, tmp_path, 1, [ROWS[0], *ROWS[2:4]]))
    run = asyncio.run(with_models_checked(a_run(ledger)))
    quoting = Quoting(
        "q", ledger, run.gateway, [Candidate("own", run.scale)], Rows(ROWS), None, Path(tmp_path)
    )
    ids: set[int] = set()
    jobs, rejected = read_batch(quoting, ids, 0, ROWS)
    assert [row.row_number for row in rejected] == [1, 5]
    waiting, ended = undecided(quoting, jobs)
    assert [(row.row_number, row.outcome) for row in ended] == [(0, Outcome.SUCCEEDED)]
    assert {one.job.job_id: one.earlier for one in waiting} == {
        "maybe": EarlierAttempts(frozenset({AttemptState.UNKNOWN})),
        "heavy": EarlierAttempts(),
        "new": EarlierAttempts(),
    }
    ledger.close()
