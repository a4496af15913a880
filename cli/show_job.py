"""`weighbridge show JOB`."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from cli.options import JsonOption, LedgerOption, looked_at
from cli.screen import print_table, screen, shown_most, shown_tokens, shown_usd
from rules.answer_text import answer_text
from schemas.errors import BadInput
from schemas.looked_up import AttemptLine, JobHistory, JobLine, ReviewLine
from schemas.money import usd_text
from schemas.words import masked_url, printable
from services.ledger.look_up import answer_body, job_history

_RUN_HEADINGS = (
    "run",
    "started (UTC)",
    ">row",
    "model",
    ">tokens",
    ">expected",
    ">worst case",
    "outcome",
    "why",
)
_ATTEMPT_HEADINGS = (
    "attempt",
    "of run",
    "state",
    "sent (UTC)",
    ">input",
    ">output",
    ">USD",
    ">held",
    "stopped by",
)
_REVIEW_HEADINGS = (">review", "status", "reason", "since (UTC)", "decided by", "note")


def show_job(
    job: Annotated[str, typer.Argument(help="The job id, as in the job file.")],
    answer: Annotated[bool, typer.Option("--answer", help="Also print the text of its last answer.")] = False,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is on record of a job: its runs, its attempts and their money, and its reviews."""
    url = looked_at(ledger)
    found = job_history(url, job)
    if not (found.runs or found.attempts or found.reviews):
        raise BadInput(
            f"The ledger {masked_url(url)} has no job {printable(job)}; ids are those of the job file."
        )
    body = answer_body(url, found.answered_by) if answer and found.answered_by else None
    text = None if body is None else answer_text(body)
    if as_json:
        print(json.dumps(_values(found) | ({"answer": text} if answer else {})))
        return
    _print_history(found)
    if answer:
        print(_shown_answer(text))


def _values(found: JobHistory) -> dict[str, Any]:
    """The history as JSON values: moments as ISO 8601, money as USD."""
    return {
        "job_id": found.job_id,
        "spent_usd": usd_text(found.spent_nano_usd),
        "held_usd": usd_text(found.held_nano_usd),
        "runs": [_plain(one) for one in found.runs],
        "attempts": [_plain(one) for one in found.attempts],
        "reviews": [_plain(one) for one in found.reviews],
    }


def _plain(line: JobLine | AttemptLine | ReviewLine) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in line._asdict().items():
        if name.endswith("_nano_usd"):
            values[f"{name.removesuffix('_nano_usd')}_usd"] = None if value is None else usd_text(value)
        else:
            values[name] = value.isoformat() if isinstance(value, datetime) else value
    return values


def _print_history(found: JobHistory) -> None:
    console = screen(200)
    spent, held = shown_usd(found.spent_nano_usd), shown_most(found.held_nano_usd)
    console.print(
        f"\njob {printable(found.job_id)}: {spent} spent, {held} held\n", markup=False, highlight=False
    )
    if found.runs:
        print_table(console, _RUN_HEADINGS, [_run_cells(one) for one in found.runs])
    if found.attempts:
        print_table(console, _ATTEMPT_HEADINGS, [_attempt_cells(one) for one in found.attempts])
    if found.reviews:
        print_table(console, _REVIEW_HEADINGS, [_review_cells(one) for one in found.reviews])


def _run_cells(one: JobLine) -> tuple[str, ...]:
    why = ": ".join(filter(None, (one.reason, one.detail)))
    return (
        one.run_id,
        _minute(one.started_at),
        str(one.row_number),
        one.model or "",
        shown_tokens(one.input_tokens),
        shown_usd(one.expected_nano_usd),
        shown_most(one.worst_case_nano_usd),
        one.outcome or "not ended",
        printable(why),
    )


def _attempt_cells(one: AttemptLine) -> tuple[str, ...]:
    return (
        one.attempt_id,
        one.run_id,
        one.state,
        _minute(one.sent_at),
        shown_tokens(one.actual_input_tokens),
        shown_tokens(one.actual_output_tokens),
        shown_usd(one.actual_nano_usd),
        shown_most(one.held_nano_usd or None),
        printable(one.stop_reason or one.error or ""),
    )


def _review_cells(one: ReviewLine) -> tuple[str, ...]:
    return (
        str(one.id),
        one.status,
        one.reason,
        _minute(one.created_at),
        printable(one.decided_by or ""),
        printable(one.note or ""),
    )


def _minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _shown_answer(text: str | None) -> str:
    """The answer; a terminal's cursor cannot be moved by it."""
    if text is None:
        return "No answer is on record: it was not answered, or its answer was pruned."
    if not text:
        return (
            "The answer has no text; `weighbridge show JOB --json` and the result files have what there is."
        )
    return "\n".join(printable(line) for line in text.splitlines())
