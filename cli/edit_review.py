"""`weighbridge review edit`: a payload changed, counted and priced anew on the spot."""

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

from cli.options import LedgerOption
from cli.review import (
    ByOption,
    IdArgument,
    JsonOption,
    NoteOption,
    opened_ledger,
    say_decided,
    who,
)
from cli.show_review import tokens, usd
from schemas.errors import BadInput
from schemas.money import usd_text
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.payload.edit import Edit
from schemas.policy import Policy, validated
from services.ledger import Ledger, reviews, runs
from services.policy_file import read_policy


def edit_review(
    review: IdArgument,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The new cap on output.")] = None,
    system: Annotated[str | None, typer.Option(help="The new system text; empty: none.")] = None,
    keep_turns: Annotated[int | None, typer.Option(min=1, help="Keep only the last so many turns.")] = None,
    drop_tools: Annotated[bool, typer.Option("--drop-tools", help="Without its tools.")] = False,
    payload: Annotated[Path | None, typer.Option(help="A JSON file to be sent in its place.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="A policy file; left out: that of the review's run.")
    ] = None,
    by: ByOption = None,
    note: NoteOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is sent, count and price it anew, and decide that it goes out. Without an option: in $EDITOR."""
    name, opened = who(by), opened_ledger(ledger)
    row = reviews.one_review(opened, review)
    if row is None:
        raise BadInput(f"There is no review {review} in {opened.url}; nothing was changed.")
    whole = None if payload is None else _parsed(_read(payload), str(payload))
    change = Edit(whole, max_tokens, system, drop_tools, keep_turns)
    if change == Edit():
        change = Edit(_in_editor(row.edited_payload or row.payload))
    edited = asyncio.run(_edit(opened, row, name, change, note, policy_of(opened, row, policy)))
    figures = edited.figures
    if as_json:
        print(
            json.dumps(
                {
                    "edited": edited.decided.changed,
                    "refused": [{"review": i, "why": why} for i, why in edited.decided.refused],
                    "before": _told(row.model, row.input_tokens, row.worst_case_nano_usd),
                    "after": _told(figures.model, figures.input_tokens, figures.worst_case),
                    "fits": figures.fits,
                    "would_pass": figures.would_pass,
                }
            )
        )
        if edited.decided.refused:
            raise typer.Exit(EXIT_CODES[RunOutcome.INCOMPLETE])
        return
    before = (
        f"{tokens(row.input_tokens) or 'uncounted'} tokens, {usd(row.worst_case_nano_usd) or 'no worst case'}"
    )
    print(f"before: {row.model or 'no model'}, {before}")
    print(f"after:  {figures.model}, {tokens(figures.input_tokens)} tokens, {usd(figures.worst_case)}")
    print(
        "It is within its limits."
        if figures.fits
        else "It is still over its limits, and passes by your decision:\n" + (figures.would_pass or "")
    )
    say_decided(edited.decided, "edited", as_json=False)


def _told(model: str | None, input_tokens: int | None, worst_case: int | None) -> dict[str, Any]:
    worst = None if worst_case is None else usd_text(worst_case)
    return {"model": model, "input_tokens": input_tokens, "worst_case_usd": worst}


async def _edit(opened: Ledger, row: Any, name: str, change: Edit, note: str | None, policy: Policy) -> Any:
    from tasks.weigh_edit import edit_review as edit  # noqa: PLC0415 - Prefect is imported after its settings

    async with edit_scale(opened, row, policy) as on:
        return await edit(on, row.id, name, change, note=note, version=row.version)


@asynccontextmanager
async def edit_scale(opened: Ledger, row: Any, policy: Policy) -> AsyncIterator[Any]:
    """What an edit of this review is counted and priced with."""
    from services.gateway import open_gateway  # noqa: PLC0415 - the SDK takes seconds to import
    from tasks.weigh_edit import EditScale  # noqa: PLC0415 - Prefect is imported after its settings

    async with open_gateway(policy.limits) as gateway:
        await gateway.models()  # says whether it is simulated
        found = runs.find(opened, row.run_id)
        if found is not None and bool(found.simulated) != bool(gateway.simulated):
            raise BadInput(
                f"The ledger {opened.url} holds {'simulated' if found.simulated else 'real'} runs, and this endpoint is "
                "the other kind; set ANTHROPIC_BASE_URL to the endpoint of its runs. Nothing was changed."
            )
        yield await EditScale.of(opened, gateway, policy)


def policy_of(opened: Ledger, row: Any, path: Path | None) -> Policy:
    """The policy in a file, or, without one, that of the review's run."""
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
        raise BadInput(f"The payload file {path} cannot be read ({type(error).__name__}).") from error


def _parsed(text: str, source: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInput(
            f"{source} is not valid JSON ({type(error).__name__}); nothing was changed."
        ) from error
    if not isinstance(found, dict):
        raise BadInput(
            f"{source} must be a JSON object: a Messages request without a model. Nothing was changed."
        )
    return found


def _in_editor(standing: str | None) -> dict[str, Any]:
    """The payload as a person leaves it in their editor."""
    if not sys.stdin.isatty() and not os.environ.get("EDITOR"):
        raise BadInput(
            "There is no terminal to edit on; use --max-tokens, --keep-turns, --drop-tools or --payload."
        )
    if standing is None:
        raise BadInput("Its payload was pruned, so it cannot be edited.")
    with tempfile.NamedTemporaryFile("w+", suffix=".json", encoding="utf-8") as file:
        before = json.dumps(json.loads(standing), indent=2, ensure_ascii=False)
        file.write(before)
        file.flush()
        editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
        try:
            code = subprocess.run([*editor, file.name], check=False).returncode  # noqa: S603 - the person's own editor
        except OSError as error:
            raise BadInput(f"The editor {editor[0]!r} cannot be started; set EDITOR.") from error
        after = Path(file.name).read_text(encoding="utf-8")
    if code != 0 or after == before:
        raise BadInput("The payload was left as it was; nothing was changed.")
    return _parsed(after, "the edited payload")
