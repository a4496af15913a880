"""The report as a page of Markdown: the file in the results, and what Prefect shows of a run.

First what happened and what to do next, then where to look, then money, and then the tables. Prefect's page is narrow,
so figures that belong together stand in one column.
"""

from textwrap import wrap

from rules.cache_figures import prefix_rows
from rules.holds_to_book import hold_heading, hold_lines
from rules.ledger_option import ledger_option
from rules.projection_text import projection_line
from rules.report_chart import report_chart
from rules.report_text import (
    NOTHING_HEADINGS,
    WAITING,
    Rows,
    alarm_lines,
    calls_line,
    job_rows,
    known_line,
    lesson_rows,
    model_rows,
    money_rows,
    nothing_rows,
    place_rows,
    reason_rows,
    rows_to_fix,
    sample_line,
    somebody_decides,
    title,
)
from rules.shown_state import StateName, shown_state
from schemas.money import usd_most, usd_rounded
from schemas.report import RunReport

_MODEL_HEADINGS = ("model", "jobs", "input counted, billed (error)", "output billed", "USD expected, actual")
_PREFIX_HEADINGS = ("shared prefix", "model, mode", "tokens, jobs", "written, read", "hits", "saved")
_LESSON_HEADINGS = ("model", "payload", "jobs", "error p5, p50, p95, most", "margin used", "learned from")

#: characters a line in a table, by its number of columns: the first version of Prefect's UI breaks no line by itself
_LONGEST_LINE = {2: 64, 3: 40, 4: 34, 5: 24, 6: 16}


def as_markdown(report: RunReport) -> str:
    """The whole report as Markdown, for a file."""
    return _joined([*_head(report), *_figures(report), *_tables(report, for_page=False)])


def as_page(report: RunReport) -> str:
    """The whole report as Markdown for Prefect's UI: with a chart, and with links to where the run's things are."""
    head, figures = _head(report), _figures(report)
    parts = [*head, _links(report), *figures, report_chart(report), *_tables(report, for_page=True)]
    return _joined([*parts, *_code_places(report)])


def money_line(report: RunReport) -> str:
    """What was held, spent and saved, in a sentence."""
    money = report.usd
    saved = {
        f"by routing, against all on {report.largest_model}": money.all_on_largest - money.actual,
        "by caching": report.cache.saved_usd,
        "by sharing answers": report.shared.saved_usd,
    }
    parts = [f"{usd_rounded(usd)} {how}" for how, usd in saved.items() if usd > 0]
    simulated = " (simulated)" if report.simulated else ""
    spent = (
        f"**Held {usd_most(money.worst_case)}, spent {usd_rounded(money.actual)}, "
        f"saved {' and '.join(parts) or 'nothing'}**{simulated}."
    )
    return spent + (f" Still held: {usd_most(money.held)}." if money.held else "") + _added_up(report)


def _added_up(report: RunReport) -> str:
    """What a run held that stopped for money may be above the cap that stopped it; that it passed none has to be said."""
    if report.deferred_for_money is None or report.caps_passed:
        return ""
    return (
        " What was held is added up over the run: each answer gave back what it did not need, and at no moment were held "
        "and spent together above a cap."
    )


def _head(report: RunReport) -> list[str]:
    """The title, what happened, and what to do next."""
    shown = shown_state(report)
    steps = [f"- {what[:1].upper()}{what[1:]}." for what in map(_plain, shown.to_do)]
    if shown.name is StateName.COMPLETED and not steps:
        known = f" Rejected rows: {known_line(report)}, and reported then." if report.rejected_before else ""
        steps = [f"- Nothing.{known}"]
    happened = f"**{_plain(shown.happened).removesuffix('.')}.**"
    return [
        f"# {_plain(title(report))}",
        happened,
        *(["What to do next:", "\n".join(steps)] if steps else []),
    ]


def _figures(report: RunReport) -> list[str]:
    return [
        *(f"**{_plain(line)}**" for line in alarm_lines(report)),
        _plain(sample_line(report) or ""),
        money_line(report),
        *(_plain(projection_line(found)) for found in report.month_projections),
    ]


def _tables(report: RunReport, *, for_page: bool) -> list[str]:
    tables: list[tuple[tuple[str, ...], Rows]] = [
        (("rows", "jobs", "meaning"), job_rows(report)),
        (("money", "USD", "remark"), money_rows(report)),
        (_MODEL_HEADINGS, _narrow_models(report)),
        (_PREFIX_HEADINGS, _narrow_prefixes(report)),
        (_LESSON_HEADINGS, _narrow_lessons(report)),
        (NOTHING_HEADINGS, nothing_rows(report)),
        (("outcome", "reason", "jobs", "for example"), reason_rows(report)),
        (("row", "job", "outcome", "why"), rows_to_fix(report)),
        (("what", "where"), _short_places(report) if for_page else place_rows(report)),
    ]
    made = [_table(headings, rows, for_page=for_page) for headings, rows in tables]
    return [*made[:-1], *_holds(report), calls_line(report) + ".", made[-1]]


def _holds(report: RunReport) -> list[str]:
    """The holds that wait for a person; a list, for a command that is cut into cells of a table cannot be copied."""
    lines = [f"- {_plain(what)}: {_code(command)}" for what, command in hold_lines(report)]
    return [hold_heading(report), "\n".join(lines)]


def _links(report: RunReport) -> str:
    """Where to look: the flow run, the review page, and the folder of the results, which is on the worker."""
    places = report.places
    if places is None:
        return ""
    links = []
    if places.flow_run:
        links.append(f"[Flow run]({places.flow_run})")
    if places.review_page:
        waiting = f" ({report.jobs.review:,} of this run wait)" if report.jobs.review else ""
        links.append(f"[Review page]({places.review_page}){waiting}")
    links.append(f"Results: `{places.results}`")
    return " · ".join(links)


def _narrow_models(report: RunReport) -> Rows:
    return [
        (
            model,
            jobs,
            f"{counted}, {billed} ({error})",
            output,
            f"{expected}, {actual}",
        )
        for model, jobs, counted, billed, error, output, expected, actual in model_rows(report)
    ]


def _narrow_prefixes(report: RunReport) -> Rows:
    return [
        (prefix, f"{model}, {mode}", f"{tokens}, {jobs}", f"{written}, {read}", hit, saved)
        for prefix, model, mode, tokens, jobs, written, read, hit, saved in prefix_rows(report.cache)
    ]


def _narrow_lessons(report: RunReport) -> Rows:
    """With the errors in one column; where the usage did not say all, there are none."""
    return [
        (*row[:3], f"{', '.join(row[3:7])} ({row[7]} tokens)" if row[3] else row[7], *row[8:])
        for row in lesson_rows(report)
    ]


def _short_places(report: RunReport) -> Rows:
    """Where the run's files are. What stands above or below is left out: the results' folder, addresses and the ledger.

    An address that is cut into lines would become a link to its first line.
    """
    if report.places is None:
        return []
    ledger = report.places.ledger
    rows = [(what, where) for what, where in place_rows(report) if not where.startswith("http")]
    of_files = [(what, where) for what, where in rows if what != WAITING and where != ledger]
    return [(what, where.replace(f"{report.places.results}/", "…/")) for what, where in of_files]


def _code_places(report: RunReport) -> list[str]:
    """The ledger, and the command that lists what waits in it, if anything does: to be copied, so each on a line of its own, as code."""
    if report.places is None:
        return []
    ledger = report.places.ledger
    option = ledger_option(ledger)
    command = "weighbridge review list" + (f" \\\n {option}" if option else "")
    places = ["The ledger:", f"```text\n{ledger}\n```"]
    if somebody_decides(report):
        places += ["What waits for review is in its table reviews; or:", f"```sh\n{command}\n```"]
    return places


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(headings: tuple[str, ...], rows: Rows, *, for_page: bool) -> str:
    """A table; nothing where there are no rows."""
    if not rows:
        return ""
    longest = _LONGEST_LINE[len(headings)] if for_page else None
    lines = [[_cell(cell, longest) for cell in row] for row in rows]
    head = [list(headings), ["---" for _ in headings]]
    return "\n".join(f"| {' | '.join(line)} |" for line in head + lines)


def _cell(text: str, longest: int | None) -> str:
    """A text in a cell of a table, in lines of at most this many characters; ids that are longer stay whole."""
    lines = [text]
    if longest is not None:
        is_path = longest == _LONGEST_LINE[2]
        lines = wrap(text, longest, break_long_words=is_path, break_on_hyphens=False) or [""]
    return "<br>".join(_plain(line).replace("|", "\\|") for line in lines)


def _plain(text: str) -> str:
    """A text that is no markup: a job's id can neither bring a tag nor a link, nor load a picture from elsewhere."""
    return text.replace("\\", "\\\\").replace("\n", " ").replace("<", "&lt;").replace("[", "\\[")


def _code(command: str) -> str:
    """A command as it is typed; a path with a backtick in it would end the code."""
    return _plain(command) if "`" in command else f"`{command}`"
