"""The report as people read it: the same rows for the terminal, the Markdown file and the Prefect artifact."""

from rules.cache_figures import hits
from rules.ended_as import ended_as
from rules.ledger_option import ledger_option
from rules.raise_caps import need_sentence
from schemas.money import usd_most, usd_rounded
from schemas.report import CutOffFigures, PassedCap, QuoteFigures, RowToFix, RunReport
from schemas.saving_figures import CacheFigures, DeadlineFigures, FittedFigures, SharedFigures
from schemas.words import with_noun

#: what each outcome means to the person who reads the table
_MEANINGS = {
    "succeeded": "answered; the results are written",
    "review": "over a limit, not countable or cut off: waiting for a person in the table reviews",
    "deferred": "not sent, nothing paid: the next run takes them up",
    "rejected": "not a valid request: fix the row",
    "failed": "not answered and not billed: the next run tries again",
    "unknown": "may have been billed: the money stays held until a person decides",
}
#: the place of what waits for a person
WAITING = "waiting for review"
Rows = list[tuple[str, ...]]


def title(report: RunReport) -> str:
    simulated = " (simulated: no real API, no real money)" if report.simulated else ""
    return f"{report.run_id}: {ended_as(report)}{simulated}"


def job_rows(report: RunReport) -> Rows:
    """Outcome, jobs, meaning; outcomes without jobs are left out."""
    rows: Rows = [("read", f"{report.jobs.read:,}", "rows of the input")]
    for name, meaning in _MEANINGS.items():
        if count := getattr(report.jobs, name):
            earlier = report.from_earlier_runs if name == "succeeded" else 0
            paid_before = f"; {earlier:,} of them paid for by an earlier run" if earlier else ""
            known = f"; {known_line(report)}" if name == "rejected" and report.rejected_before else ""
            rows.append((name, f"{count:,}", meaning + paid_before + known))
    return rows


def known_line(report: RunReport) -> str:
    """How many rejected rows are no news, and since when."""
    return f"{report.rejected_before:,} known since {report.rejected_since}"


def model_rows(report: RunReport) -> Rows:
    """Model, jobs, input tokens counted and billed, error, output tokens, USD expected and actual."""
    rows: Rows = []
    for sums in report.models:
        error = (
            (sums.actual_input - sums.estimated_input) / sums.estimated_input if sums.estimated_input else 0
        )
        partial = f"partial ({with_noun(sums.partial, 'job')})"
        rows.append(
            (
                sums.model,
                f"{sums.jobs:,}",
                f"{sums.estimated_input:,}",
                f"{sums.actual_input:,}",
                partial if sums.partial else f"{error:+.2%}",
                f"{sums.actual_output:,}",
                usd_rounded(sums.estimated_usd),
                usd_rounded(sums.actual_usd),
            )
        )
    return rows


MODEL_HEADINGS = (
    "model",
    "jobs",
    "input counted",
    "input billed",
    "error",
    "output billed",
    "expected",
    "actual",
)


def money_rows(report: RunReport) -> Rows:
    """What, amount, remark."""
    money = report.usd
    rows: Rows = [
        _held_row(report),
        ("expected", usd_rounded(money.estimated), _expectation(report)),
        (
            "spent",
            usd_rounded(money.actual),
            "by the provider's usage" + (", simulated" if report.simulated else ""),
        ),
        (
            f"all on {report.largest_model}",
            usd_rounded(money.all_on_largest),
            _saving(report),
        ),
    ]
    if report.deferred_for_money is not None:
        need = report.deferred_for_money
        rows.append(("deferred", with_noun(need.jobs, "job"), need_sentence(need)))
    if report.deadline is not None and report.deadline.jobs:
        rows.append(_deadline_row(report.deadline))
    if report.quote is not None:
        rows.append(_quote_row(report.quote))
    for fitted in report.fitted:
        rows.append((fitted.how, with_noun(fitted.jobs, "job"), _fitting(fitted)))
    if report.cache.read_tokens or report.cache.written_tokens:
        rows.append(_cache_row(report.cache))
    if report.shared.jobs:
        rows.append(("shared answers", with_noun(report.shared.jobs, "job"), _sharing(report.shared)))
    if money.held:
        rows.append(("still held", usd_most(money.held), "attempts that may have been billed"))
    if report.over_hold:
        rows.append(
            (
                "over hold",
                usd_rounded(money.over_hold),
                f"{with_noun(report.over_hold, 'job')}; see the alarm",
            )
        )
    if report.over_bound:
        rows.append(
            (
                "over the margin",
                with_noun(report.over_bound, "job"),
                "billed above the bound; raise the margin",
            )
        )
    return rows


def sample_line(report: RunReport) -> str | None:
    """What a sample measured, in a sentence; None: all rows were read."""
    sample = report.sample
    if sample is None:
        return None
    way = "as they are" if sample.effort is None else f"at effort {sample.effort}"
    if sample.thinking_budget is not None:
        way = f"with a thinking budget of {sample.thinking_budget:,}"
    drawn = f"A sample of {sample.rows:,} rows (seed {sample.seed}), {way}: "
    if sample.mean_output is None or sample.p95_output is None or sample.usd_per_job is None:
        return drawn + "no answer was observed."
    thinking = ""
    if sample.mean_thinking is not None and sample.p95_thinking is not None:
        thinking = f", of which thinking {sample.mean_thinking:,} (p95 {sample.p95_thinking:,})"
    return (
        f"{drawn}{sample.answers:,} answers, {sample.mean_output:,} output tokens on average (p95 "
        f"{sample.p95_output:,}){thinking}, {usd_rounded(sample.usd_per_job)} a job."
    )


def _deadline_row(deadline: DeadlineFigures) -> tuple[str, ...]:
    remark = (
        f"{with_noun(deadline.jobs, 'job')} that no batch had answered shortly before {deadline.due:%Y-%m-%d %H:%M} UTC, when they "
        f"were due; of a budget of {usd_rounded(deadline.budget_usd)}"
    )
    return "at full price", usd_rounded(deadline.usd), remark


def _quote_row(quote: QuoteFigures) -> tuple[str, ...]:
    where = "inside" if quote.inside else "OUTSIDE"
    between = f"{usd_rounded(quote.p10_usd)} to {usd_rounded(quote.p90_usd)}"
    return (
        "quoted",
        usd_rounded(quote.expected_usd),
        f"{quote.quote_id}; what was spent lies {where} its {between}",
    )


def _fitting(fitted: FittedFigures) -> str:
    """What bringing jobs within their budgets came to."""
    less = f"{fitted.input_tokens:,} input tokens and {usd_rounded(fitted.usd)} less than as they were"
    return f"{fitted.turns:,} turns dropped; {less}" if fitted.turns else less


def _cache_row(cache: CacheFigures) -> tuple[str, ...]:
    what = f"{cache.written_tokens:,} input tokens written to the cache, {cache.read_tokens:,} read"
    if cache.saved_usd < 0:
        return ("caching lost", usd_rounded(-cache.saved_usd), f"{what}; hits: {hits(cache.hit_share)}")
    return ("caching saved", usd_rounded(cache.saved_usd), f"{what}; hits: {hits(cache.hit_share)}")


def _sharing(shared: SharedFigures) -> str:
    """What it came to that jobs got the answer to another one."""
    return f"same payload as a job that was paid for; sending each would have cost {usd_rounded(shared.saved_usd)} more"


def _held_row(report: RunReport) -> tuple[str, ...]:
    if report.hold_percentile is None:
        added = ", added up over the run" if report.deferred_for_money is not None else ""
        return (
            "held before sending",
            usd_most(report.usd.worst_case),
            f"worst case of what was sent{added}",
        )
    percentile = f"of what was sent; held was percentile {report.hold_percentile} of the observed output"
    return ("worst case", usd_most(report.usd.worst_case), percentile)


def _expectation(report: RunReport) -> str:
    """What the expected cost rests on."""
    if not report.lessons:
        return "counted input, assumed output"
    money = report.usd
    paid = sum(sums.jobs for sums in report.models)
    answers = f"{sum(lesson.n for lesson in report.lessons if lesson.enough):,} observed answers"
    assumed = f"assumed: {report.assumed_share:.0%} of max_tokens"
    if money.estimated_low is not None and money.estimated_high is not None:
        return f"{usd_rounded(money.estimated_low)} to {usd_rounded(money.estimated_high)}; {answers}"
    if report.assumed_jobs == paid:
        return f"counted input; output {assumed}"
    return f"counted input; output by {answers}, and for {report.assumed_jobs:,} of {paid:,} jobs {assumed}"


def _saving(report: RunReport) -> str:
    actual, largest = report.usd.actual, report.usd.all_on_largest
    if not largest:
        return "nothing that was billed to compare with" if report.models else "nothing was sent in this run"
    return f"the same tokens on the largest model; routing saved {(largest - actual) / largest:.1%}"


LESSON_HEADINGS = (
    "model",
    "payload",
    "jobs",
    "error p5",
    "p50",
    "p95",
    "most",
    "most tokens",
    "margin used",
    "learned from",
)


def lesson_rows(report: RunReport) -> Rows:
    """By model, class of payload and effort: this run's errors, billed less counted, and the margin that was to cover them."""
    used = {(one.model, one.payload_class, one.effort): one for one in report.lessons}
    rows: Rows = []
    for seen in report.taught:
        lesson = used[seen.model, seen.payload_class, seen.effort]
        error, tokens = seen.input_error, seen.input_error_tokens
        errors = (
            [f"{value:+.2f}%" for value in (error.p5, error.p50, error.p95, error.max)] if error else [""] * 4
        )
        observed = f"{lesson.n:,} answers" if lesson.margin.source == "observed" else "the policy"
        rows.append(
            (
                seen.model,
                _kind(seen.payload_class, seen.effort),
                f"{seen.jobs:,}" if seen.n == seen.jobs else f"{seen.jobs:,}, {seen.jobs - seen.n:,} partial",
                *errors,
                f"{tokens.max:+,}" if tokens else "partial",
                f"{lesson.margin.percent.normalize():f}% or {lesson.margin.tokens:,} tokens",
                observed,
            )
        )
    return rows


def _kind(payload_class: str, effort: str | None) -> str:
    return payload_class if effort is None else f"{payload_class}, effort {effort}"


NOTHING_HEADINGS = ("bought nothing", "jobs", "USD", "meaning")
#: what each kind of money that bought nothing means to the person who reads the table
_NOTHING = {
    "cut_off": "answers that their max_tokens cut off",
    "refused": "the model refused, and that is billed",
    "unknown": "attempts that may have been billed: held, not spent",
    "errored": "attempts answered with an error, which is not billed unless that was booked",
}


def nothing_rows(report: RunReport) -> Rows:
    """Kind, jobs, USD, what it means and, of answers that were cut off, what would have sufficed."""
    rows: Rows = []
    for part in report.bought_nothing:
        name = part.kind.replace("_", " ")
        rows.append((name, f"{part.jobs:,}", usd_rounded(part.usd), _NOTHING[part.kind]))
        if part.kind == "cut_off":
            rows += [_cut_off_row(cut) for cut in report.cut_off]
    return rows


def _cut_off_row(cut: CutOffFigures) -> tuple[str, ...]:
    what = f"  {cut.model}, {_kind(cut.payload_class, cut.effort)}"
    return what, f"{cut.jobs:,}", usd_rounded(cut.usd), f"max_tokens that would suffice: {_sufficing(cut)}"


def _sufficing(cut: CutOffFigures) -> str:
    by = f"by {cut.observed:,} observed answers"
    if cut.max_tokens_95 is None:
        return f"not known, {by}"
    longest = "not known" if cut.max_tokens_99 is None else f"{cut.max_tokens_99:,}"
    return f"{cut.max_tokens_95:,} for 95 % of such jobs, {longest} for 99 %, {by}"


def alarm_lines(report: RunReport) -> list[str]:
    """What somebody must look at, a sentence each: caps passed, bills over their holds, bills out of line."""
    lines = [_passed_line(cap) for cap in report.caps_passed]
    if report.over_hold:
        lines.append(
            f"Over hold: {report.over_hold:,} jobs were billed above the worst case that was held for them, by "
            f"{usd_rounded(report.usd.over_hold)} together. What was billed is booked, and closes the budgets that it "
            "passed. Compare the prices and the endpoint's usage with the provider's bill: weighbridge check-bill."
        )
    return lines + [f"Drift: {drift.detail}" for drift in report.drift]


def _passed_line(cap: PassedCap) -> str:
    whose = f" of the group {cap.group}" if cap.group else ""
    return (
        f"Cap passed by {usd_rounded(cap.over_usd)}: {usd_rounded(cap.settled_usd)} are settled in the {cap.scope} "
        f"budget{whose} of {usd_rounded(cap.cap_usd)} ({cap.period}). It takes no more holds."
    )


def reason_rows(report: RunReport) -> Rows:
    """Outcome, reason, jobs, an example."""
    return [
        (
            item.outcome,
            item.reason.replace("_", " "),
            f"{item.jobs:,}",
            f"{item.example_job_id or 'a row without an id'}: {item.example_detail or ''}",
        )
        for item in report.reasons
    ]


def rows_to_fix(report: RunReport) -> Rows:
    """Row, job, outcome, why."""
    return [(str(row.row_number), row.job_id or "", row.outcome, _why(row)) for row in report.rows_to_mend]


def _why(row: RowToFix) -> str:
    known = "" if row.known_since is None else f" (known since {row.known_since})"
    return (row.detail or "") + known


def somebody_decides(report: RunReport) -> bool:
    """Whether a job of the run waits for a person."""
    return report.jobs.review + report.jobs.unknown > 0


def place_rows(report: RunReport) -> Rows:
    if report.places is None:
        return []
    rows: Rows = [
        ("results", f"{report.places.results}/results-*.parquet"),
        ("rows without an answer", f"{report.places.results}/unanswered-*.parquet"),
        ("reconciliation", f"{report.places.results}/reconciliation-*.parquet"),
        ("report", report.places.report),
        ("ledger", report.places.ledger),
    ]
    if somebody_decides(report):
        command = f"weighbridge review list{ledger_option(report.places.ledger)}"
        rows.append((WAITING, f"table reviews in the ledger; or: {command}"))
    if report.places.review_page:
        rows.append(("review page", report.places.review_page))
    if report.prefect_flow_run_id:
        rows.append(("Prefect flow run", report.places.flow_run or report.prefect_flow_run_id))
    return rows


def calls_line(report: RunReport) -> str:
    calls = report.calls
    paid = [with_noun(calls.message, "paid call")]
    if report.mode == "batches":
        # what is due goes out by calls when no batch has answered it
        paid = [f"{with_noun(report.batches, 'batch', 'batches')} created", *(paid if calls.message else [])]
    parts = [with_noun(calls.count, "free count call"), *paid, with_noun(calls.retried, "retry", "retries")]
    return f"{', '.join(parts)}, {report.seconds:,.1f} seconds"
