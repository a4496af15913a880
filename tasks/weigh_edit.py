"""Weigh an edit: a person changes the payload of a job that waits; it is checked, counted and priced on the spot."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import orjson

from rules.advice import advise
from rules.fit_budget import over_budget
from rules.prices import Unpriced
from rules.scale import Scale
from rules.weighing import weighed
from schemas.errors import BadInput, RunFailed
from schemas.failures import CallFailed, Refused
from schemas.job import Job, QueuedJob
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
from tasks.count_tokens import JobOnScale, count_job, count_together
from tasks.prune_conversations import prune_conversation


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
    if change.prune:
        payload = await prune_edit(on, before, payload)
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
    return await _counted_and_priced(on, await _job_of(on, before, payload), payload)


async def prune_edit(on: EditScale, before: ReviewDetail, payload: Payload) -> Payload:
    """A payload without as many of its oldest turns as bring it within the limits of its job; nothing is decided.

    Args:
        on: what it is weighed with.
        before: the review.
        payload: what would be sent in its place, whole.

    Raises:
        BadInput: it is within its limits as it is, or no cut of its turns is.
        RunFailed: the API did not count it.
    """
    # as a run judges it: no approval lets it pass
    job = replace(await _job_of(on, before, payload), review_id=None)
    counted = await _counted(on, job, payload)
    standing = await asyncio.to_thread(over_budget, on.scale, job, weighed(on.scale, job, counted))
    if standing is None:
        raise BadInput(
            "It is within its limits, or cannot be counted: there is nothing to prune. Nothing was changed."
        )
    try:
        fitted = await prune_conversation(on, job, payload, standing)
    except CallFailed as error:
        raise RunFailed(f"The pruned payload could not be counted: {error}. Nothing was changed.") from error
    if fitted is None:
        least = on.scale.policy.prune.min_turns
        raise BadInput(
            f"No cut brings it within its limits while its newest {least} turn(s) stay ([prune] min_turns of the "
            "policy). Nothing was changed."
        )
    await on.ledger.off_loop(counts.add, fitted.counts)
    return fitted.payload


async def _job_of(on: EditScale, before: ReviewDetail, payload: Payload) -> QueuedJob:
    own = await on.ledger.off_loop(reviews.own_limits, before.run_id, before.row_number)
    job = Job(
        row_number=before.row_number,
        job_id=before.job_id,
        payload=payload,
        model=before.pinned_model,
        max_input_tokens=own.tokens,
        max_cost=own.cost,
        group=before.group_name,
    )
    # a person decides about it, so a bound serves where the provider does not count
    return replace(job.queued(), review_id=before.id)


def _changed(before: ReviewDetail, change: Edit) -> Payload:
    standing = before.standing
    if standing is None:
        raise BadInput(f"The payload of review {before.id} was pruned, so it cannot be edited.")
    try:
        return Payload.checked(change.of(orjson.loads(standing)))
    except (NoSuchEdit, InvalidPayload) as error:
        raise BadInput(f"Review {before.id} is as it was: {error}") from error


async def _counted(on: EditScale, job: QueuedJob, payload: Payload) -> dict[str, int]:
    """Input tokens of a payload by model, as far as its climb asks for them; they are put on record.

    Raises:
        BadInput: the API refuses the payload.
        RunFailed: it was not counted.
    """
    one = JobOnScale(job, payload)
    fresh = await count_together(on.ledger, [one], partial(count_job, on.scale, on.gateway))
    await on.ledger.off_loop(counts.add, fresh)
    if one.failure is not None:
        if isinstance(one.failure, Refused):
            detail = f"{one.failure}: {one.failure.explanation}"
            raise BadInput(f"The edited payload cannot be sent: {detail}. Nothing was changed.")
        raise RunFailed(f"The edited payload could not be counted: {one.failure}. Nothing was changed.")
    if one.impossible is not None:
        raise RunFailed(f"The edited payload could not be counted: {one.impossible}. Nothing was changed.")
    return one.counted


async def _counted_and_priced(on: EditScale, job: QueuedJob, payload: Payload) -> EditEstimate:
    counted = await _counted(on, job, payload)
    update = weighed(on.scale, job, counted)
    if update.ending is not None or update.model is None:
        why = update.ending.detail if update.ending else "it was not counted"
        raise BadInput(f"The edited payload cannot be sent: {why}. Nothing was changed.")
    routed = replace(job, model=update.model, input_tokens=update.input_tokens, method=update.method)
    return await asyncio.to_thread(_estimate, on.scale, routed, payload, counted)


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
