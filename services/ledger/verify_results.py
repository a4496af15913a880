"""Verifying the result files: together they are the rows of their run, each once, at the ledger's cost."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, select

from rules.compare_results import PublishedRow, RecordedRow, row_faults
from rules.verdict import Examples, Fact, verdict
from schemas.ledger import AttemptRow, JobRow, RunRow
from schemas.money import to_nano
from schemas.outcome import Outcome
from schemas.verification import CheckFinding
from services.ledger.shared_answers import cost_of_row
from services.ledger.verify_rows import read_rows, rows_on_record
from services.result_file import count_rows, read_parts

_MOST_EXAMPLES = 3


class _PublishedRun(NamedTuple):
    """An ended run that published its results. Rows, as its report and the ledger count them."""

    run_id: str
    results_path: str
    ended_at: datetime
    read: int
    on_record: int
    succeeded: int


def check_results(connection: Connection, results: Path | None) -> CheckFinding:
    """The result files of each ended run, where its folder is, agree with the ledger.

    Args:
        connection: the transaction.
        results: a folder with the runs' folders; None: where the runs wrote.
    """
    wrong: list[str] = []
    missing: list[str] = []
    for run in _published_runs(connection):
        folder = Path(run.results_path) if results is None else results / run.run_id
        if not folder.is_dir():
            missing.append(run.run_id)
        elif fault := _fault(connection, run, folder):
            wrong.append(f"{run.run_id}: {fault}")
    return verdict(
        "results",
        "the result files that are there are the rows of their runs, at the ledger's cost",
        [
            Fact(
                "runs that differ from their result files",
                _examples(wrong),
                "Believe the ledger: take the answers from its table responses, or run the same input again, which "
                "pays for nothing that succeeded and writes all answers again.",
            ),
            Fact(
                "runs without a results folder",
                _examples(missing),
                "If the folders were moved, name the folder they are in with --results.",
                is_fault=False,
            ),
        ],
    )


def _examples(names: list[str]) -> Examples:
    return Examples(len(names), tuple(names[:_MOST_EXAMPLES]))


def _published_runs(connection: Connection) -> list[_PublishedRun]:
    """A run that ended early has no report, and published nothing or a part."""
    query = (
        select(
            RunRow.run_id,
            RunRow.results_path,
            RunRow.ended_at,
            read_rows(),
            rows_on_record(),
            RunRow.report["jobs"]["succeeded"].as_integer(),
        )
        .where(RunRow.ended_at.is_not(None), read_rows().is_not(None))
        .order_by(RunRow.run_id)
    )
    return [_PublishedRun(*row) for row in connection.execute(query).tuples()]


def _fault(connection: Connection, run: _PublishedRun, folder: Path) -> str | None:
    """What is wrong with the result files of a run, or None."""
    try:
        answered, unanswered = count_rows(folder, "results"), count_rows(folder, "unanswered")
        if answered + unanswered != run.read:
            return f"{answered + unanswered:,} rows in the files, {run.read:,} read"
        if run.on_record != run.read:
            # pruned: what is left to compare with is what the run said at its end
            return None if answered == run.succeeded else f"{answered:,} answers, {run.succeeded:,} succeeded"
        faults = row_faults(_published(folder), _recorded(connection, run))
        return _described(faults)
    except (OSError, pa.ArrowException) as error:
        return f"a file cannot be read ({type(error).__name__})"


def _described(faults: Iterator[tuple[Any, int]]) -> str | None:
    numbers: Counter[str] = Counter()
    first: dict[str, int] = {}
    for fault, row_number in faults:
        numbers[fault] += 1
        first.setdefault(fault, row_number)
    return ", ".join(f"row {first[fault]} of {number} {fault}" for fault, number in numbers.items()) or None


def _published(folder: Path) -> Iterator[PublishedRow]:
    for row in read_parts(folder, "results", ["row_number", "cost_usd"]):
        cost = row["cost_usd"]
        yield PublishedRow(row["row_number"], None if cost is None else to_nano(cost))


def _recorded(connection: Connection, run: _PublishedRun) -> Iterator[RecordedRow]:
    query = (
        select(JobRow.row_number, cost_of_row(), AttemptRow.ended_at)
        .outerjoin(AttemptRow, AttemptRow.attempt_id == JobRow.attempt_id)
        .where(JobRow.run_id == run.run_id, JobRow.outcome == Outcome.SUCCEEDED)
        .order_by(JobRow.row_number)
    )
    for row_number, cost, ended_at in connection.execute(query, execution_options={"yield_per": 1_000}):
        is_late = ended_at is not None and ended_at > run.ended_at
        yield RecordedRow(row_number, cost, is_late)
