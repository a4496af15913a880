"""Applying: what people decided about jobs, for the runs that act on it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, null, or_, select

from rules.endings import answered_before, cut_off, deferred, parked, rejected, unknown_outcome
from rules.identity import same_model
from rules.informed_decision import was_informed
from schemas.job import Approval, EndedJob, Job, RunId
from schemas.ledger import AttemptRow, JobRow, RunRow
from schemas.money import NanoUsd
from schemas.outcome import LETS_PASS, AttemptState, Ending, Reason, ReviewStatus
from schemas.payload.payload import Payload
from schemas.review import ReviewDetail
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from schemas.usage import CUT_OFF
from services.ledger.pages import pages
from services.ledger.reviews.deciding import expire
from services.ledger.reviews.reading import detail_of, is_about
from services.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt at a job that is in flight, was answered, or may have been billed."""

    attempt_id: str
    run_id: str
    state: AttemptState
    ended_at: datetime | None
    was_cut_off: bool
    #: what the job ends as, once it is answered
    answered: Ending


#: by job and payload
_Attempts = Mapping[tuple[str, str], Sequence[_Attempt]]


def apply_decisions(
    ledger: Ledger, jobs: Sequence[Job], *, resubmit_approved: bool, parks_cut_off: bool = False
) -> tuple[list[Job], list[EndedJob]]:
    """Jobs as people decided about them: those to be weighed, and those whose outcome is decided.

    A payload and its edit are one job: while one of them is in flight, was answered or may have been billed, the other
    is not sent. What was decided about one model says nothing of a job that is pinned to another by now.

    Args:
        ledger: the ledger.
        jobs: as they were read.
        resubmit_approved: whether this run sends what was approved; if not, an approved job is weighed like any other,
            and an edited one waits for the run that sends its edit.
        parks_cut_off: whether an edit whose answer was cut off waits for a person again.
    """
    with ledger.read() as connection:
        decided = _decisions(connection, jobs)
        of_jobs = ReviewRow.fingerprint.in_([job.payload.fingerprint for job in jobs])
        attempts = _attempts(connection, of_jobs, parks_cut_off=parks_cut_off)
    weighed: list[Job] = []
    ended: list[EndedJob] = []
    for job in jobs:
        review = decided.get((job.job_id, job.payload.fingerprint))
        found: Job | EndedJob = job
        if review is not None and same_model(job.model, review.pinned_model or review.model or ""):
            found = _applied(job, review, attempts, resubmit_approved=resubmit_approved)
        if isinstance(found, EndedJob):
            ended.append(found)
        else:
            weighed.append(found)
    return weighed, ended


def _decisions(connection: Connection, jobs: Sequence[Job]) -> dict[tuple[str, str], ReviewDetail]:
    """The reviews of jobs that were decided about or edited, by job and payload; without the payload, which is at hand."""
    query = (
        select(ReviewRow.__table__, null().label("payload"), ReviewPayloadRow.edited_payload)
        .outerjoin(ReviewPayloadRow, ReviewPayloadRow.review_id == ReviewRow.id)
        .where(
            ReviewRow.fingerprint.in_([job.payload.fingerprint for job in jobs]),
            or_(
                ReviewRow.status.in_((*LETS_PASS, ReviewStatus.REJECTED)),
                ReviewRow.edited_fingerprint.is_not(None),
            ),
        )
    )
    return {(row.job_id, row.fingerprint): detail_of(row) for row in connection.execute(query)}


def _attempts(
    connection: Connection, of_reviews: ColumnElement[bool], *, parks_cut_off: bool = False
) -> _Attempts:
    """The attempts at either payload of edited reviews, but those that failed."""
    query = (
        select(
            AttemptRow.job_id,
            AttemptRow.fingerprint,
            AttemptRow.attempt_id,
            AttemptRow.run_id,
            AttemptRow.state,
            AttemptRow.ended_at,
            AttemptRow.stop_reason,
        )
        .join(
            ReviewRow,
            is_about(AttemptRow.job_id, AttemptRow.fingerprint),
        )
        .where(of_reviews, ReviewRow.edited_fingerprint.is_not(None), AttemptRow.state != AttemptState.FAILED)
    )
    found: dict[tuple[str, str], list[_Attempt]] = {}
    for job_id, fingerprint, attempt_id, run_id, state, ended_at, stop_reason in connection.execute(query):
        was_cut_off = stop_reason == CUT_OFF
        attempt = _Attempt(
            attempt_id=attempt_id,
            run_id=run_id,
            state=AttemptState(state),
            ended_at=ended_at,
            was_cut_off=was_cut_off,
            answered=cut_off(attempt_id) if was_cut_off and parks_cut_off else answered_before(),
        )
        found.setdefault((job_id, fingerprint), []).append(attempt)
    return found


def _applied(
    job: Job, review: ReviewDetail, attempts: _Attempts, *, resubmit_approved: bool
) -> Job | EndedJob:
    """A job as its review has it."""
    if review.status == ReviewStatus.REJECTED:
        return _rejected(job, review)
    has_lapsed = review.expires_at is not None and review.expires_at <= datetime.now(UTC)
    passes = review.status in LETS_PASS and not has_lapsed
    if passes and resubmit_approved:
        return _as_approved(job, review, attempts)
    return _as_it_was_read(job, review, attempts, passes=passes)


def _rejected(job: Job, review: ReviewDetail) -> EndedJob:
    when = f" on {review.decided_at:%Y-%m-%d}" if review.decided_at else ""
    note = f": {review.note}" if review.note else ""
    detail = f"rejected by {review.decided_by}{when}{note}"
    return EndedJob(job, rejected(Reason.REJECTED_BY_REVIEWER, detail))


def _as_approved(job: Job, review: ReviewDetail, attempts: _Attempts) -> Job | EndedJob:
    if review.edited_fingerprint is None:
        return _approved(job, job.payload, review)
    edited = _restored(review.edited_payload, review.edited_fingerprint)
    if edited is None:
        return _changed_since(job, review)
    return _original_went_out(job, review, attempts) or _approved(job, edited, review)


def _as_it_was_read(job: Job, review: ReviewDetail, attempts: _Attempts, *, passes: bool) -> Job | EndedJob:
    """The job's own payload, unless an edit of it went out or waits to be sent."""
    edits = attempts.get((job.job_id, review.edited_fingerprint or ""), ())
    if taken := _taken(job, edits):
        return taken
    if passes and review.edited_fingerprint:
        detail = f"edited by {review.decided_by}; `weighbridge resubmit-approved` sends the edit in its place"
        return EndedJob(job, parked(Reason(review.reason), detail))
    return job


def _original_went_out(job: Job, review: ReviewDetail, attempts: _Attempts) -> EndedJob | None:
    """Why an edit is not sent: the job's own payload went out, and who decided did not know."""
    own = attempts.get((job.job_id, review.fingerprint), ())
    unseen = [one for one in own if not was_informed(one.state, one, review.reason, review.decided_at)]
    return _taken(job, unseen)


def _taken(job: Job, attempts: Sequence[_Attempt]) -> EndedJob | None:
    """What attempts at a job's other payload make of it; None when there are none."""
    by_state = {attempt.state: attempt for attempt in attempts}
    if answered := by_state.get(AttemptState.SUCCEEDED):
        return EndedJob(job, answered.answered, answered.attempt_id)
    if flying := by_state.get(AttemptState.OPEN):
        detail = f"in flight in {flying.run_id}, edited or as it was; the next run takes it up"
        return EndedJob(job, deferred(Reason.IN_FLIGHT_ELSEWHERE, detail))
    if unknown := by_state.get(AttemptState.UNKNOWN):
        detail = (
            f"attempt {unknown.attempt_id} of {unknown.run_id} at it, edited or as it was, may have been billed; "
            "its hold stays until a person decides"
        )
        return EndedJob(job, unknown_outcome(detail))
    return None


def _approved(job: Job, payload: Payload, review: ReviewDetail) -> Job:
    approval = Approval(review.id, review.ceiling_tokens, NanoUsd(review.ceiling_nano_usd or 0))
    return replace(job, payload=payload, approval=approval)


def _restored(text: str | None, fingerprint: str) -> Payload | None:
    """A stored payload, or None when what is kept is not the one that was decided about."""
    payload = Payload.restored(text) if text else None
    return payload if payload and payload.fingerprint == fingerprint else None


def _changed_since(job: Job, review: ReviewDetail) -> EndedJob:
    detail = (
        f"the edit that {review.decided_by} decided about is not the one on record; reopen review {review.id} "
        "and edit it again"
    )
    return EndedJob(job, parked(Reason(review.reason), detail))


def approved_jobs(ledger: Ledger, run_id: RunId, first_row: int) -> Iterator[list[Job]]:
    """What people approved and the run has not among its rows, some hundreds at a time, in the order of the reviews.

    Of several payloads under one job id, the one parked last is taken: the others wait for the next run. A payload that
    is not the one that was decided about is not sent, nor an edit whose original went out.

    Args:
        ledger: the ledger.
        run_id: the run that sends them.
        first_row: the number that the first of them gets as a row.
    """
    expire(ledger, datetime.now(UTC))
    with ledger.read() as connection:
        waiting = sorted(connection.scalars(_LATEST_APPROVED))
    row_number = first_row
    for page in pages(waiting):
        jobs = list(_jobs_of(ledger, run_id, page, row_number))
        yield jobs
        row_number += len(jobs)


#: of each job, the approval of the payload parked last; one look at all of them, because a page has no way to tell
_SENDABLE = (
    ReviewRow.status.in_(LETS_PASS),
    ReviewPayloadRow.review_id == ReviewRow.id,
    case(
        (ReviewRow.edited_fingerprint.is_(None), ReviewPayloadRow.payload),
        else_=ReviewPayloadRow.edited_payload,
    ).is_not(None),
)
_LATEST_APPROVED = select(func.max(ReviewRow.id)).where(*_SENDABLE).group_by(ReviewRow.job_id)


def modes_of_approved(ledger: Ledger, now: datetime) -> set[str]:
    """The modes of the runs that parked what is approved or edited by now and not in flight; none: nothing waits to be sent.

    An approval that has lapsed turns to `expired`.
    """
    expire(ledger, now)
    in_flight = exists().where(
        AttemptRow.fingerprint == func.coalesce(ReviewRow.edited_fingerprint, ReviewRow.fingerprint),
        AttemptRow.job_id == ReviewRow.job_id,
        AttemptRow.state == AttemptState.OPEN,
    )
    query = select(RunRow.mode).distinct().join(ReviewRow, ReviewRow.run_id == RunRow.run_id)
    with ledger.read() as connection:
        return set(connection.scalars(query.where(*_SENDABLE, ~in_flight)))


def _jobs_of(ledger: Ledger, run_id: RunId, ids: Sequence[int], row_number: int) -> Iterator[Job]:
    """The jobs of approvals, as far as they still are approved and not among the run's rows."""
    here = select(JobRow.job_id).where(JobRow.run_id == run_id, JobRow.job_id == ReviewRow.job_id)
    query = (
        select(ReviewRow.__table__, ReviewPayloadRow.payload, ReviewPayloadRow.edited_payload)
        .where(*_SENDABLE, ReviewRow.id.in_(ids), ~here.exists())
        .order_by(ReviewRow.id)
    )
    with ledger.read() as connection:
        reviews = [detail_of(row) for row in connection.execute(query)]
        attempts = _attempts(connection, ReviewRow.id.in_(ids))
        kept = _kept(connection, ids)
    for job in _restored_jobs(reviews, attempts):
        texts = kept.get(job.approval.review_id) if job.approval is not None else None
        yield replace(job, row_number=row_number, kept=texts)
        row_number += 1


def _kept(connection: Connection, ids: Sequence[int]) -> dict[int, dict[str, str | None]]:
    """What was kept of the input rows that reviews are of, by review."""
    here = and_(
        JobRow.run_id == ReviewRow.run_id,
        JobRow.row_number == ReviewRow.row_number,
        JobRow.job_id == ReviewRow.job_id,
    )
    query = select(ReviewRow.id, JobRow.kept).join(JobRow, here)
    found = connection.execute(query.where(ReviewRow.id.in_(ids), JobRow.kept.is_not(None)))
    return dict(found.tuples().all())


def _restored_jobs(reviews: Iterable[ReviewDetail], attempts: _Attempts) -> Iterator[Job]:
    for review in reviews:
        edited = review.edited_fingerprint is not None
        payload = _restored(
            review.edited_payload if edited else review.payload,
            review.edited_fingerprint or review.fingerprint,
        )
        if payload is None:
            continue
        plain = Job(
            row_number=0,
            job_id=review.job_id,
            payload=payload,
            model=review.pinned_model,
            group=review.group_name,
            priority=review.priority,
        )
        if not (edited and _original_went_out(plain, review, attempts)):
            yield _approved(plain, payload, review)
