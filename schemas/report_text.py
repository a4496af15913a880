"""The report as people read it: the same rows for the terminal, the Markdown file and the Prefect artifact."""

from decimal import Decimal

from schemas.money import to_nano, usd_short
from schemas.report import RunReport

#: what each outcome means to the person who reads the table
_MEANINGS = {
    "succeeded": "answered; the results are written",
    "review": "over a limit or not countable: waiting for a person in the table reviews",
    "deferred": "not sent, nothing paid: the next run takes them up",
    "rejected": "not a valid request: mend the row",
    "failed": "not answered and not billed: the next run tries again",
    "unknown": "may have been billed: the money stays held until a person decides",
}
Rows = list[tuple[str, ...]]


def usd(amount: Decimal) -> str:
    return usd_short(to_nano(amount))


def title(report: RunReport) -> str:
    simulated = " (simulated: no real API, no real money)" if report.simulated else ""
    return f"{report.run_id}: {report.outcome.value.replace('_', ' ')}{simulated}"


def job_rows(report: RunReport) -> Rows:
    """Outcome, jobs, meaning; outcomes without jobs are left out."""
    rows: Rows = [("read", f"{report.jobs.read:,}", "rows of the input")]
    for name, meaning in _MEANINGS.items():
        if count := getattr(report.jobs, name):
            earlier = report.from_earlier_runs if name == "succeeded" else 0
            paid_before = f"; {earlier:,} of them paid for by an earlier run" if earlier else ""
            rows.append((name, f"{count:,}", meaning + paid_before))
    return rows


def model_rows(report: RunReport) -> Rows:
    """Model, jobs, input tokens counted and billed, error, output tokens, USD expected and actual."""
    rows: Rows = []
    for sums in report.models:
        error = (
            (sums.actual_input - sums.estimated_input) / sums.estimated_input if sums.estimated_input else 0
        )
        rows.append(
            (
                sums.model,
                f"{sums.jobs:,}",
                f"{sums.estimated_input:,}",
                f"{sums.actual_input:,}",
                f"{error:+.2%}",
                f"{sums.actual_output:,}",
                usd(sums.estimated_usd),
                usd(sums.actual_usd),
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
        ("held before sending", usd(money.worst_case), "worst case of what was sent"),
        ("expected", usd(money.estimated), "counted input, assumed output"),
        ("spent", usd(money.actual), "by the provider's usage" + (", simulated" if report.simulated else "")),
        (
            f"all on {report.largest_model}",
            usd(money.all_on_largest),
            _saving(money.actual, money.all_on_largest),
        ),
    ]
    if money.held:
        rows.append(("still held", usd(money.held), "attempts that may have been billed"))
    if report.over_bound:
        rows.append(
            ("over the margin", f"{report.over_bound:,} jobs", "billed above the bound; raise the margin")
        )
    return rows


def _saving(actual: Decimal, largest: Decimal) -> str:
    if not largest:
        return "nothing was sent in this run"
    return f"the same tokens on the largest model; routing saved {(largest - actual) / largest:.1%}"


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


def mend_rows(report: RunReport) -> Rows:
    """Row, job, outcome, why."""
    return [
        (str(row.row_number), row.job_id or "", row.outcome, row.detail or "") for row in report.rows_to_mend
    ]


def place_rows(report: RunReport) -> Rows:
    if report.places is None:
        return []
    rows: Rows = [
        ("results", f"{report.places.results}/results-*.parquet"),
        ("rows without an answer", f"{report.places.results}/unanswered-*.parquet"),
        ("reconciliation", f"{report.places.results}/reconciliation-*.parquet"),
        ("report", report.places.report),
        ("ledger", report.places.ledger),
        ("waiting for review", "table reviews in the ledger; or: weighbridge review list"),
    ]
    if report.prefect_flow_run_id:
        rows.append(("Prefect flow run", report.prefect_flow_run_id))
    return rows


def calls_line(report: RunReport) -> str:
    calls = report.calls
    paid = (
        f"{calls.batch_create:,} batches created"
        if report.mode == "batches"
        else f"{calls.message:,} paid calls"
    )
    return (
        f"{calls.count:,} free count calls, {paid}, {calls.retried:,} retries, {report.seconds:,.1f} seconds"
    )


def as_markdown(report: RunReport) -> str:
    """The whole report as Markdown."""
    parts = [
        f"# {title(report)}",
        report.error or "",
        _table(("rows", "jobs", "meaning"), job_rows(report)),
        _table(("money", "USD", "remark"), money_rows(report)),
        _table(MODEL_HEADINGS, model_rows(report)) if report.models else "",
        _table(("outcome", "reason", "jobs", "for example"), reason_rows(report)) if report.reasons else "",
        _table(("row", "job", "outcome", "why"), mend_rows(report)) if report.rows_to_mend else "",
        calls_line(report) + ".",
        _table(("what", "where"), place_rows(report)) if report.places else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(headings: tuple[str, ...], rows: Rows) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
