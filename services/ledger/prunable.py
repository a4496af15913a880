"""What of the ledger may go with age, table by table, as conditions in SQL.

What stays: attempts that are open or of unknown outcome, with their jobs and payloads; reviews that wait for a person
or for a run; runs that have not ended; batches that may be with the provider; the windows of days and months.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, false, func, or_, select, true
from sqlalchemy.orm import aliased

from schemas.ledger import AttemptRow, BatchRow, BudgetRow, JobRow, PayloadRow, RunRow
from schemas.outcome import FINAL_STATUSES, UNSETTLED_STATES, AttemptState, BatchState, ReviewStatus, Scope
from schemas.review_tables import ReviewEventRow, ReviewPayloadRow, ReviewRow
from schemas.table import UtcDateTime

#: what a succeeded attempt loses: only people look at it
ASIDE = (AttemptRow.usage, AttemptRow.error, AttemptRow.request_id)


class Prunable:
    """Which rows may go, as conditions on the moments `before` and `forget_before` of `prune`.

    Args:
        forgets: whether there is the second of the two.
        planned: nothing is deleted, so that rows which would go count as gone.
    """

    def __init__(self, *, forgets: bool, planned: bool) -> None:
        self.before = _moment("before")
        self.forget_before = _moment("forget_before") if forgets else None
        self.planned = planned

    def over(self, run_id: Any) -> ColumnElement[bool]:
        """The run ended before the limit."""
        return _ended(run_id, self.before)

    def forgotten(self, run_id: Any) -> ColumnElement[bool]:
        """The run ended before the limit of what may be forgotten."""
        return false() if self.forget_before is None else _ended(run_id, self.forget_before)

    def job(self, job: Any) -> ColumnElement[bool]:
        attempt = aliased(AttemptRow)
        in_doubt = exists().where(
            attempt.state.in_(UNSETTLED_STATES),
            attempt.run_id == job.run_id,
            attempt.row_number == job.row_number,
        )
        joined = aliased(AttemptRow)
        waits = exists().where(joined.attempt_id == job.attempt_id, joined.state.in_(UNSETTLED_STATES))
        return and_(self.over(job.run_id), ~in_doubt, ~waits)

    def payload(self, payload: Any) -> ColumnElement[bool]:
        job = aliased(JobRow)
        needed = exists().where(
            job.run_id == payload.run_id, job.row_number == payload.row_number, ~self.job(job)
        )
        return and_(self.over(payload.run_id), ~needed)

    def fitted_job(self, fitted: Any) -> ColumnElement[bool]:
        """As long as its job."""
        job = aliased(JobRow)
        needed = exists().where(
            job.run_id == fitted.run_id, job.row_number == fitted.row_number, ~self.job(job)
        )
        return and_(self.over(fitted.run_id), ~needed)

    def response(self, response: Any) -> ColumnElement[bool]:
        attempt = aliased(AttemptRow)
        return exists().where(
            attempt.attempt_id == response.attempt_id,
            attempt.state.not_in(UNSETTLED_STATES),
            attempt.ended_at < self.before,
            self.over(attempt.run_id),
            ~_wanted(attempt.attempt_id),
        )

    def failed_attempt(self, attempt: Any) -> ColumnElement[bool]:
        return and_(
            attempt.state == AttemptState.FAILED,
            # surely not billed: if money is on record all the same, it is not for pruning to lose it
            func.coalesce(attempt.actual_nano_usd, 0) == 0,
            attempt.ended_at < self.before,
            self.over(attempt.run_id),
        )

    def succeeded_attempt(self, attempt: Any) -> ColumnElement[bool]:
        if self.forget_before is None:
            return false()
        return and_(
            attempt.state == AttemptState.SUCCEEDED,
            attempt.ended_at < self.forget_before,
            self.forgotten(attempt.run_id),
            ~_wanted(attempt.attempt_id),
        )

    def attempt_left(self, *which: Any, of: Any) -> ColumnElement[bool]:
        return exists().where(*which, self._stays(or_(self.failed_attempt(of), self.succeeded_attempt(of))))

    def stripped_attempt(self, attempt: Any) -> ColumnElement[bool]:
        return and_(
            attempt.state == AttemptState.SUCCEEDED,
            or_(*(column.is_not(None) for column in ASIDE)),
            attempt.ended_at < self.before,
            self.over(attempt.run_id),
            ~self.succeeded_attempt(attempt),
        )

    def count(self, count: Any) -> ColumnElement[bool]:
        """A run that is under way reads a count more than once."""
        job, run = aliased(JobRow), aliased(RunRow)
        in_use = (
            select(job.fingerprint)
            .join(run, run.run_id == job.run_id)
            .where(run.ended_at.is_(None), job.fingerprint.is_not(None))
        )
        return and_(count.counted_at < self.before, count.fingerprint.not_in(in_use))

    def _old_review(self, review: Any) -> ColumnElement[bool]:
        event, job, run = aliased(ReviewEventRow), aliased(JobRow), aliased(RunRow)
        changed = exists().where(event.review_id == review.id, event.at >= self.before)
        # nothing but a number links a job to its review, and most runs have no such job
        in_use = (
            select(job.review_id)
            .join(run, run.run_id == job.run_id)
            .where(run.ended_at.is_(None), job.review_id.is_not(None))
        )
        return and_(
            self.over(review.run_id),
            review.created_at < self.before,
            func.coalesce(review.decided_at, review.created_at) < self.before,
            ~changed,
            review.id.not_in(in_use),
        )

    def review(self, review: Any) -> ColumnElement[bool]:
        """A review whose edit was sent in the job's place says that the job is paid for: it stays with its attempt."""
        attempt = aliased(AttemptRow)
        sent = self.attempt_left(attempt.attempt_id == review.sent_attempt_id, of=attempt)
        doubtful = aliased(AttemptRow)
        in_doubt = exists().where(
            doubtful.fingerprint == review.fingerprint,
            doubtful.job_id == review.job_id,
            doubtful.state.in_(UNSETTLED_STATES),
        )
        return and_(
            review.status.in_(FINAL_STATUSES),
            self._old_review(review),
            ~in_doubt,
            or_(review.edited_fingerprint.is_(None), ~sent),
        )

    def review_event(self, event: Any) -> ColumnElement[bool]:
        review = aliased(ReviewRow)
        return ~exists().where(review.id == event.review_id, self._stays(self.review(review)))

    def review_payload(self, review: Any) -> ColumnElement[bool]:
        """A rejection stays, so that the job is not sent; an edit that was sent, so that it is not paid for again."""
        payload = aliased(ReviewPayloadRow)
        closed = or_(
            review.status == ReviewStatus.REJECTED,
            and_(review.status.in_(FINAL_STATUSES), review.edited_fingerprint.is_not(None)),
        )
        there = exists().where(payload.review_id == review.id)
        return and_(closed, there, self._old_review(review), ~self.review(review))

    def batch(self, batch: Any) -> ColumnElement[bool]:
        if self.forget_before is None:
            return false()
        attempt = aliased(AttemptRow)
        return and_(
            batch.state.in_((BatchState.ENDED, BatchState.ABSENT)),
            batch.ended_at < self.forget_before,
            self.forgotten(batch.run_id),
            ~self.attempt_left(attempt.batch_id == batch.batch_id, of=attempt),
        )

    def window(self, window: Any) -> ColumnElement[bool]:
        if self.forget_before is None:
            return false()
        attempt = aliased(AttemptRow)
        return and_(
            window.scope == Scope.RUN,
            window.held_nano_usd == 0,
            self.forgotten(window.period),
            ~self.attempt_left(attempt.run_id == window.period, of=attempt),
        )

    def run(self, run: Any) -> ColumnElement[bool]:
        """The latest run stays: it says whether the ledger is of real money."""
        if self.forget_before is None:
            return false()
        other, job, payload = aliased(RunRow), aliased(JobRow), aliased(PayloadRow)
        attempt, batch, review = aliased(AttemptRow), aliased(BatchRow), aliased(ReviewRow)
        window = aliased(BudgetRow)
        latest = select(other.run_id).order_by(other.started_at.desc(), other.run_id.desc()).limit(1)
        left = (
            exists().where(job.run_id == run.run_id, self._stays(self.job(job))),
            exists().where(payload.run_id == run.run_id, self._stays(self.payload(payload))),
            self.attempt_left(attempt.run_id == run.run_id, of=attempt),
            exists().where(batch.run_id == run.run_id, self._stays(self.batch(batch))),
            exists().where(review.run_id == run.run_id, self._stays(self.review(review))),
            exists().where(
                window.scope == Scope.RUN, window.period == run.run_id, self._stays(self.window(window))
            ),
        )
        return and_(
            run.ended_at < self.forget_before,
            run.run_id != latest.scalar_subquery(),
            *(~one for one in left),
        )

    def _stays(self, goes: ColumnElement[bool]) -> ColumnElement[bool]:
        """When rows are deleted, those that still are there have stayed."""
        return goes.is_not(true()) if self.planned else true()


def _moment(name: str) -> ColumnElement[datetime]:
    return bindparam(name, type_=UtcDateTime())


def _ended(run_id: Any, before: ColumnElement[datetime]) -> ColumnElement[bool]:
    run = aliased(RunRow)
    return run_id.in_(select(run.run_id).where(run.ended_at < before))  # type: ignore[no-any-return]


def _wanted(attempt_id: Any) -> ColumnElement[bool]:
    """A run that is under way counts on the attempt: it will publish the answer as its own."""
    job, run = aliased(JobRow), aliased(RunRow)
    return exists().where(job.attempt_id == attempt_id, run.run_id == job.run_id, run.ended_at.is_(None))
