"""Quote: weigh every job of a file and price it under each policy. Counting is free; nothing is sent or parked."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from rules.lesson import LessonKey, Tally
from rules.quote_tally import QuotedRow, QuoteTally, ended_row, ending_by_attempts
from rules.quoted_sharing import Lead, QuotedSharing
from rules.thinking_ways import ThinkingWays
from schemas.job import Job
from schemas.outcome import Outcome
from services.ledger import lessons
from services.quote_file import quote_file
from tasks.find_prefixes import cache_terms
from tasks.quoting import Quoting
from tasks.read_quoted import Waiting, read_batch, undecided
from tasks.step import step
from tasks.weigh_quoted import compare_policies, count_batch, quote_under


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
    with quote_file(quoting.job_quotes) as write:
        for rows in quoting.file.batches(quoting.limit):
            jobs, rejected = await asyncio.to_thread(read_batch, quoting, ids, first, rows)
            found = await _quote_batch(quoting, tally, sharing, jobs)
            for one in rejected:
                tally.add(one, 0, quoting.weight(one.row_number))
            found = sorted([*found, *rejected], key=lambda one: one.row_number)
            first += len(rows)
            await asyncio.to_thread(write, found)
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
    waiting, ended = await asyncio.to_thread(undecided, quoting, jobs)
    for row in ended:
        _add(quoting, tally, sharing, by_row[row.row_number], row)
    # one with an attempt of its own goes its own way, and those with its payload share with it
    first = sorted(waiting, key=lambda one: not one.earlier.states)
    leading = [one for one in first if sharing.leads(one.job) or one.earlier.states]
    await count_batch(quoting, [one.on_scale for one in leading])
    weighed = await asyncio.to_thread(lambda: [_quoted(quoting, one, tally) for one in leading])
    # which reads what was observed of each way to think
    for row in weighed:
        await asyncio.to_thread(_add, quoting, tally, sharing, by_row[row.row_number], row)
    led = {row.row_number for row in weighed}
    sharers = [one for one in waiting if one.job.row_number not in led]
    return [*ended, *weighed, *[await _shared(quoting, tally, sharing, one) for one in sharers]]


def _quoted(quoting: Quoting, one: Waiting, tally: QuoteTally) -> QuotedRow:
    """What a run would make of a job by its counts and by earlier attempts at it."""
    found = quote_under(quoting.scale, one.on_scale, with_limits=True)
    policy = quoting.scale.policy
    ending = ending_by_attempts(
        one.earlier, found.outcome, parks_unknown=policy.parks_unknown, parks_cut_off=policy.parks_cut_off
    )
    if ending is not None:
        outcome, reason = ending
        return replace(found, outcome=outcome, reason=reason, detail=None, quote=None)
    compare_policies(quoting, one.on_scale, found, tally)
    if found.outcome is None and one.again is not None:
        tally.again[one.again] += quoting.weight(one.job.row_number)
    return found


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


async def _shared(quoting: Quoting, tally: QuoteTally, sharing: QuotedSharing, one: Waiting) -> QuotedRow:
    """A row that ends as the first one with its payload does; it would be sent in its place, if it comes before it."""
    lead = sharing.lead(one.job)
    job = one.on_scale.job
    row = replace(ended_row(job, Outcome.SUCCEEDED, None), is_shared=True)
    if lead.outcome is not None:
        row = ended_row(job, lead.outcome, lead.reason, lead.detail)
    elif lead.place is not None and tally.outranks(lead.place, one.job.priority):
        # its payload is counted: this makes no call
        await count_batch(quoting, [one.on_scale])
        in_its_place = quote_under(quoting.scale, one.on_scale, with_limits=False)
        tally.hand_over(lead.place, in_its_place, one.job.priority)
    tally.add(row, one.job.priority, quoting.weight(row.row_number))
    return row


def _observed(quoting: Quoting, before: datetime, key: LessonKey, budget: int | None) -> Tally:
    """What was observed at a way to think before a moment."""
    most = quoting.scale.policy.margin.last_answers
    return lessons.observed_way(quoting.ledger, key, budget, before, most)
