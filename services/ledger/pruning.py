"""Pruning: what may go of the ledger (`services.ledger.prunable`) goes, in many small transactions.

A succeeded attempt keeps its identity, tokens and money, so that its job is not paid for again, until it is forgotten
by a limit of its own; then its sums are in `history`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    inspect,
    literal,
    null,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import False_

from schemas.budget import Payers
from schemas.errors import RunFailed
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
from schemas.review_tables import ReviewEventRow, ReviewPayloadRow, ReviewRow
from schemas.saving_tables import CostShareRow, FittedJobRow, SharedAnswerRow
from schemas.table import Table
from services.ledger.payers import payers_of
from services.ledger.prunable import ASIDE, Prunable
from services.ledger.store import Ledger

#: rows that one transaction looks at: a night that runs meanwhile waits for no more than these
PIECE = 2_000
_HISTORY_KEY = tuple(column.name for column in inspect(HistoryRow).primary_key)
#: what is summed of attempts, by the column of `history` it is summed into
_SUMS = {
    "estimated_input_tokens": AttemptRow.input_tokens,
    "actual_input_tokens": AttemptRow.actual_input_tokens,
    "cache_write_tokens": AttemptRow.cache_write_tokens,
    "cache_write_1h_tokens": AttemptRow.cache_write_1h_tokens,
    "cache_read_tokens": AttemptRow.cache_read_tokens,
    "actual_output_tokens": AttemptRow.actual_output_tokens,
    "thinking_tokens": AttemptRow.thinking_tokens,
    "web_searches": AttemptRow.web_searches,
    "worst_case_nano_usd": AttemptRow.worst_case_nano_usd,
    "expected_nano_usd": AttemptRow.expected_nano_usd,
    "actual_nano_usd": AttemptRow.actual_nano_usd,
}

_Moments = dict[str, datetime]
_Act = Callable[[Connection, type[Table], ColumnElement[bool], _Moments], int]


@dataclass(frozen=True, slots=True)
class _Rule:
    """What becomes of the rows of one table.

    Attributes:
        what: a name for its count.
        row: the table.
        goes: of which rows.
        act: what is done to them, in the caller's transaction; returns to how many.
    """

    what: str
    row: type[Table]
    goes: ColumnElement[bool]
    act: _Act


def prune(
    ledger: Ledger, before: datetime, forget_before: datetime | None = None, *, dry_run: bool = False
) -> dict[str, int]:
    """Delete what is older than a moment, and roll up and delete what is older than another.

    In many small transactions: stopped at any instant, it has done a part, and the next one does the rest.

    Args:
        before: of runs that ended before it: answers, payloads, job rows, failed attempts, closed reviews; and counts.
        forget_before: succeeded attempts that ended before it are summed into `history` and deleted, with the batches,
            run windows and runs that are empty then; None: none. A job forgotten so may be paid for again. It is not
            later than `before`.
        dry_run: only count.

    Returns:
        How many rows went or were changed, or would be, by what they are.
    """
    rules = _rules(forgets=forget_before is not None, planned=dry_run)
    moments = {"before": before} | ({"forget_before": forget_before} if forget_before else {})
    return {rule.what: _carry_out(ledger, rule, moments, dry_run=dry_run) for rule in rules}


def compact(ledger: Ledger) -> tuple[int, int] | None:
    """Give the room of deleted rows in a SQLite file back; its bytes before and after, or None on other databases.

    Raises:
        RunFailed: somebody else writes for longer than a writer waits; nothing is lost.
    """
    if ledger.engine.dialect.name != "sqlite":
        return None
    raw = ledger.engine.raw_connection()
    try:
        cursor = raw.cursor()
        size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        before = cursor.execute(size).fetchone()[0]
        cursor.execute("VACUUM")
        # until then the compact file is only in the write-ahead log
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return before, cursor.execute(size).fetchone()[0]
    except ledger.engine.dialect.loaded_dbapi.Error as error:
        raise RunFailed(
            f"The ledger file was not compacted ({type(error).__name__}); what was pruned is pruned. Run the command "
            "again when nothing else writes and the disk has room for a second copy of the file."
        ) from error
    finally:
        raw.close()


def _carry_out(ledger: Ledger, rule: _Rule, moments: _Moments, *, dry_run: bool) -> int:
    """Walk a table piece by piece along its key; how many rows the rule concerned."""
    if isinstance(rule.goes, False_):
        return 0
    key = list(inspect(rule.row).primary_key)
    done, after = 0, None
    while True:
        with ledger.read() as connection:
            last = connection.execute(_end_of_piece(key, after)).first()
            piece = and_(_behind(key, after), true() if last is None else _up_to(key, tuple(last)), rule.goes)
            concerned = (
                connection.scalar(select(func.count()).select_from(rule.row).where(piece), moments) or 0
            )
        if dry_run:
            done += concerned
        elif concerned:
            with ledger.write() as connection:
                done += rule.act(connection, rule.row, piece, moments)
        if last is None:
            return done
        after = tuple(last)


def _end_of_piece(key: list[Any], after: tuple[Any, ...] | None) -> Select[Any]:
    return select(*key).where(_behind(key, after)).order_by(*key).offset(PIECE - 1).limit(1)


def _behind(key: list[Any], after: tuple[Any, ...] | None) -> ColumnElement[bool]:
    return true() if after is None else tuple_(*key) > _bound(key, after)


def _up_to(key: list[Any], last: tuple[Any, ...]) -> ColumnElement[bool]:
    return tuple_(*key) <= _bound(key, last)


def _bound(key: list[Any], values: tuple[Any, ...]) -> ColumnElement[Any]:
    return tuple_(*(literal(value, column.type) for column, value in zip(key, values, strict=True)))


# --- what is done ---------------------------------------------------------------------------------------------


def _delete(connection: Connection, row: type[Table], piece: ColumnElement[bool], moments: _Moments) -> int:
    return connection.execute(delete(row).where(piece), moments).rowcount


def _delete_attempts(
    connection: Connection, _row: type[Table], piece: ColumnElement[bool], moments: _Moments
) -> int:
    return len(_taken_out(connection, piece, moments)[0])


def _roll_up(connection: Connection, _row: type[Table], piece: ColumnElement[bool], moments: _Moments) -> int:
    """Sum attempts into `history` and delete them: what is summed is what the deletion gave back, no more, no less."""
    gone, payers = _taken_out(connection, piece, moments)
    sums: dict[tuple[str, ...], Counter[str]] = {}
    for row in gone:
        into = sums.setdefault(_history_key(row, row.group_name), Counter())
        into.update({name: getattr(row, column.key) or 0 for name, column in _SUMS.items()}, jobs=1)
        _spread(sums, row, payers[row.attempt_id])
    if sums:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        adding = dialect.insert(HistoryRow)
        connection.execute(
            adding.on_conflict_do_update(
                index_elements=list(_HISTORY_KEY),
                set_={name: getattr(HistoryRow, name) + adding.excluded[name] for name in (*_SUMS, "jobs")},
            ),
            [
                dict(zip(_HISTORY_KEY, key, strict=True)) | {name: total[name] for name in (*_SUMS, "jobs")}
                for key, total in sums.items()
            ],
        )
    return len(gone)


def _spread(sums: dict[tuple[str, ...], Counter[str]], row: Any, payers: Payers) -> None:
    """Move what other groups bear of an attempt's cost from the group of its job to theirs."""
    cost, own = row.actual_nano_usd or 0, _history_key(row, payers.first)
    each = cost // payers.jobs
    for group, jobs in payers.groups.items():
        if group != payers.first:
            sums[own]["actual_nano_usd"] -= jobs * each
            sums.setdefault(_history_key(row, group), Counter())["actual_nano_usd"] += jobs * each


def _history_key(row: Any, group: str | None) -> tuple[str, ...]:
    tier = row.service_tier or ("batch" if row.batch_id else "standard")
    return (
        f"{row.ended_at.astimezone(UTC):%Y-%m-%d}",
        row.model,
        tier,
        group or "",
        row.payload_class,
    )


def _taken_out(
    connection: Connection, piece: ColumnElement[bool], moments: _Moments
) -> tuple[list[Any], dict[str, Payers]]:
    """Attempts deleted with their answers; what they were, and who paid for each."""
    which = select(AttemptRow.attempt_id, AttemptRow.group_name, AttemptRow.split_jobs).where(piece)
    payers = payers_of(connection, connection.execute(which, moments).all())
    ids = list(payers)
    for row in (ResponseRow, CostShareRow, SharedAnswerRow):
        connection.execute(delete(row).where(row.attempt_id.in_(ids)))
    key = (
        AttemptRow.attempt_id,
        AttemptRow.ended_at,
        AttemptRow.model,
        AttemptRow.service_tier,
        AttemptRow.batch_id,
    )
    rest = (AttemptRow.group_name, AttemptRow.payload_class)
    gone = delete(AttemptRow).where(AttemptRow.attempt_id.in_(ids)).returning(*key, *rest, *_SUMS.values())
    return list(connection.execute(gone)), payers


def _strip(connection: Connection, row: type[Table], piece: ColumnElement[bool], moments: _Moments) -> int:
    return connection.execute(
        update(row).where(piece).values({c.key: null() for c in ASIDE}), moments
    ).rowcount


def _forget_payload(
    connection: Connection, _row: type[Table], piece: ColumnElement[bool], moments: _Moments
) -> int:
    """A changed review has a new version: who read an older one may not write."""
    ids = list(connection.scalars(select(ReviewRow.id).where(piece), moments))
    connection.execute(delete(ReviewPayloadRow).where(ReviewPayloadRow.review_id.in_(ids)))
    connection.execute(update(ReviewRow).where(ReviewRow.id.in_(ids)).values(version=ReviewRow.version + 1))
    return len(ids)


@cache
def _rules(*, forgets: bool, planned: bool) -> list[_Rule]:
    """In an order in which no row that goes is needed by one that is still there."""
    ages = Prunable(forgets=forgets, planned=planned)
    return [
        _Rule("responses", ResponseRow, ages.response(ResponseRow), _delete),
        _Rule("payloads", PayloadRow, ages.payload(PayloadRow), _delete),
        _Rule("fitted jobs", FittedJobRow, ages.fitted_job(FittedJobRow), _delete),
        _Rule("jobs", JobRow, ages.job(JobRow), _delete),
        _Rule("failed attempts", AttemptRow, ages.failed_attempt(AttemptRow), _delete_attempts),
        _Rule("attempts rolled up", AttemptRow, ages.succeeded_attempt(AttemptRow), _roll_up),
        _Rule("attempts stripped", AttemptRow, ages.stripped_attempt(AttemptRow), _strip),
        _Rule("counts", CountRow, ages.count(CountRow), _delete),
        _Rule("reviews", ReviewRow, ages.review(ReviewRow), _delete),
        _Rule("review events", ReviewEventRow, ages.review_event(ReviewEventRow), _delete),
        _Rule("review payloads", ReviewRow, ages.review_payload(ReviewRow), _forget_payload),
        _Rule("batches", BatchRow, ages.batch(BatchRow), _delete),
        _Rule("budgets", BudgetRow, ages.window(BudgetRow), _delete),
        _Rule("runs", RunRow, ages.run(RunRow), _delete),
    ]
