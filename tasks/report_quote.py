"""Report a quote: its figures, kept in the ledger and shown in Prefect."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from prefect.artifacts import acreate_markdown_artifact

from rules.caps import caps_of
from rules.deadline import deadline_of
from rules.quote_report import AccountRates, quote_figures, quoted_deadline, with_times
from rules.quote_tally import QuoteTally
from rules.quote_text import as_quote_markdown
from rules.quoted_caps import deferred_by_caps
from rules.run_command import run_command
from rules.sample_range import StratumAmounts, sample_interval
from rules.thinking_ways import Measuring
from schemas.budget import Window
from schemas.money import to_usd
from schemas.outcome import Scope
from schemas.quote import QuotedDeadline, QuotedSample, QuoteOnRecord, QuoteReport, QuoteTerms
from schemas.run import RunOptions
from services.ledger import quotes
from services.ledger.windows import used_in_windows
from services.result_file import write_text
from tasks.check_quote import terms_of
from tasks.draw_quote import as_markdown_images, draw_quote
from tasks.quoting import Quoting
from tasks.step import step

#: stands for the run that is quoted, which has no window of its own yet
_NO_RUN = "the quoted run"


@step
async def report_quote(quoting: Quoting, tally: QuoteTally, flow_run_id: str | None) -> QuoteReport:
    """The report of a quote, which is on record from now on.

    Args:
        quoting: the quote.
        tally: what a run would make of each row.
        flow_run_id: the Prefect flow run that shows it; None: it runs outside of one.
    """
    sample = _sample(quoting, tally)
    policy = quoting.scale.policy
    now = datetime.now(UTC)
    groups = {need.group for need in tally.needs if need.group}
    caps = caps_of(policy, _NO_RUN, now, groups)
    used = await quoting.ledger.off_loop(used_in_windows, [cap.window for cap in caps])
    _, in_the_way = deferred_by_caps(tally.needs, caps, used)
    rates = AccountRates(
        quoting.gateway.counts_per_minute, {model: quoting.gateway.rates(model) for model in tally.loads}
    )
    figures = quote_figures(tally, in_the_way, policy)
    timed = with_times(figures, tally, rates, policy, quoting.gateway.tally.count)
    report = timed.model_copy(
        update={
            "quote_id": quoting.quote_id,
            "simulated": quoting.gateway.simulated,
            "jobs_path": quoting.file.path,
            "deadline": await _deadline(quoting, tally, now),
            "sample": sample,
            "thinking": tally.ways.figures(Measuring(_asked(quoting), _simulates(quoting))),
            "job_quotes": str(quoting.job_quotes),
            "run_command": _holding(quoting),
            "prefect_flow_run_id": flow_run_id,
        }
    )
    terms = await asyncio.to_thread(terms_of, quoting.file, quoting.limit, quoting.scale, now)
    await quoting.ledger.off_loop(quotes.add, _on_record(tally, report, terms, now))
    text = as_quote_markdown(report)
    write_text(quoting.folder / "quote.md", text)
    charts = await asyncio.to_thread(draw_quote, quoting, report)
    if flow_run_id is not None:
        markdown = f"{text}\n{as_markdown_images(charts)}\n"
        await acreate_markdown_artifact(key="weighbridge-quote", markdown=markdown)
    return report


async def _deadline(quoting: Quoting, tally: QuoteTally, now: datetime) -> QuotedDeadline | None:
    """The two prices of a run that would begin now, where its answers would be due at a moment."""
    policy = quoting.scale.policy
    deadline = deadline_of(policy, now)
    if deadline is None:
        return None
    window = Window(Scope.DEADLINE, deadline.period)
    used = await quoting.ledger.off_loop(used_in_windows, [window])
    return quoted_deadline(tally, deadline, policy, used.get(window, 0))


def _sample(quoting: Quoting, tally: QuoteTally) -> QuotedSample | None:
    """What looking at a sample leaves open, which the tally takes in; None: every row was looked at."""
    drawn = quoting.drawn
    if drawn is None:
        return None
    expected = {need.row_number: need.expected // need.jobs for need in tally.needs}
    interval = sample_interval(
        StratumAmounts(stratum.population, [expected.get(row, 0) for row in stratum.rows])
        for stratum in drawn.strata
    )
    tally.widen(interval)
    return QuotedSample(
        rows=len(drawn.weights),
        of=sum(stratum.population for stratum in drawn.strata),
        seed=drawn.seed,
        low_usd=to_usd(interval.low),
        high_usd=to_usd(interval.high),
    )


def _asked(quoting: Quoting) -> RunOptions:
    """What the quoted run was asked for, of the file that was quoted."""
    return replace(quoting.asked, jobs=quoting.file.path, sample=None)


def _holding(quoting: Quoting) -> str:
    """The command that holds the run to its quote."""
    return run_command(replace(_asked(quoting), quote=quoting.quote_id), simulate=_simulates(quoting))


def _simulates(quoting: Quoting) -> bool:
    """Whether the quote had a simulator of its own, and not one that stays and that the settings name."""
    return quoting.gateway.simulated and quoting.asked.base_url is not None


def _on_record(tally: QuoteTally, report: QuoteReport, terms: QuoteTerms, now: datetime) -> QuoteOnRecord:
    sums = next(iter(tally.policies.values())).sums
    return QuoteOnRecord(
        quote_id=report.quote_id,
        created_at=now,
        jobs_path=report.jobs_path,
        terms=terms,
        mode=report.mode,
        simulated=report.simulated,
        jobs=sums.jobs,
        expected=sums.expected,
        p10=sums.p10,
        p90=sums.p90,
        worst_case=sums.worst_case,
        report=report.model_dump(mode="json"),
    )
