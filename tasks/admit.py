"""Admit: price each job by what was learned, keep back what is over its own limits, and hold the money for the rest."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from rules.caps import caps_of
from rules.endings import parked
from rules.limits import over_limits
from rules.prices import Unpriced
from rules.weighing import ended_as_weighed, over_its_limits
from schemas.attempt import Admission, WeighedJob
from schemas.job import JobUpdate, QueuedJob
from schemas.outcome import Mode, Outcome, Reason
from services.ledger import holds, jobs, reviews
from services.ledger.jobs import SHARD_BYTES
from services.ledger.payers import sharing_payers
from tasks.caching import without_mark
from tasks.run import Run
from tasks.shards import SHARD_SIZE
from tasks.step import step


@step
def admit(run: Run, size: int, *, may_defer: bool, without: Collection[str] = ()) -> Admission | None:
    """Hold the money for the next shard, or the next batch, of the queue.

    Args:
        run: the run.
        size: at most this many jobs.
        may_defer: see `holds.take`.
        without: groups whose own money is in flight; their jobs are passed over.

    Returns:
        What may be sent and what was deferred, or None when the queue is empty but for the groups passed over.
    """
    if run.policy.mode is Mode.BATCHES:
        limits = run.policy.batch
        return _admit_many(run, limits.max_requests, limits.max_bytes, may_defer=may_defer, without=without)
    if run.caching.has_plan:
        # of a prefix that nobody has written a page may bring one job only
        return _admit_many(run, size, SHARD_BYTES, may_defer=may_defer, without=without)
    return admit_next(run, size, may_defer=may_defer, without=without)


def admit_next(run: Run, size: int, *, may_defer: bool, without: Collection[str] = ()) -> Admission | None:
    """Decide about the next jobs in the queue, in one transaction; the arguments are those of `admit`."""
    if run.halt.reason:
        jobs.defer_queue(run.ledger, run.run_id, run.halt.reason)
    queued = jobs.next_in_queue(run.ledger, run.run_id, size, without, run.caching.being_primed)
    if not queued:
        return None
    queued = run.caching.in_turn(queued)
    standing, withdrawn = reviews.as_approved_now(run.ledger, queued)
    weighed, unpriced = _priced(run, standing)
    within, over = _split(run, weighed)
    if run.policy.parks_cut_off:
        within, over = _without_cut_off(run, within, over)
    jobs.record(run.ledger, run.run_id, in_doubt_first(run, queued, unpriced + over + withdrawn))
    within = _with_payers(run, within)
    if may_defer:
        within = [_with_unmarked(run, item) for item in within]
    groups = {group for item in within for group in item.payers.named()}
    admission = holds.take(
        run.ledger,
        run.reference.key,
        within,
        caps_of(run.policy, run.run_id, run.scale.clock(), groups, deadline=run.due),
        may_defer=may_defer,
        resend_unknown=not run.policy.parks_unknown,
    )
    run.caching.held(admission.held)
    if run.policy.mode is Mode.MESSAGES and run.senders is None:
        # a batch is put together outside of memory, and workers read what they send
        admission.held = holds.with_payloads(run.ledger, run.run_id, admission.held)
    return admission


def in_doubt_first(run: Run, queued: Sequence[QueuedJob], updates: Sequence[JobUpdate]) -> list[JobUpdate]:
    """What is to be written of jobs, where one that would wait for a person is of unknown outcome while it is in doubt.

    What may have been billed comes before any limit: else its review would advise to raise the limit, and an approval
    of that would send it again.
    """
    waits = {one.row_number for one in updates if one.ending and one.ending.outcome is Outcome.REVIEW}
    if not waits or not run.policy.parks_unknown:
        return list(updates)
    doubts = holds.in_doubt(run.ledger, [job for job in queued if job.row_number in waits])
    return [
        replace(one, ending=doubts[one.row_number]) if one.row_number in doubts else one for one in updates
    ]


def _with_payers(run: Run, weighed: Sequence[WeighedJob]) -> list[WeighedJob]:
    """The same with whose groups pay for each, where the policy splits what several jobs share."""
    if run.policy.run.pays == "first":
        return list(weighed)
    split = sharing_payers(run.ledger, run.run_id, [item.job.row_number for item in weighed])
    return [replace(item, split=split.get(item.job.row_number)) for item in weighed]


def _priced(run: Run, queued: Sequence[QueuedJob]) -> tuple[list[WeighedJob], list[JobUpdate]]:
    """Each job with its estimate; what asks for something that has no price waits for a person."""
    weighed: list[WeighedJob] = []
    unpriced: list[JobUpdate] = []
    for job in queued:
        try:
            weighed.append(_weighed(run, job))
        except Unpriced as error:
            ending = parked(Reason.UNPRICED, f"{error}; what has no price is not sent")
            unpriced.append(JobUpdate(job.row_number, ending=ending))
    return weighed, unpriced


def _weighed(run: Run, job: QueuedJob) -> WeighedJob:
    """A job with its estimate; a cache marker that would take it over its own limits is left off.

    Raises:
        Unpriced: it asks for something that has no price.
    """
    estimate = run.scale.estimate(job)
    if job.mark is not None and over_limits(job, estimate, run.policy) is not None:
        job = without_mark(job)
        estimate = run.scale.estimate(job)
    return WeighedJob(job, estimate)


def _with_unmarked(run: Run, item: WeighedJob) -> WeighedJob:
    """A marked job with its other form without the marker, for it is never deferred because of a marker."""
    if item.job.mark is None:
        return item
    job = without_mark(item.job)
    return replace(item, unmarked=replace(item, job=job, estimate=run.scale.estimate(job)))


def _split(run: Run, weighed: Sequence[WeighedJob]) -> tuple[list[WeighedJob], list[JobUpdate]]:
    """Jobs within their own limits, and those that wait for a person."""
    within: list[WeighedJob] = []
    waits: list[JobUpdate] = []
    for item in weighed:
        over = over_its_limits(item.job, item.estimate, run.policy)
        if over is None:
            within.append(item)
        else:
            waits.append(over)
    return within, waits


def _without_cut_off(
    run: Run, within: Sequence[WeighedJob], over: list[JobUpdate]
) -> tuple[list[WeighedJob], list[JobUpdate]]:
    """The same without the jobs whose answer was cut off, which wait for a person."""
    cut = holds.cut_off_before(run.ledger, [item.job for item in within])
    parks = [
        ended_as_weighed(item.job, item.estimate, cut[item.job.row_number])
        for item in within
        if item.job.row_number in cut
    ]
    return [item for item in within if item.job.row_number not in cut], over + parks


def _admit_many(
    run: Run, most: int, most_bytes: int, *, may_defer: bool, without: Collection[str]
) -> Admission | None:
    """Decide about the next jobs in the queue until a provider batch, or a shard, is full."""
    total = Admission()
    weight = 0
    while len(total.held) < most and weight < most_bytes and not total.short:
        part = admit_next(
            run,
            min(SHARD_SIZE, most - len(total.held)),
            may_defer=may_defer and not total.held,
            without={*without, *total.short_groups},
        )
        if part is None:
            return total if total.held or total.joined or total.short_groups else None
        total.add(part)
        weight += sum(attempt.payload_bytes for attempt in part.held)
    return total
