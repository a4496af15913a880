"""Reading the review table: lists, totals, one review, its history."""

from collections import Counter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    TextClause,
    and_,
    func,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.orm import InstrumentedAttribute

from schemas.ledger import AttemptRow, JobRow
from schemas.money import NanoUsd
from schemas.outcome import AttemptState, ReviewStatus
from schemas.review import (
    Filter,
    JobLimits,
    Order,
    RawAnswer,
    Review,
    ReviewDetail,
    ReviewEvent,
    Totals,
)
from schemas.review_tables import ReviewRow
from services.ledger.review_lines import (
    conditions,
    events_by,
    listed_by,
    one_by,
    raw_answers_by,
    totals_by,
)
from services.ledger.store import Ledger, values_of
from services.ledger.written_out import written_out

#: what reviews are ordered by when the dearest come first; those without a price come last, in every database
DEARNESS: ColumnElement[int] = func.coalesce(ReviewRow.worst_case_nano_usd, -1)
_FACETS: dict[str, InstrumentedAttribute[Any]] = {
    "status": ReviewRow.status,
    "reason": ReviewRow.reason,
    "group": ReviewRow.group_name,
    "model": ReviewRow.model,
}


def matching(which: Filter) -> list[TextClause]:
    """A filter as conditions on the review table."""
    return [text(sql).bindparams(**values) for sql, values in conditions(which).items()]


def listed(
    ledger: Ledger,
    which: Filter = Filter(),  # noqa: B008 - frozen
    *,
    limit: int = 50,
    offset: int = 0,
    order: Order = Order.LATEST,
) -> list[Review]:
    """Reviews, without their payloads.

    Args:
        ledger: the ledger.
        which: only these.
        limit: at most this many.
        offset: without the first this many.
        order: by age, worst case or weight.
    """
    with ledger.read() as connection:
        return listed_by(values_of(connection), which, limit=limit, offset=offset, order=order)


def totals(ledger: Ledger, which: Filter = Filter()) -> Totals:  # noqa: B008 - frozen
    """How many reviews a filter means, and what they come to."""
    with ledger.read() as connection:
        return totals_within(connection, which)


def totals_within(connection: Connection, which: Filter) -> Totals:
    """As `totals`, inside the caller's transaction."""
    return totals_by(values_of(connection), which)


def facets(ledger: Ledger, which: Filter = Filter()) -> dict[str, dict[str | None, int]]:  # noqa: B008 - frozen
    """How many of the reviews that a filter means have each status, reason, group and model; most first.

    One statement reads them all at once: there are few combinations, and many reviews.
    """
    columns = list(_FACETS.values())
    query = select(*columns, func.count()).where(*matching(which)).group_by(*columns)
    counted: dict[str, Counter[str | None]] = {name: Counter() for name in _FACETS}
    with ledger.read() as connection:
        for *values, number in connection.execute(query):
            for name, value in zip(_FACETS, values, strict=True):
                counted[name][value] += number
    return {name: dict(counter.most_common()) for name, counter in counted.items()}


def one_review(ledger: Ledger, review_id: int) -> ReviewDetail | None:
    """One review with its payloads, or None."""
    with ledger.read() as connection:
        return one_by(values_of(connection), review_id)


def detail_of(row: Row[Any]) -> ReviewDetail:
    """A row of all columns of `reviews`, then payload and edited_payload."""
    values = {**row._mapping, "status": ReviewStatus(row.status)}  # noqa: SLF001 - the public name of a Row's mapping
    return ReviewDetail(**values)


def events(ledger: Ledger, review_id: int) -> list[ReviewEvent]:
    """What happened to a review, the first first."""
    with ledger.read() as connection:
        return events_by(values_of(connection), review_id)


def raw_answers(ledger: Ledger, review_id: int) -> list[RawAnswer]:
    """What came for the attempts of unknown outcome at a review's job and could not be read, the newest first."""
    with ledger.read() as connection:
        return raw_answers_by(values_of(connection), review_id)


def is_about(job_id: Any, fingerprint: Any) -> ColumnElement[bool]:
    """Whether a review is about the job with this id and payload, which is its own or the edit of it."""
    return and_(
        ReviewRow.job_id == job_id,
        or_(ReviewRow.fingerprint == fingerprint, ReviewRow.edited_fingerprint == fingerprint),
    )


def is_over_ceiling(input_tokens: Any, worst_case: Any) -> ColumnElement[bool]:
    """Whether a weight, or a worst case in nano-USD, is over what a review lets pass; see `rules.limits.over_ceiling`."""
    return or_(
        ReviewRow.ceiling_tokens < input_tokens, func.coalesce(ReviewRow.ceiling_nano_usd, 0) < worst_case
    )


def _of_the_row(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """A column of `reviews` by its name: inside ON CONFLICT, SQLAlchemy would look at every row of the table."""
    return literal_column(f"reviews.{column.key}")


def in_doubt(*fingerprints: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    """Whether an attempt at a review's job, with one of these payloads, may have been billed.

    Args:
        fingerprints: columns of `reviews`: the payload's, the edit's, or both.
    """
    its_job, *its_payloads = [_of_the_row(column) for column in (ReviewRow.job_id, *fingerprints)]
    attempt = select(AttemptRow.attempt_id).where(
        AttemptRow.job_id == its_job,
        or_(*(AttemptRow.fingerprint == payload for payload in its_payloads)),
        AttemptRow.state == written_out(AttemptState.UNKNOWN),
    )
    return attempt.exists()


def own_limits(ledger: Ledger, run_id: str, row_number: int) -> JobLimits:
    """The limits that a job brought with it."""
    query = select(JobRow.own_max_input_tokens, JobRow.own_max_cost_nano_usd).where(
        JobRow.run_id == run_id, JobRow.row_number == row_number
    )
    with ledger.read() as connection:
        tokens, cost = connection.execute(query).tuples().first() or (None, None)
    return JobLimits(tokens, None if cost is None else NanoUsd(cost))
