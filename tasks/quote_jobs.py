"""Quote: weigh every job of a file and price it under each policy. Counting is free; nothing is sent or parked."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from rules.endings import stops_run
from rules.fit_budget import as_sent
from rules.job_quote import JobQuote
from rules.lesson import LessonKey, Tally
from rules.limits import over_limits
from rules.prefix_tree import FEWEST_BYTES
from rules.prices import Unpriced
from rules.quote_tally import QuotedRow, QuoteTally, ending_by_attempts
from rules.quoted_sharing import Lead, QuotedSharing
from rules.read_row import checked_job
from rules.scale import Scale
from rules.thinking_ways import ThinkingWays
from schemas.errors import RunFailed
from schemas.job import Job, QueuedJob
from schemas.money import to_usd
from schemas.outcome import Method, Outcome, Reason
from schemas.payload.invalid import InvalidPayload
from schemas.payload.prefix import cuts_of
from schemas.row import Row
from services.gateway import Gateway
from services.job_file import JobFile
from services.ledger import Ledger, counts, lessons, prior, reviews
from services.result_file import USD, growing_file
from tasks.count_tokens import JobOnScale, count_job, count_together, fit_one, update_of
from tasks.draw_rows import DrawnRows
from tasks.find_prefixes import cache_terms
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
        policy_file: that the policy was read from, where a person named one.
    """

    quote_id: str
    ledger: Ledger
    gateway: Gateway
    candidates: Sequence[Candidate]
    file: JobFile
    limit: int | None
    folder: Path
    drawn: DrawnRows | None = None
    policy_file: str | None = None
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
    observe = partial(_observed, quoting, datetime.now(UTC))
    ways = ThinkingWays(observe, quoting.scale.policy.output.thinking_budgets)
    tally = QuoteTally([candidate.name for candidate in quoting.candidates], ways)
    ids: set[int] = set()
    first = 0
    sharing = QuotedSharing(quoting.scale.policy, looks_at_all=quoting.drawn is None)
    with growing_file(quoting.job_quotes, _JOB_QUOTES) as write:
        for rows in quoting.file.batches(quoting.limit):
            jobs, rejected = await asyncio.to_thread(read_batch, quoting, ids, first, rows)
            found = await _quote_batch(quoting, tally, sharing, jobs)
            for one in rejected:
                tally.add(one, 0, quoting.weight(one.row_number))
            found = sorted([*found, *rejected], key=lambda one: one.row_number)
            first += len(rows)
            await asyncio.to_thread(write, [_as_row(one) for one in found])
    if quoting.drawn is None:
        await asyncio.to_thread(_cache, quoting, tally)
    return tally


def _cache(quoting: Quoting, tally: QuoteTally) -> None:
    """Sum up what caching would save under each policy."""
    now = datetime.now(UTC)
    for candidate in quoting.candidates:
        tally.cache(candidate.name, cache_terms(candidate.scale, quoting.ledger, now))


async def _quote_batch(
    quoting: Quoting, tally: QuoteTally, sharing: QuotedSharing, jobs: Sequence[Job]
) -> list[QuotedRow]:
    """What a run would make of jobs, which the tally takes in."""
    by_row = {job.row_number: job for job in jobs}
    waiting, ended = await asyncio.to_thread(_undecided, quoting, jobs, tally)
    for row in ended:
        _add(quoting, tally, sharing, by_row[row.row_number], row)
    leading = [one for one in waiting if sharing.leads(by_row[one.job.row_number])]
    await count_batch(quoting, leading)
    weighed = await asyncio.to_thread(lambda: [_quoted(quoting, one, tally) for one in leading])
    # which reads what was observed of each way to think
    for row in weighed:
        await asyncio.to_thread(_add, quoting, tally, sharing, by_row[row.row_number], row)
    led = {row.row_number for row in weighed}
    sharers = [one for one in waiting if one.job.row_number not in led]
    return [
        *ended,
        *weighed,
        *[await _shared(quoting, tally, sharing, one, by_row[one.job.row_number]) for one in sharers],
    ]


def _add(quoting: Quoting, tally: QuoteTally, sharing: QuotedSharing, job: Job, row: QuotedRow) -> None:
    """Take a row in that shares nothing; the rows after it with its payload end as it does."""
    place = len(tally.needs) if row.outcome is None else None
    weight = quoting.weight(row.row_number)
    tally.add(row, job.priority, weight)
    if row.quote is not None and row.job is not None:
        tally.ways.add(row.job, quoting.scale, row.quote.estimate.worst_case, weight)
    # an answer that is kept was offered to the others already
    if row.outcome is not Outcome.SUCCEEDED:
        sharing.note(job, Lead(row.outcome, row.reason, row.detail, place))


async def _shared(
    quoting: Quoting, tally: QuoteTally, sharing: QuotedSharing, one: JobOnScale, job: Job
) -> QuotedRow:
    """A row that ends as the first one with its payload does; it would be sent in its place, if it comes before it."""
    lead = sharing.lead(job)
    row = replace(_ended(one.job, Outcome.SUCCEEDED, None), is_shared=True)
    if lead.outcome is not None:
        row = _ended(one.job, lead.outcome, lead.reason, lead.detail)
    elif lead.place is not None and tally.outranks(lead.place, job.priority):
        # its payload is counted: this makes no call
        await count_batch(quoting, [one])
        tally.hand_over(lead.place, quote_under(quoting.scale, one, with_limits=False), job.priority)
    tally.add(row, job.priority, quoting.weight(row.row_number))
    return row


def _observed(quoting: Quoting, before: datetime, key: LessonKey, budget: int | None) -> Tally:
    """What was observed at a way to think before a moment."""
    most = quoting.scale.policy.margin.last_answers
    return lessons.observed_way(quoting.ledger, key, budget, before, most)


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
            job = checked_job(number, row, scale.policy, scale.models)
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
        _ended(end.job.queued(), end.ending.outcome, end.ending.reason, end.ending.detail) for end in ended
    ]
    waiting = {job.row_number: (job.queued(), job) for job in free}
    with quoting.ledger.read() as connection:
        earlier = prior.prior_attempts(connection, [one for one, _ in waiting.values()])
        again = prior.changed_since(connection, [one for one, _ in waiting.values()])
        kept = prior.answers_of_others(
            connection,
            [job for number, (_, job) in waiting.items() if not earlier[number]],
            quoting.scale.policy.kept_answers,
        )
    quoted += [_ended(waiting.pop(number)[0], Outcome.SUCCEEDED, None) for number in kept]
    for number in list(waiting):
        ending = ending_by_attempts(earlier[number], parks_unknown=quoting.scale.policy.parks_unknown)
        if ending is not None:
            quoted.append(_ended(waiting.pop(number)[0], *ending))
    for number in waiting.keys() & again.keys():
        tally.again[again[number]] += quoting.weight(number)
    return [JobOnScale(one, job.payload) for one, job in waiting.values()], quoted


async def count_batch(quoting: Quoting, jobs: Sequence[JobOnScale]) -> None:
    """Count jobs under every model that a candidate asks about; what is known already is not asked for.

    Raises:
        RunFailed: a failure that concerns all jobs. What was counted is kept.
    """
    fresh = await count_together(quoting.ledger, jobs, partial(_count_one, quoting))
    await quoting.ledger.off_loop(counts.add, fresh)
    for one in jobs:
        if one.failure is not None and stops_run(one.failure):
            raise RunFailed(
                f"The jobs could not be counted: {one.failure}. What was counted is kept, nothing was sent; fix that "
                "and quote again."
            )


async def _count_one(quoting: Quoting, one: JobOnScale) -> None:
    own, *others = quoting.candidates
    await count_job(own.scale, quoting.gateway, one, quoting.halt)
    await fit_one(quoting, one, quoting.halt)
    if one.failure is not None or one.impossible is not None:
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
    found = quote_under(own.scale, one, with_limits=True)
    as_it_was = replace(one, fitted=None)
    _take_beginning(tally, own.name, one, found)
    for candidate in others:
        if not candidate.is_whole and found.quote is None:
            continue
        other = quote_under(candidate.scale, as_it_was, with_limits=candidate.is_whole)
        tally.compare(candidate.name, other.quote, quoting.weight(one.job.row_number))
        _take_beginning(tally, candidate.name, as_it_was, other)
    return found


def _take_beginning(tally: QuoteTally, name: str, one: JobOnScale, found: QuotedRow) -> None:
    """Take in what a job that would be sent begins with; one with cache markers of its own is left as it is."""
    job = found.job
    payload = one.payload if one.fitted is None else one.fitted.payload
    if found.quote is None or job is None or job.method != Method.COUNTED or payload.cache_ttl is not None:
        return
    if len(payload.text) >= FEWEST_BYTES:
        model = found.quote.estimate.model
        tokens_a_byte = found.quote.estimate.input_tokens / len(payload.text)
        tally.begins(name, model, list(cuts_of(payload.request, model)), tokens_a_byte)


def quote_under(scale: Scale, one: JobOnScale, *, with_limits: bool) -> QuotedRow:
    """What a job is under one policy, pruned or downgraded if it was."""
    update = update_of(scale, one)
    if update.ending is not None:
        return _ended(one.job, update.ending.outcome, update.ending.reason, update.ending.detail)
    job = one.job if one.fitted is None else as_sent(one.job, one.fitted.payload)
    routed = replace(job, model=update.model, input_tokens=update.input_tokens, method=update.method)
    try:
        quote: JobQuote = scale.quote(routed)
    except Unpriced as error:
        return _ended(routed, Outcome.REVIEW, Reason.UNPRICED, str(error))
    if with_limits and (over := over_limits(routed, quote.estimate, scale.policy)):
        return _ended(routed, Outcome.REVIEW, *over)
    return QuotedRow(routed.row_number, routed.job_id, routed, None, None, None, quote)


def _ended(job: QueuedJob, outcome: Outcome, reason: Reason | None, detail: str | None = None) -> QuotedRow:
    return QuotedRow(job.row_number, job.job_id, job, outcome, reason, detail)


def _decision(one: QuotedRow) -> str:
    """What a run would decide, in a word."""
    if one.is_shared:
        return "shared"
    return "send" if one.outcome is None else str(one.outcome)


def _as_row(one: QuotedRow) -> dict[str, Any]:
    """A row of the file of job quotes."""
    job, quote = one.job, one.quote
    return {
        "row_number": one.row_number,
        "job_id": one.job_id,
        "group": job.group if job else None,
        "decision": _decision(one),
        "reason": None if one.reason is None else str(one.reason),
        "model": job.model if job else None,
        "input_tokens": job.input_tokens if job else None,
        "method": str(job.method) if job and job.method else None,
        "expected_usd": to_usd(quote.estimate.expected) if quote else None,
        "worst_usd": to_usd(quote.estimate.worst_case) if quote else None,
        "observed_answers": quote.observed if quote else None,
    }
