"""Quote: weigh every job of a file and price it under each policy. Counting is free; nothing is sent or parked."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from rules.endings import stops_run, uncounted
from rules.fit_budget import as_sent
from rules.job_quote import JobQuote
from rules.limits import over_limits
from rules.prices import Unpriced
from rules.quote_tally import QuotedRow, QuoteTally
from rules.read_row import check_models, job_from_row
from rules.scale import Scale, method_of
from rules.weighing import not_a_count, weighed
from schemas.errors import RunFailed
from schemas.estimate import TokenCount
from schemas.failures import CallFailed
from schemas.job import Job, JobUpdate, QueuedJob
from schemas.money import to_usd
from schemas.outcome import AttemptState, Outcome, Reason
from schemas.payload.invalid import InvalidPayload
from schemas.row import Row
from services.gateway import Gateway
from services.job_file import JobFile
from services.ledger import Ledger, counts, prior, reviews
from services.result_file import USD, growing_file
from tasks.count_tokens import JobOnScale, count_job, without_impossible
from tasks.draw_rows import DrawnRows
from tasks.prune_conversations import fit_budget
from tasks.run import Halt
from tasks.step import step

_JOB_QUOTES = pa.schema(
    [
        ("row_number", pa.int64()),
        ("job_id", pa.string()),
        ("group", pa.string()),
        ("decision", pa.string()),
        ("reason", pa.string()),
        ("model", pa.string()),
        ("input_tokens", pa.int64()),
        ("method", pa.string()),
        ("expected_usd", USD),
        ("worst_usd", USD),
        ("observed_answers", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy that the jobs are quoted under.

    Attributes:
        name: what it is called in the quote.
        scale: what jobs are weighed and priced with under it.
        is_whole: its own limits decide too; if not, it prices the jobs that the first candidate would send.
    """

    name: str
    scale: Scale
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Quoting:
    """A quote under way.

    Attributes:
        candidates: the policies, the run's own first.
        limit: only the first rows, at most this many.
        folder: where its file of job quotes goes.
        drawn: the rows that are looked at; None: all.
    """

    quote_id: str
    ledger: Ledger
    gateway: Gateway
    candidates: Sequence[Candidate]
    file: JobFile
    limit: int | None
    folder: Path
    drawn: DrawnRows | None = None
    halt: Halt = field(default_factory=Halt)

    @property
    def scale(self) -> Scale:
        """The scale of the run's own policy."""
        return self.candidates[0].scale

    def weight(self, row_number: int) -> int:
        """For how many rows of the file a row stands; 0: it is not looked at."""
        return 1 if self.drawn is None else self.drawn.weights.get(row_number, 0)

    @property
    def job_quotes(self) -> Path:
        """The file with a quote for each row."""
        return self.folder / "job-quotes.parquet"


@step
async def quote_jobs(quoting: Quoting) -> QuoteTally:
    """Weigh and price every row of the file; what a run would make of all of them.

    Raises:
        RunFailed: the API did not count, for a reason that concerns all jobs. What was counted is kept.
    """
    tally = QuoteTally([candidate.name for candidate in quoting.candidates])
    ids: set[int] = set()
    first = 0
    with growing_file(quoting.job_quotes, _JOB_QUOTES) as write:
        for rows in quoting.file.batches(quoting.limit):
            found = await _quote_batch(quoting, tally, ids, first, rows)
            first += len(rows)
            await asyncio.to_thread(write, [_as_row(one) for one in found])
    return tally


async def _quote_batch(
    quoting: Quoting, tally: QuoteTally, ids: set[int], first: int, rows: Sequence[Row]
) -> list[QuotedRow]:
    jobs, quoted = await asyncio.to_thread(read_batch, quoting, ids, first, rows)
    waiting, ended = await asyncio.to_thread(_undecided, quoting, jobs, tally)
    quoted += ended
    await count_batch(quoting, waiting)
    quoted += await asyncio.to_thread(lambda: [_quoted(quoting, one, tally) for one in waiting])
    quoted.sort(key=lambda one: one.row_number)
    priorities = {job.row_number: job.priority for job in jobs}
    for one in quoted:
        tally.add(one, priorities.get(one.row_number, 0), quoting.weight(one.row_number))
    return quoted


def read_batch(
    quoting: Quoting, ids: set[int], first: int, rows: Sequence[Row]
) -> tuple[list[Job], list[QuotedRow]]:
    """The jobs of some rows, and the rows that are none."""
    scale = quoting.scale
    jobs: list[Job] = []
    rejected: list[QuotedRow] = []
    for number, row in enumerate(rows, first):
        if not quoting.weight(number):
            continue
        try:
            job = job_from_row(number, row, scale.policy.output.default_max_tokens)
            check_models(job, scale.models.for_pin(job.model), scale.policy.mode)
        except InvalidPayload as error:
            why = f"{error.column}: {error.reason}"
            rejected.append(QuotedRow(number, None, None, Outcome.REJECTED, Reason.INVALID_ROW, why))
            continue
        key = hash(job.job_id)  # 8 bytes an id, not its text: a file may have a million
        if key in ids:
            why = "job_id: the same id stands in an earlier row; ids must be unique"
            rejected.append(QuotedRow(number, job.job_id, None, Outcome.REJECTED, Reason.INVALID_ROW, why))
            continue
        ids.add(key)
        jobs.append(job)
    return jobs, rejected


def _undecided(
    quoting: Quoting, jobs: Sequence[Job], tally: QuoteTally
) -> tuple[list[JobOnScale], list[QuotedRow]]:
    """The jobs that are to be weighed, and what became of the others: answered, in flight, in doubt, or decided about."""
    free, ended = reviews.apply_decisions(quoting.ledger, jobs, resubmit_approved=False)
    quoted = [
        _ended(queued(end.job), end.ending.outcome, end.ending.reason, end.ending.detail) for end in ended
    ]
    waiting = {job.row_number: (queued(job), job) for job in free}
    with quoting.ledger.read() as connection:
        earlier = prior.prior_attempts(connection, [one for one, _ in waiting.values()])
        again = prior.changed_since(connection, [one for one, _ in waiting.values()])
    for number, standing in earlier.items():
        one, _ = waiting[number]
        if AttemptState.SUCCEEDED in standing:
            quoted.append(_ended(one, Outcome.SUCCEEDED, None))
        elif AttemptState.OPEN in standing:
            quoted.append(_ended(one, Outcome.DEFERRED, Reason.IN_FLIGHT_ELSEWHERE))
        elif AttemptState.UNKNOWN in standing and quoting.scale.policy.parks_unknown:
            quoted.append(_ended(one, Outcome.REVIEW, Reason.UNKNOWN_OUTCOME))
        else:
            continue
        del waiting[number]
    for number in waiting.keys() & again.keys():
        tally.again[again[number]] += quoting.weight(number)
    return [JobOnScale(one, job.payload) for one, job in waiting.values()], quoted


def queued(job: Job) -> QueuedJob:
    """A job as a run has it in its queue, before it is weighed."""
    approval = job.approval
    return QueuedJob(
        row_number=job.row_number,
        job_id=job.job_id,
        fingerprint=job.payload.fingerprint,
        group=job.group,
        pinned_model=job.model,
        max_tokens=job.payload.max_tokens,
        own_max_input_tokens=job.max_input_tokens,
        own_max_cost=job.max_cost,
        cache_ttl=job.payload.cache_ttl,
        model=None,
        input_tokens=None,
        method=None,
        payload_bytes=len(job.payload.text),
        traits=job.payload.traits,
        review_id=approval.review_id if approval else None,
        ceiling_tokens=approval.input_tokens if approval else None,
        ceiling=approval.cost if approval else None,
    )


async def count_batch(quoting: Quoting, jobs: Sequence[JobOnScale]) -> None:
    """Count jobs under every model that a candidate asks about; what is known already is not asked for."""
    known = await quoting.ledger.off_loop(counts.known, [one.job.fingerprint for one in jobs])
    for one in jobs:
        one.counted = known.setdefault(one.job.fingerprint, {})
    wrong = [(one.job.fingerprint, model) for one in jobs for model in without_impossible(one)]
    await quoting.ledger.off_loop(counts.forget, wrong)
    before = {fingerprint: set(models) for fingerprint, models in known.items()}
    await asyncio.gather(*(_count_one(quoting, one) for one in jobs))
    fresh = [
        TokenCount(one.job.fingerprint, model, tokens, method_of(one.job))
        for one in jobs
        for model, tokens in one.counted.items()
        if model not in before.get(one.job.fingerprint, ())
    ]
    fresh += [count for one in jobs if one.fitted for count in one.fitted.counts]
    await quoting.ledger.off_loop(counts.add, fresh)
    for one in jobs:
        if one.failure is not None and stops_run(one.failure):
            raise RunFailed(
                f"The jobs could not be counted: {one.failure}. What was counted is kept, nothing was sent; mend that "
                "and quote again."
            )


async def _count_one(quoting: Quoting, one: JobOnScale) -> None:
    own, *others = quoting.candidates
    await count_job(own.scale, quoting.gateway, one, quoting.halt)
    if one.failure is not None or one.impossible is not None:
        return
    try:
        one.fitted = await fit_budget(quoting, one.job, one.payload, one.counted, _update(own.scale, one))
    except CallFailed as error:
        one.failure = error.as_failure()
        return
    for candidate in others:
        # its own failure concerns this candidate alone; what it counted is shared
        await count_job(
            candidate.scale,
            quoting.gateway,
            JobOnScale(one.job, one.payload, one.counted),
            quoting.halt,
        )


def _quoted(quoting: Quoting, one: JobOnScale, tally: QuoteTally) -> QuotedRow:
    """What a run would make of a job by its counts; its quotes under the other candidates are tallied."""
    own, *others = quoting.candidates
    found = _as_fitted(own.scale, one) or quote_under(own.scale, one, with_limits=True)
    for candidate in others:
        if not candidate.is_whole and found.quote is None:
            continue
        other = quote_under(candidate.scale, one, with_limits=candidate.is_whole)
        tally.compare(candidate.name, other.quote, quoting.weight(one.job.row_number))
    return found


def _as_fitted(scale: Scale, one: JobOnScale) -> QuotedRow | None:
    """A job that the policy prunes or sends on a cheaper route, as it would be sent; None: it goes as it is."""
    fitted = one.fitted
    if fitted is None:
        return None
    routed = replace(
        as_sent(one.job, fitted.payload),
        model=fitted.estimate.model,
        input_tokens=fitted.estimate.input_tokens,
        method=fitted.estimate.method,
    )
    return QuotedRow(
        row_number=routed.row_number,
        job_id=routed.job_id,
        job=routed,
        outcome=None,
        reason=None,
        detail=None,
        quote=scale.quote(routed),
    )


def quote_under(scale: Scale, one: JobOnScale, *, with_limits: bool) -> QuotedRow:
    """What a job is under one policy."""
    update = _update(scale, one)
    if update.ending is not None:
        return _ended(one.job, update.ending.outcome, update.ending.reason, update.ending.detail)
    routed = replace(one.job, model=update.model, input_tokens=update.input_tokens, method=update.method)
    try:
        quote: JobQuote = scale.quote(routed)
    except Unpriced as error:
        return _ended(routed, Outcome.REVIEW, Reason.UNPRICED, str(error))
    if with_limits and (over := over_limits(routed, quote.estimate, scale.policy)):
        return _ended(routed, Outcome.REVIEW, *over)
    return QuotedRow(routed.row_number, routed.job_id, routed, None, None, None, quote)


def _update(scale: Scale, one: JobOnScale) -> JobUpdate:
    if one.failure is not None:
        return JobUpdate(one.job.row_number, ending=uncounted(one.failure))
    if one.impossible is not None:
        return not_a_count(one.job, one.impossible)
    return weighed(scale, one.job, one.counted)


def _ended(job: QueuedJob, outcome: Outcome, reason: Reason | None, detail: str | None = None) -> QuotedRow:
    return QuotedRow(job.row_number, job.job_id, job, outcome, reason, detail)


def _as_row(one: QuotedRow) -> dict[str, Any]:
    """A row of the file of job quotes."""
    job, quote = one.job, one.quote
    return {
        "row_number": one.row_number,
        "job_id": one.job_id,
        "group": job.group if job else None,
        "decision": "send" if one.outcome is None else str(one.outcome),
        "reason": None if one.reason is None else str(one.reason),
        "model": job.model if job else None,
        "input_tokens": job.input_tokens if job else None,
        "method": str(job.method) if job and job.method else None,
        "expected_usd": to_usd(quote.estimate.expected) if quote else None,
        "worst_usd": to_usd(quote.estimate.worst_case) if quote else None,
        "observed_answers": quote.observed if quote else None,
    }
