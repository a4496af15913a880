"""Weigh quoted jobs: count them under every model that is asked about, and price them under each policy."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rules.endings import stops_run
from rules.fit_budget import as_sent
from rules.job_quote import JobQuote
from rules.limits import over_limits
from rules.prefix_tree import FEWEST_BYTES
from rules.prices import Unpriced
from rules.quote_tally import QuotedRow, QuoteTally, ended_row
from rules.scale import Scale
from schemas.errors import RunFailed
from schemas.outcome import Method, Outcome, Reason
from schemas.payload.prefix import cuts_of
from services.ledger import counts
from tasks.count_tokens import JobOnScale, count_job, count_together, fit_one, update_of
from tasks.quoting import Quoting


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


def compare_policies(quoting: Quoting, one: JobOnScale, found: QuotedRow, tally: QuoteTally) -> None:
    """Take in what a job would be under each policy.

    Args:
        quoting: the quote.
        one: the job, counted.
        found: what the run's own policy makes of it.
        tally: that takes it in.
    """
    own, *others = quoting.candidates
    as_it_was = replace(one, fitted=None)
    _take_beginning(tally, own.name, one, found)
    for candidate in others:
        if not candidate.is_whole and found.quote is None:
            continue
        other = quote_under(candidate.scale, as_it_was, with_limits=candidate.is_whole)
        tally.compare(candidate.name, other.quote, quoting.weight(one.job.row_number))
        _take_beginning(tally, candidate.name, as_it_was, other)


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
        return ended_row(one.job, update.ending.outcome, update.ending.reason, update.ending.detail)
    job = one.job if one.fitted is None else as_sent(one.job, one.fitted.payload)
    routed = replace(job, model=update.model, input_tokens=update.input_tokens, method=update.method)
    try:
        quote: JobQuote = scale.quote(routed)
    except Unpriced as error:
        return ended_row(routed, Outcome.REVIEW, Reason.UNPRICED, str(error))
    if with_limits and (over := over_limits(routed, quote.estimate, scale.policy)):
        return ended_row(routed, Outcome.REVIEW, *over)
    return QuotedRow(routed.row_number, routed.job_id, routed, None, None, None, quote)
