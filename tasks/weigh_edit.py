"""Edit: a person changes the payload of a job that waits; it is checked, counted and priced anew on the spot."""

import asyncio
from dataclasses import dataclass, replace

import orjson

from rules.advice import Scales, advise
from rules.climb import Routed, climb
from rules.prices import Unpriced
from schemas.errors import BadInput, RunFailed
from schemas.estimate import TokenCount
from schemas.failures import CallFailed
from schemas.job import QueuedJob
from schemas.outcome import Reason
from schemas.payload.edit import Edit, NoSuchEdit
from schemas.payload.payload import InvalidPayload, Payload
from schemas.review import Decided, EditEstimate, ReviewDetail
from services.ledger import counts, reviews
from services.ledger.reviews import ParkedJob
from tasks.admit import estimate_of
from tasks.count_tokens import count_job
from tasks.route import asked_of, method_of, routes_of
from tasks.start_run import Run


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit made of a review.

    Attributes:
        before: the review as it was.
        payload: what is to be sent in its place.
        figures: its weight and price; `figures.fits` says whether it is within its limits without an approval.
        decided: whether the edit is on record, or why it was refused.
    """

    before: ReviewDetail
    payload: Payload
    figures: EditEstimate
    decided: Decided


async def edit_review(
    run: Run, review_id: int, by: str, change: Edit, *, note: str | None = None, version: int | None = None
) -> Edited:
    """Change a review's payload, count it under the routes, price it, and put the decision on record.

    Args:
        run: a policy, a ledger and a gateway; it need not be on record.
        review_id: the review.
        by: who edits.
        change: what to change.
        note: what they say about it.
        version: what they read; None: whatever stands there.

    Raises:
        BadInput: there is no such review, or the edited request is none that could be sent. Nothing was changed.
        RunFailed: the API did not count it. Nothing was changed.
    """
    before = await asyncio.to_thread(reviews.one_review, run.ledger, review_id)
    if before is None:
        raise BadInput(f"There is no review {review_id} in {run.ledger.url}; nothing was changed.")
    payload = _changed(before, change)
    figures = await weighed(run, before, payload)
    decided = await asyncio.to_thread(
        reviews.edit,
        run.ledger,
        review_id,
        by,
        payload,
        figures,
        note=note,
        version=version or before.version,
    )
    return Edited(before, payload, figures, decided)


async def weighed(run: Run, before: ReviewDetail, payload: Payload) -> EditEstimate:
    """What a payload would weigh and cost in a review's place, counted anew; nothing is decided.

    Args:
        run: a policy, a ledger and a gateway; it need not be on record.
        before: the review.
        payload: what would be sent in its place.

    Raises:
        BadInput: the payload is none that could be sent.
        RunFailed: the API did not count it.
    """
    own = await asyncio.to_thread(reviews.own_limits, run.ledger, before.run_id, before.row_number)
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
    return await _weighed(run, job, payload)


def _changed(before: ReviewDetail, change: Edit) -> Payload:
    standing = before.standing
    if standing is None:
        raise BadInput(f"The payload of review {before.id} was pruned, so it cannot be edited.")
    try:
        return Payload.checked(change.of(orjson.loads(standing)))
    except (NoSuchEdit, InvalidPayload) as error:
        raise BadInput(f"Review {before.id} is as it was: {error}") from error


async def _weighed(run: Run, job: QueuedJob, payload: Payload) -> EditEstimate:
    known = await asyncio.to_thread(counts.known, run.ledger, [job.fingerprint])
    before = known.get(job.fingerprint, {})
    counted = dict(before)
    try:
        for route in run.policy.routes:
            if why := await run.admit_model(route.model):
                raise BadInput(f"The policy's route {route.name} cannot be used: {why}. Nothing was changed.")
        ended = await count_job(run, job, payload, counted)
    except CallFailed as error:
        raise RunFailed(f"The edited payload could not be counted: {error}. Nothing was changed.") from error
    fresh = [
        TokenCount(job.fingerprint, model, n, method_of(job))
        for model, n in counted.items()
        if model not in before
    ]
    await asyncio.to_thread(counts.add, run.ledger, fresh)
    if ended is not None:
        raise BadInput(f"The edited payload cannot be sent: {ended.detail}. Nothing was changed.")
    found = climb(routes_of(run, job), run.models, asked_of(run, job), counted)
    if not isinstance(found, Routed):
        why = getattr(found, "why", "it was not counted")
        raise BadInput(f"The edited payload cannot be sent: {why}. Nothing was changed.")
    return _figures(
        run,
        replace(job, model=found.model, input_tokens=found.input_tokens, method=method_of(job)),
        payload,
        counted,
    )


def _figures(run: Run, job: QueuedJob, payload: Payload, counted: dict[str, int]) -> EditEstimate:
    try:
        estimate = estimate_of(run, job)
    except Unpriced as error:
        raise BadInput(f"The edited payload cannot be sent: {error}. Nothing was changed.") from error
    scales = Scales(run)
    parked = ParkedJob(job, Reason.OVER_COST_LIMIT, estimate.worst_case, payload.text.decode(), counted)
    figures = EditEstimate(
        estimate.model,
        estimate.input_tokens,
        estimate.method,
        estimate.worst_case,
        scales.most_tokens(parked),
        scales.most_cost(parked),
    )
    return figures if figures.fits else replace(figures, would_pass=advise(parked, scales))
