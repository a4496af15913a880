"""Weigh an edit: a person changes the payload of a job that waits; it is checked, counted and priced on the spot."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import orjson

from rules.advice import advise
from rules.prices import Unpriced
from rules.scale import Scale, method_of
from rules.weighing import weighed
from schemas.errors import BadInput, RunFailed
from schemas.estimate import TokenCount
from schemas.failures import Refused
from schemas.job import QueuedJob
from schemas.outcome import Reason
from schemas.payload.edit import Edit, NoSuchEdit
from schemas.payload.invalid import InvalidPayload
from schemas.payload.payload import Payload
from schemas.policy import Policy
from schemas.review import Decided, EditEstimate, ParkedJob, ReviewDetail
from services.gateway import Gateway
from services.ledger import Ledger, counts, reviews
from services.ledger.lessons import Lessons
from tasks.check_models import checked_models
from tasks.count_tokens import JobOnScale, count_job


@dataclass(frozen=True, slots=True)
class EditScale:
    """What an edit is weighed with: no run, but the lessons of all that was billed until now."""

    ledger: Ledger
    gateway: Gateway
    scale: Scale

    @classmethod
    async def of(cls, ledger: Ledger, gateway: Gateway, policy: Policy) -> "EditScale":
        """The scale of a policy.

        Raises:
            BadInput: a model of the policy cannot be used.
            RunFailed: the provider could not be asked.
        """
        models = await checked_models(gateway, policy)
        lessons = Lessons(ledger, datetime.now(UTC), policy.margin)
        return cls(ledger, gateway, Scale(policy, models, lessons.of))


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit made of a review.

    Attributes:
        before: the review as it was, with the attributes of `ReviewRow`.
        payload: what is to be sent in its place.
        figures: its weight and price; `figures.fits` says whether it is within its limits without an approval.
        decided: whether the edit is on record, or why it was refused.
    """

    before: ReviewDetail
    payload: Payload
    figures: EditEstimate
    decided: Decided


async def edit_review(
    on: EditScale,
    review_id: int,
    by: str,
    change: Edit,
    *,
    note: str | None = None,
    version: int | None = None,
) -> Edited:
    """Change a review's payload, count it under the routes, price it, and put the decision on record.

    Args:
        on: what it is weighed with.
        review_id: the review.
        by: who edits.
        change: what to change.
        note: what they say about it.
        version: what they read; None: whatever stands there.

    Raises:
        BadInput: there is no such review, or the edited request is none that could be sent. Nothing was changed.
        RunFailed: the API did not count it. Nothing was changed.
    """
    before = await on.ledger.off_loop(reviews.one_review, review_id)
    if before is None:
        raise BadInput(f"There is no review {review_id} in {on.ledger.url}; nothing was changed.")
    payload = _changed(before, change)
    figures = await weigh_edit(on, before, payload)
    decided = await on.ledger.off_loop(
        reviews.edit,
        review_id,
        by,
        payload,
        figures,
        note=note,
        version=version or before.version,
    )
    return Edited(before, payload, figures, decided)


async def weigh_edit(on: EditScale, before: ReviewDetail, payload: Payload) -> EditEstimate:
    """What a payload would weigh and cost in a review's place, counted again; nothing is decided.

    Args:
        on: what it is weighed with.
        before: the review.
        payload: what would be sent in its place.

    Raises:
        BadInput: the payload is none that could be sent.
        RunFailed: the API did not count it.
    """
    own = await on.ledger.off_loop(reviews.own_limits, before.run_id, before.row_number)
    job = QueuedJob(
        row_number=before.row_number,
        job_id=before.job_id,
        fingerprint=payload.fingerprint,
        group=before.group_name,
        pinned_model=before.pinned_model,
        max_tokens=payload.max_tokens,
        own_max_input_tokens=own.tokens,
        own_max_cost=own.cost,
        cache_ttl=payload.cache_ttl,
        model=None,
        input_tokens=None,
        method=None,
        payload_bytes=len(payload.text),
        traits=payload.traits,
        # a person decides about it, so a bound serves where the provider does not count
        review_id=before.id,
    )
    return await _counted_and_priced(on, job, payload)


def _changed(before: ReviewDetail, change: Edit) -> Payload:
    standing = before.standing
    if standing is None:
        raise BadInput(f"The payload of review {before.id} was pruned, so it cannot be edited.")
    try:
        return Payload.checked(change.of(orjson.loads(standing)))
    except (NoSuchEdit, InvalidPayload) as error:
        raise BadInput(f"Review {before.id} is as it was: {error}") from error


async def _counted_and_priced(on: EditScale, job: QueuedJob, payload: Payload) -> EditEstimate:
    known = await on.ledger.off_loop(counts.known, [job.fingerprint])
    before = known.get(job.fingerprint, {})
    one = JobOnScale(job, payload, dict(before))
    await count_job(on.scale, on.gateway, one)
    fresh = [
        TokenCount(job.fingerprint, model, tokens, method_of(job))
        for model, tokens in one.counted.items()
        if model not in before
    ]
    await on.ledger.off_loop(counts.add, fresh)
    if one.failure is not None:
        if isinstance(one.failure, Refused):
            detail = f"{one.failure}: {one.failure.explanation}"
            raise BadInput(f"The edited payload cannot be sent: {detail}. Nothing was changed.")
        raise RunFailed(f"The edited payload could not be counted: {one.failure}. Nothing was changed.")
    update = weighed(on.scale, job, one.counted)
    if update.ending is not None or update.model is None:
        why = update.ending.detail if update.ending else "it was not counted"
        raise BadInput(f"The edited payload cannot be sent: {why}. Nothing was changed.")
    routed = replace(job, model=update.model, input_tokens=update.input_tokens, method=update.method)
    return await asyncio.to_thread(_estimate, on.scale, routed, payload, one.counted)


def _estimate(scale: Scale, job: QueuedJob, payload: Payload, counted: dict[str, int]) -> EditEstimate:
    try:
        estimate = scale.estimate(job)
    except Unpriced as error:
        raise BadInput(f"The edited payload cannot be sent: {error}. Nothing was changed.") from error
    limits = scale.limits(job)
    edit = EditEstimate(
        model=estimate.model,
        input_tokens=estimate.input_tokens,
        method=estimate.method,
        worst_case=estimate.worst_case,
        limit_tokens=limits.tokens,
        limit=limits.cost,
    )
    if edit.fits:
        return edit
    parked = ParkedJob(job, Reason.OVER_COST_LIMIT, estimate.worst_case, payload.text.decode(), counted)
    return replace(edit, would_pass=advise(parked, scale))
