"""`weighbridge review edit`: change a payload, then count and price it again."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import JsonOption, LedgerOption, opened_ledger
from cli.review.decide_review import print_decided
from cli.review.review_options import ByOption, IdArgument, NoteOption, reviewer_name
from cli.screen import shown_most, shown_tokens
from schemas.errors import BadInput
from schemas.money import usd_text
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.payload.edit import Edit
from schemas.payload.exact_json import exact_request
from schemas.payload.invalid import InvalidPayload
from schemas.policy import Policy, validated
from schemas.review import ReviewDetail
from services.gateway import open_gateway
from services.ledger import Ledger, reviews, runs
from services.policy_file import read_policy
from tasks import weigh_edit
from tasks.weigh_edit import Edited, EditScale


def edit_review(
    review: IdArgument,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The new limit on output tokens.")] = None,
    system: Annotated[str | None, typer.Option(help="The new system text; an empty one removes it.")] = None,
    keep_turns: Annotated[
        int | None, typer.Option(min=1, help="Keep only this many turns, the last ones.")
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Drop the oldest turns, as few as bring it within its limits.")
    ] = False,
    drop_tools: Annotated[bool, typer.Option("--drop-tools", help="Remove its tools.")] = False,
    payload: Annotated[Path | None, typer.Option(help="A JSON file with a payload to send instead.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="A policy file; when left out, the policy of the review's run.")
    ] = None,
    by: ByOption = None,
    note: NoteOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is sent, count and price it again, and decide that it is sent.

    Without an option that says what to change, it opens the payload in $EDITOR.
    """
    name, opened = reviewer_name(by), opened_ledger(ledger)
    row = reviews.one_review(opened, review)
    if row is None:
        raise BadInput(f"There is no review {review} in {opened.url}; nothing was changed.")
    whole = None if payload is None else _parsed(_read(payload), str(payload))
    change = Edit(whole, max_tokens, system, drop_tools, keep_turns, prune)
    if change == Edit():
        change = Edit(_edited_by_hand(row.standing))
    edited = asyncio.run(_edit(opened, row, name, change, note, policy_of(opened, row, policy)))
    if as_json:
        _print_json(edited)
    else:
        _print_figures(edited)
        print_decided(edited.decided, "edited", ledger, as_json=False)


def _print_json(edited: Edited) -> None:
    row, figures = edited.before, edited.figures
    shown = {
        "edited": edited.decided.changed,
        "refused": [{"review": review_id, "why": why} for review_id, why in edited.decided.refused],
        "before": _weight(row.model, row.input_tokens, row.worst_case_nano_usd),
        "after": _weight(figures.model, figures.input_tokens, figures.worst_case),
        "fits": figures.fits,
        "would_pass": figures.would_pass,
    }
    print(json.dumps(shown))
    if edited.decided.refused:
        raise typer.Exit(EXIT_CODES[RunOutcome.INCOMPLETE])


def _weight(model: str | None, input_tokens: int | None, worst_case: int | None) -> dict[str, Any]:
    worst = None if worst_case is None else usd_text(worst_case)
    return {"model": model, "input_tokens": input_tokens, "worst_case_usd": worst}


def _print_figures(edited: Edited) -> None:
    row, figures = edited.before, edited.figures
    before_tokens = shown_tokens(row.input_tokens, "uncounted")
    before_usd = shown_most(row.worst_case_nano_usd, "no worst case")
    print(f"before: {row.model or 'no model'}, {before_tokens} tokens, {before_usd}")
    after_usd = shown_most(figures.worst_case)
    print(f"after:  {figures.model}, {shown_tokens(figures.input_tokens)} tokens, {after_usd}")
    if figures.fits:
        print("It is within its limits.")
    else:
        print("It is still over its limits; your decision lets it pass. What would bring it within them:")
        print(figures.would_pass or "")


async def _edit(
    opened: Ledger, row: ReviewDetail, name: str, change: Edit, note: str | None, policy: Policy
) -> Edited:
    async with edit_scale(opened, row, policy) as on:
        return await weigh_edit.edit_review(on, row.id, name, change, note=note, version=row.version)


@asynccontextmanager
async def edit_scale(opened: Ledger, row: ReviewDetail, policy: Policy) -> AsyncIterator[EditScale]:
    """What an edit of this review is counted and priced with."""
    async with open_gateway(policy.limits, ledger=opened) as gateway:
        await gateway.models()
        found = runs.find(opened, row.run_id)
        if found is not None and bool(found.simulated) != bool(gateway.simulated):
            kind = "simulated" if found.simulated else "real"
            raise BadInput(
                f"The ledger {opened.url} holds {kind} runs, and this endpoint is of the other kind; set "
                "ANTHROPIC_BASE_URL to the endpoint of its runs. Nothing was changed."
            )
        yield await EditScale.of(opened, gateway, policy)


def policy_of(opened: Ledger, row: ReviewDetail, path: Path | None) -> Policy:
    """The policy in a file, or, without one, that of the review's run.

    Raises:
        BadInput: the file cannot be used, or the run is not on record.
    """
    if path is not None:
        return read_policy(path)
    found = runs.find(opened, row.run_id)
    if found is None:
        raise BadInput(
            f"The run {row.run_id} is not on record; name a policy with --policy. Nothing was changed."
        )
    return validated(dict(found.policy), f"the policy of {row.run_id}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"The payload file {path} cannot be read ({type(error).__name__}); nothing was changed."
        ) from error


def _parsed(text: str, source: str) -> dict[str, Any]:
    try:
        return exact_request(source, text)
    except InvalidPayload as error:
        raise BadInput(f"{error}. Nothing was changed.") from error


def _edited_by_hand(standing: str | None) -> dict[str, Any]:
    """The payload as a person leaves it in their editor.

    Raises:
        BadInput: there is nothing to edit, no way to edit it, or it was not changed to a JSON object.
    """
    if not sys.stdin.isatty() and not os.environ.get("EDITOR"):
        raise BadInput(
            "There is no terminal to edit on; use --max-tokens, --keep-turns, --prune, --drop-tools or --payload. "
            "Nothing was changed."
        )
    if standing is None:
        raise BadInput("Its payload was pruned, so it cannot be edited; nothing was changed.")
    with tempfile.NamedTemporaryFile("w+", suffix=".json", encoding="utf-8") as file:
        before = json.dumps(json.loads(standing), indent=2, ensure_ascii=False)
        file.write(before)
        file.flush()
        code = _exit_code_of_editor(file.name)
        after = Path(file.name).read_text(encoding="utf-8")
    if code != 0 or after == before:
        raise BadInput("The payload was left as it was; nothing was changed.")
    return _parsed(after, "the edited payload")


def _exit_code_of_editor(file: str) -> int:
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    try:
        return subprocess.run([*editor, file], check=False).returncode  # noqa: S603 - the person's own editor
    except OSError as error:
        raise BadInput(
            f"The editor {editor[0]!r} cannot be started; set EDITOR to another one. Nothing was changed."
        ) from error
