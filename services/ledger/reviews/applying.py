"""Carrying out: what people decided about jobs, for the runs that act on it; and what a run made of it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Row, Select, case, func, select

from rules.endings import answered_before, parked, rejected
from schemas.job import Approval, EndedJob, Job, RunId
from schemas.ledger import AttemptRow, JobRow, ReviewPayloadRow, ReviewRow
from schemas.money import NanoUsd
from schemas.outcome import AttemptState, Reason
from schemas.payload.payload import Payload
from services.ledger.reviews.deciding import expire
from services.ledger.store import Ledger

_PAGE = 500
_LETS_PASS = ("approved", "edited")


def apply_decisions(
    ledger: Ledger, jobs: Sequence[Job], *, resubmit_approved: bool
) -> tuple[list[Job], list[EndedJob]]:
    """Jobs as people decided about them: those to be weighed, and those whose outcome is decided.

    Args:
        ledger: the ledger.
        jobs: as they were read.
        resubmit_approved: whether this run sends what was approved; if not, an approved job is weighed like any other,
            and an edited one waits for the run that sends its edit.
    """
    decided = _decisions(ledger, jobs)
    weighed: list[Job] = []
    ended: list[EndedJob] = []
    for job in jobs:
        review = decided.get((job.job_id, job.payload.fingerprint))
        found = _heeded(job, review, resubmit_approved=resubmit_approved) if review else job
        if isinstance(found, EndedJob):
            ended.append(found)
        else:
            weighed.append(found)
    return weighed, ended


def _decisions(ledger: Ledger, jobs: Sequence[Job]) -> dict[tuple[str, str], Row[tuple[object, ...]]]:
    """The reviews of jobs that somebody decided about or that were sent, by job and payload."""
    query = (
        select(
            *ReviewRow.__table__.columns,
            ReviewPayloadRow.edited_payload,
            AttemptRow.state.label("sent_state"),
        )
        .outerjoin(ReviewPayloadRow, ReviewPayloadRow.review_id == ReviewRow.id)
        .outerjoin(AttemptRow, AttemptRow.attempt_id == ReviewRow.sent_attempt_id)
        .where(
            ReviewRow.fingerprint.in_([job.payload.fingerprint for job in jobs]),
            ReviewRow.status.in_((*_LETS_PASS, "rejected", "sent")),
        )
    )
    with ledger.read() as connection:
        return {(row.job_id, row.fingerprint): row for row in connection.execute(query)}


def _heeded(job: Job, review: Row[tuple[object, ...]], *, resubmit_approved: bool) -> Job | EndedJob:
    if review.status == "rejected":
        when = f" on {review.decided_at:%Y-%m-%d}" if review.decided_at else ""
        note = f": {review.note}" if review.note else ""
        detail = f"rejected by {review.decided_by}{when}{note}"
        return EndedJob(job, rejected(Reason.REJECTED_BY_REVIEWER, detail))
    if review.status == "sent":
        # an edit was sent in its place, and answered
        if review.edited_fingerprint and review.sent_state == AttemptState.SUCCEEDED:
            return EndedJob(job, answered_before(), review.sent_attempt_id)
        return job
    lapsed = review.expires_at is not None and review.expires_at <= datetime.now(UTC)
    if resubmit_approved and not lapsed:
        payload = _edit(review) if review.edited_fingerprint else job.payload
        return _approved(job, payload, review) if payload else _changed_since(job, review)
    if review.edited_fingerprint:
        detail = f"edited by {review.decided_by}; `weighbridge resubmit-approved` sends the edit in its place"
        return EndedJob(job, parked(Reason(review.reason), detail))
    return job


def _approved(job: Job, payload: Payload, review: Row[tuple[object, ...]]) -> Job:
    approval = Approval(review.id, review.ceiling_tokens, NanoUsd(review.ceiling_nano_usd or 0))
    return replace(job, payload=payload, approval=approval)


def _edit(review: Row[tuple[object, ...]]) -> Payload | None:
    """The edit that was decided about, or None when what is kept is another one."""
    return _restored(review.edited_payload, review.edited_fingerprint)


def _restored(text: str | None, fingerprint: str) -> Payload | None:
    payload = Payload.restored(text) if text else None
    return payload if payload and payload.fingerprint == fingerprint else None


def _changed_since(job: Job, review: Row[tuple[object, ...]]) -> EndedJob:
    detail = (
        f"the edit that {review.decided_by} decided about is not the one on record; reopen review {review.id} "
        "and edit it anew"
    )
    return EndedJob(job, parked(Reason(review.reason), detail))


def approved_jobs(ledger: Ledger, run_id: RunId, first_row: int) -> Iterator[list[Job]]:
    """What people approved and the run has not among its rows, some hundreds at a time, in the order of the reviews.

    Of several payloads under one job id, the one parked last is taken: the others wait for the next run. A payload that
    is not the one that was decided about is not sent.

    Args:
        ledger: the ledger.
        run_id: the run that sends them.
        first_row: the number that the first of them gets as a row.
    """
    expire(ledger, datetime.now(UTC))
    after, row_number = 0, first_row
    while rows := _page(ledger, _approved_after(run_id, after)):
        page: list[Job] = []
        for row in rows:
            if payload := _edit(row) if row.edited_fingerprint else _restored(row.payload, row.fingerprint):
                page.append(_job(row, payload, row_number + len(page)))
        yield page
        after, row_number = rows[-1].id, row_number + len(page)


def _page(ledger: Ledger, query: Select[tuple[object, ...]]) -> Sequence[Row[tuple[object, ...]]]:
    with ledger.read() as connection:
        return connection.execute(query).all()


def _approved_after(run_id: RunId, after: int) -> Select[tuple[object, ...]]:
    own = ReviewRow.edited_fingerprint.is_(None)
    standing = case((own, ReviewPayloadRow.payload), else_=ReviewPayloadRow.edited_payload)
    lets_pass = (
        ReviewRow.status.in_(_LETS_PASS),
        ReviewPayloadRow.review_id == ReviewRow.id,
        standing.is_not(None),
    )
    latest = select(func.max(ReviewRow.id)).where(*lets_pass).group_by(ReviewRow.job_id).correlate(None)
    here = select(JobRow.job_id).where(JobRow.run_id == run_id, JobRow.job_id == ReviewRow.job_id)
    return (
        select(*ReviewRow.__table__.columns, ReviewPayloadRow.payload, ReviewPayloadRow.edited_payload)
        .where(*lets_pass, ReviewRow.id > after, ReviewRow.id.in_(latest), ~here.exists())
        .order_by(ReviewRow.id)
        .limit(_PAGE)
    )


def _job(review: Row[tuple[object, ...]], payload: Payload, row_number: int) -> Job:
    plain = Job(
        row_number=row_number,
        job_id=review.job_id,
        payload=payload,
        model=review.pinned_model,
        group=review.group_name,
        priority=review.priority,
    )
    return _approved(plain, payload, review)
