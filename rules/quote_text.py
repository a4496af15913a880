"""The quote as people read it: the same rows for the terminal, the Markdown file and the Prefect artifact."""

from collections.abc import Sequence

from rules.markdown_table import markdown_table
from rules.thinking_ways import MEASURED_ROWS
from schemas.money import usd_most, usd_rounded
from schemas.quote import QuotedDeadline, QuotedPolicy, QuotedSample, QuotedUsd, QuotedWay, QuoteReport

QuoteRows = list[tuple[str, ...]]
POLICY_HEADINGS = ("policy", "jobs", "expected", "p10 to p90", "worst case", "+ caching", "rests on", "ratio")
PART_HEADINGS = ("of it", "jobs", "input tokens", "expected", "p10 to p90", "worst case", "rests on")
CAP_HEADINGS = ("cap", "used", "of", "jobs deferred", "a cap that lets all through")
WAY_HEADINGS = (
    "model",
    "payload",
    "way to think",
    "jobs",
    "ask for it",
    "answers",
    "output",
    "p95",
    "thinking",
    "expected",
    "worst case",
)

_MEANINGS = {
    "priced": "would be sent",
    "answered": "answered by an earlier run, or soon by one of its batches: they cost nothing",
    "shared": "same request as another row: they get its answer and cost nothing",
    "review": "would wait for a person, or are of unknown outcome",
    "deferred": "not enough money under today's caps, or in flight in another run",
    "rejected": "not a valid request: fix the row",
    "uncounted": "could not be counted: quote again",
}


def quote_title(report: QuoteReport) -> str:
    simulated = " (simulated: counts of the simulator)" if report.simulated else ""
    return f"{report.quote_id}: {report.jobs_path}{simulated}"


def quoted_job_rows(report: QuoteReport) -> QuoteRows:
    """What a run would make of the rows; what there is none of is left out."""
    rows: QuoteRows = [("read", f"{report.jobs.read:,}", "rows of the input")]
    for name, meaning in _MEANINGS.items():
        if number := getattr(report.jobs, name):
            again = ""
            if name == "priced" and report.jobs.again:
                again = f"; {report.jobs.again:,} of them were answered before and would be paid for again"
            rows.append((name, f"{number:,}", meaning + again))
    return rows


def policy_rows(report: QuoteReport) -> QuoteRows:
    """The policies side by side; the ratio is to the first one's expected cost."""
    first = report.policies[0].expected_usd if report.policies else 0
    rows: QuoteRows = []
    for one in report.policies:
        ratio = f"{one.expected_usd / first:.2f}" if first else ""
        rows.append((one.name, f"{one.jobs:,}", *_amounts(one), _cached(one), _source(one), ratio))
    return rows


def _cached(one: QuotedPolicy) -> str:
    """The expected cost with caching, from many hits to few."""
    if one.cached_low_usd is None or one.cached_high_usd is None:
        return "not seen in a sample"
    if not one.cached_prefixes:
        return "nothing to save"
    first = "" if one.primes_usd is None else f", first writes +{usd_rounded(one.primes_usd)}"
    return f"{usd_rounded(one.cached_high_usd)} to {usd_rounded(one.cached_low_usd)}{first}"


def part_rows(report: QuoteReport) -> QuoteRows:
    """The run's own policy by model, then by group where there are any."""
    rows = [_part(one.model, one) for one in report.models]
    if {one.group for one in report.groups} != {""}:
        rows += [_part(f"group {one.group}" if one.group else "no group", one) for one in report.groups]
    return rows


def quoted_reason_rows(report: QuoteReport) -> QuoteRows:
    """Why rows would not be sent, or would be paid for again."""
    return [
        (one.what, one.reason.replace("_", " "), f"{one.jobs:,}")
        for one in report.reasons
        if one.reason != "answered"
    ]


def cap_rows(report: QuoteReport) -> QuoteRows:
    """The caps that would defer jobs."""
    return [
        (
            f"{one.scope} budget of group {one.group}" if one.group else f"{one.scope} budget",
            usd_rounded(one.used_usd),
            usd_rounded(one.cap_usd),
            f"{one.jobs:,}",
            usd_most(one.needed_usd),
        )
        for one in report.caps
    ]


def way_rows(ways: Sequence[QuotedWay]) -> list[tuple[str, ...]]:
    """The ways as a table; what was not observed is stated, and no figure stands in its place."""
    return [
        (
            one.model,
            one.payload_class,
            _way_name(one),
            f"{one.jobs:,}",
            f"{one.as_asked:,}",
            *_observed_cells(one),
            usd_most(one.worst_usd),
        )
        for one in ways
    ]


def _observed_cells(one: QuotedWay) -> tuple[str, ...]:
    if one.expected_usd is None:
        return ("none", "", "", "", "not observed")
    answers = f"{one.answers:,}, {one.cut_off:,} cut off" if one.cut_off else f"{one.answers:,}"
    share = "" if one.thinking_share is None else f"{one.thinking_share:.0%}"
    return answers, f"{one.mean_output:,}", f"{one.p95_output:,}", share, usd_rounded(one.expected_usd)


def _way_name(one: QuotedWay) -> str:
    if one.effort is not None:
        return f"effort {one.effort}"
    return "no effort named" if one.budget_tokens is None else f"budget {one.budget_tokens:,}"


def measuring_lines(ways: Sequence[QuotedWay]) -> list[str]:
    """That some ways were not observed, and then a line for each command that measures them; none where all were."""
    wanted: dict[str, list[str]] = {}
    for one in ways:
        if one.measure is not None:
            wanted.setdefault(one.measure, []).append(f"{one.model}, {one.payload_class}, {_way_name(one)}")
    if not wanted:
        return []
    how = (
        f"What was not observed is not known, and no other way shows it. Each command measures it on {MEASURED_ROWS} rows, "
        "and pays for them; the run of the whole file pays again for a row that was measured in another way than its own."
    )
    return [how, *(f"{'; '.join(names)}: {command}" for command, names in wanted.items())]


def sample_line(sample: QuotedSample) -> str:
    """That only some rows were looked at, in a sentence."""
    return (
        f"{sample.rows:,} of {sample.of:,} rows were looked at (seed {sample.seed}), and stand for the others. With 95 % "
        f"confidence the expected cost of the whole file lies from {usd_rounded(sample.low_usd)} to "
        f"{usd_rounded(sample.high_usd)}; the fewer rows, the more easily a rare expensive one is missed."
    )


def quoted_deadline_line(deadline: QuotedDeadline) -> str:
    """The two prices of a run whose answers are due at a moment, in a sentence."""
    in_time, at_deadline = deadline.in_time, deadline.all_at_deadline
    covers = "covers" if deadline.covered else "may not cover"
    return (
        f"The answers are due at {deadline.due:%Y-%m-%d %H:%M} UTC. When every batch ends before "
        f"{deadline.at_risk_from:%H:%M}: {usd_rounded(in_time.expected_usd)} expected, at most "
        f"{usd_most(in_time.worst_usd)}. If all jobs had to go out at full price: "
        f"{usd_rounded(at_deadline.expected_usd)} expected, at most {usd_most(at_deadline.worst_usd)}; the deadline's "
        f"budget of {usd_rounded(deadline.budget_usd)} {covers} that."
    )


def quoted_time_line(report: QuoteReport) -> str:
    """How long the run takes, in a sentence."""
    return (
        f"Under the account's limits the run takes at least {_duration(report.seconds.messages)} in messages mode; in "
        f"batches mode at most {_duration(report.seconds.batches)}. This quote made {report.calls.count:,} calls to "
        "count_tokens, which are free and kept: the run counts nothing of it again."
    )


def as_quote_markdown(report: QuoteReport) -> str:
    """The whole quote as Markdown."""
    parts = [f"# {quote_title(report)}"]
    if report.sample is not None:
        parts.append(sample_line(report.sample))
    parts.append(markdown_table(("rows", "", ""), quoted_job_rows(report)))
    parts.append(markdown_table(POLICY_HEADINGS, policy_rows(report)))
    if report.models:
        parts.append(markdown_table(PART_HEADINGS, part_rows(report)))
    if reasons := quoted_reason_rows(report):
        parts.append(markdown_table(("rows", "why", "jobs"), reasons))
    if report.thinking:
        parts.append(markdown_table(WAY_HEADINGS, way_rows(report.thinking)))
        parts += measuring_lines(report.thinking)
    if caps := cap_rows(report):
        parts.append(markdown_table(CAP_HEADINGS, caps))
    if report.deadline is not None:
        parts.append(quoted_deadline_line(report.deadline))
    parts.append(quoted_time_line(report))
    parts.append(f"Each job's quote: {report.job_quotes}")
    if report.run_command:
        parts.append(f"To hold the run to it:\n\n    {report.run_command}")
    return "\n\n".join(parts) + "\n"


def _part(name: str, one: QuotedUsd) -> tuple[str, ...]:
    return (name, f"{one.jobs:,}", f"{one.input_tokens:,}", *_amounts(one), _source(one))


def _amounts(one: QuotedUsd) -> tuple[str, str, str]:
    between = f"{usd_rounded(one.p10_usd)} to {usd_rounded(one.p90_usd)}"
    return usd_rounded(one.expected_usd), between, usd_most(one.worst_usd)


def _source(one: QuotedUsd) -> str:
    if not one.jobs:
        return ""
    if one.assumed_jobs == one.jobs:
        return "assumed output"
    assumed = f", {one.assumed_jobs:,} jobs assumed" if one.assumed_jobs else ""
    return f"{one.observed_answers:,} answers{assumed}"


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{-(-minutes // 60)} h"
