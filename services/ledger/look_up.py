"""Looking things up: runs, and the history of a job, as small typed rows. Nothing is written.

A SQLite ledger is read by Python's own module: SQLAlchemy and Alembic take three times as long to import as such an
answer may take. Any other ledger is opened as always, and asked in the same words.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar, get_type_hints
from urllib.parse import quote

from schemas.errors import BadInput, RunFailed
from schemas.ledger_place import plain_sqlite_file
from schemas.looked_up import AttemptLine, JobHistory, JobLine, ReviewLine, RunLine
from schemas.words import masked_url

#: how long a look waits for a writer that is just changing the file, seconds
_BUSY_SECONDS = 10
Asked = Callable[[str, Mapping[str, Any]], Sequence[Sequence[Any]]]
Line = TypeVar("Line", RunLine, JobLine, AttemptLine, ReviewLine)

# a run's rows are numbered from 0 without a gap, so that the last number is found in the index and nothing is counted
_RUNS = """
SELECT r.run_id, r.started_at, r.ended_at, r.jobs_path, r.mode, r.simulated, r.outcome,
       (SELECT max(j.row_number) + 1 FROM jobs j WHERE j.run_id = r.run_id),
       b.settled_nano_usd, b.held_nano_usd
FROM runs r
LEFT JOIN budgets b ON b.scope = 'run' AND b.period = r.run_id AND b.group_name = ''
ORDER BY r.started_at DESC LIMIT :most
"""
# through the runs, for the index is on (run_id, job_id)
_JOB = """
SELECT r.run_id, r.started_at, r.simulated, j.row_number, j.group_name, j.model, j.input_tokens, j.method,
       j.expected_nano_usd, j.worst_case_nano_usd, j.decision, j.outcome, j.reason, j.detail, j.attempt_id
FROM runs r CROSS JOIN jobs j
WHERE j.run_id = r.run_id AND j.job_id = :job
ORDER BY r.started_at DESC
"""
_ATTEMPT = """
SELECT a.attempt_id, a.run_id, a.state, a.model, a.opened_at, a.sent_at, a.ended_at, a.batch_id,
       a.actual_input_tokens, a.actual_output_tokens, a.actual_nano_usd, a.held_nano_usd, a.stop_reason, a.error
"""
# what succeeded is on record also after its row was pruned
_ATTEMPTS = f"""
{_ATTEMPT} FROM attempts a WHERE a.job_id = :job AND a.state = 'succeeded'
UNION
{_ATTEMPT} FROM runs r CROSS JOIN jobs j CROSS JOIN attempts a
WHERE j.run_id = r.run_id AND j.job_id = :job AND a.run_id = j.run_id AND a.row_number = j.row_number
ORDER BY 5 DESC
"""
_REVIEWS = """
SELECT v.id, v.status, v.reason, v.created_at, v.decided_by, v.decided_at, v.note
FROM reviews v WHERE v.job_id = :job ORDER BY v.id DESC
"""
_ANSWER = "SELECT body FROM responses WHERE attempt_id = :attempt"


def latest_runs(url: str, most: int) -> list[RunLine]:
    """The runs on record, the newest first, at most this many.

    Args:
        url: a SQLAlchemy URL.
        most: of them.

    Raises:
        BadInput: no ledger of this version is there.
        RunFailed: the database does not answer.
    """
    with _asking(url) as ask:
        return _lines(RunLine, ask(_RUNS, {"most": most}))


def job_history(url: str, job_id: str) -> JobHistory:
    """All that is on record of a job id; empty where nothing is.

    Raises:
        BadInput: no ledger of this version is there.
        RunFailed: the database does not answer.
    """
    asked = {"job": job_id}
    with _asking(url) as ask:
        return JobHistory(
            job_id=job_id,
            runs=tuple(_lines(JobLine, ask(_JOB, asked))),
            attempts=tuple(_lines(AttemptLine, ask(_ATTEMPTS, asked))),
            reviews=tuple(_lines(ReviewLine, ask(_REVIEWS, asked))),
        )


def answer_body(url: str, attempt_id: str) -> str | None:
    """The answer to an attempt as the API gave it; None when it was pruned or never came.

    Raises:
        BadInput: no ledger of this version is there.
        RunFailed: the database does not answer.
    """
    with _asking(url) as ask:
        rows = ask(_ANSWER, {"attempt": attempt_id})
    return rows[0][0] if rows else None


def _lines(kind: type[Line], rows: Sequence[Sequence[Any]]) -> list[Line]:
    """Rows as what they are: SQLite has neither moments nor truth."""
    hints = get_type_hints(kind)
    read_as: list[Callable[[Any], Any]] = [_reader(hints[one.name]) for one in fields(kind)]
    make: Callable[..., Line] = kind
    return [make(*(read(value) for read, value in zip(read_as, row, strict=True))) for row in rows]


def _reader(hint: Any) -> Callable[[Any], Any]:
    """What makes a value of a column that which the row's field is."""
    if hint is bool:
        return bool
    return _moment if datetime in (hint, *getattr(hint, "__args__", ())) else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _moment(value: str | datetime | None) -> datetime | None:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def _asking(url: str) -> Iterator[Asked]:
    """Something to ask the ledger with, all in one transaction."""
    file = plain_sqlite_file(url)
    if file is None:
        with _asking_database(url) as ask:
            yield ask
        return
    address = f"file:{quote(str(file.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as connection:
            connection.isolation_level = None
            connection.execute("BEGIN")
            yield lambda sql, values: connection.execute(sql, values).fetchall()
    except sqlite3.DatabaseError as error:
        raise _unreadable(url, error) from error


def _unreadable(url: str, error: sqlite3.DatabaseError) -> BadInput | RunFailed:
    if str(error).startswith("no such"):
        return BadInput(
            f"There are no tables of a ledger of this version at {masked_url(url)}. `weighbridge report` brings an "
            "older one up to date; else name another with --ledger or WEIGHBRIDGE_LEDGER. Nothing was changed."
        )
    return RunFailed(
        f"The ledger {masked_url(url)} cannot be read ({type(error).__name__}). Nothing was changed; check that it is "
        "there and is a ledger."
    )


@contextmanager
def _asking_database(url: str) -> Iterator[Asked]:
    from sqlalchemy import text  # noqa: PLC0415 - see the top

    from services.ledger.store import open_to_read  # noqa: PLC0415

    with closing(open_to_read(url)) as ledger, ledger.read() as connection:
        yield lambda sql, values: connection.execute(text(sql), values).fetchall()
