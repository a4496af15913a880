"""`weighbridge review show`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from cli.options import JsonOption, LedgerOption, at_ledger, looked_at
from cli.review.review_options import IdArgument
from cli.review.review_values import as_json_values
from cli.screen import screen, shown_most, shown_tokens, shown_usd
from rules.raw_answer import RAW_LABEL, shown_raw
from schemas.errors import BadInput
from schemas.money import usd_text
from schemas.review import RawAnswer, ReviewDetail, ReviewEvent
from schemas.words import masked_url, printable
from services.ledger.asking import asking
from services.ledger.review_lines import events_by, one_by, raw_answers_by

#: lines of a long conversation that are shown of its beginning and of its end
_HEAD, _TAIL = 20, 12
_WRAPPING: dict[str, Any] = {"replace_whitespace": False, "drop_whitespace": False, "tabsize": 4}


def show_review(
    review: IdArgument,
    full: Annotated[
        bool, typer.Option("--full", help="Show all of a long conversation, not only how it begins and ends.")
    ] = False,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one review: its weight and price, its limits, and its conversation.

    Also what would let it pass, and its history.
    """
    url = looked_at(ledger)
    with asking(url) as ask:
        row = one_by(ask, review)
        events = events_by(ask, review)
        raws = raw_answers_by(ask, review)
    if row is None:
        raise BadInput(
            f"There is no review {review} in {masked_url(url)}; "
            + at_ledger("`weighbridge review list --status all` shows those there are.", ledger)
        )
    if as_json:
        history = [as_json_values(event) for event in events]
        came = [raw_values(raw) for raw in raws]
        print(json.dumps(as_json_values(row) | {"events": history, "raw_answers": came}))
        return
    console = screen()
    _print_review(console, row, events, full=full)
    _print_raw(console, row.id, raws, ledger)


def _print_review(console: Console, row: ReviewDetail, events: Sequence[ReviewEvent], *, full: bool) -> None:
    for name, value in _figures(row):
        if value not in (None, ""):
            console.print(f"[dim]{name}:[/dim] {escape(_without_controls(str(value)))}", highlight=False)
    if row.would_pass:
        console.print("[dim]what would let it pass:[/dim]")
        for line in row.would_pass.splitlines():
            console.print(f"  - {escape(printable(line))}", highlight=False)
    title = "edited conversation" if row.edited_payload else "conversation"
    console.print(f"[dim]{title}:[/dim]")
    lines = list(_lines(row.standing, console.width))
    for line in lines if full else folded(lines):
        console.print(line, soft_wrap=True, highlight=False)
    console.print("[dim]history:[/dim]")
    for event in events:
        note = f": {event.note}" if event.note else ""
        change = f"{event.from_status or 'new'} to {event.to_status}, {event.by or 'nobody'}{note}"
        console.print(f"  {event.at:%Y-%m-%d %H:%M} {escape(printable(change))}", highlight=False)


def raw_values(raw: RawAnswer) -> dict[str, Any]:
    """A raw answer as JSON values; its text is cut, with how much of it is left out."""
    text, left_out = shown_raw(raw.body)
    return {
        "attempt_id": raw.attempt_id,
        "run_id": raw.run_id,
        "since": None if raw.since is None else raw.since.isoformat(),
        "held_usd": usd_text(raw.held_nano_usd),
        "text": text,
        "left_out_bytes": left_out,
    }


def _print_raw(console: Console, review_id: int, raws: Sequence[RawAnswer], ledger: str | None) -> None:
    for raw in raws:
        print_raw_text(console, raw)
    if raws:
        hint = f"`weighbridge review accept {review_id} --billed USD` makes the newest of them the answer."
        console.print(escape(at_ledger(hint, ledger)), style="dim", highlight=False, soft_wrap=True)


def print_raw_text(console: Console, raw: RawAnswer) -> None:
    """Print what came for an attempt and could not be read, up to a bound."""
    text, left_out = shown_raw(raw.body)
    console.print(f"[dim]{RAW_LABEL} (attempt {escape(raw.attempt_id)}):[/dim]", highlight=False)
    console.print(escape(_without_controls(text)), soft_wrap=True, highlight=False)
    if left_out:
        console.print(f"[dim]... {left_out:,} more bytes ...[/dim]", highlight=False)


def _figures(row: ReviewDetail) -> Iterator[tuple[str, object]]:
    """The fields of a review by name; its figures next to their limits."""
    for name in ("id", "job_id", "status", "group_name", "model", "reason", "detail", "run_id"):
        yield name, getattr(row, name)
    tokens = shown_tokens(row.input_tokens, "not counted")
    yield "tokens", f"{tokens} (limit {shown_tokens(row.limit_tokens, 'none')}, {row.method or 'no method'})"
    worst_case = shown_most(row.worst_case_nano_usd, "not known")
    yield "worst case", f"{worst_case} (limit {shown_usd(row.limit_nano_usd, 'none')})"
    yield "max_tokens", shown_tokens(row.max_tokens)
    for name in ("claimed_by", "decided_by", "note", "ceiling_usd", "ceiling_tokens", "expires_at"):
        yield name, getattr(row, name)


def _lines(payload: str | None, width: int) -> Iterator[str]:
    """The conversation as lines that fit the terminal, as Rich's markup; no text in it can move the cursor."""
    for speaker, text in _conversation(payload):
        whole = _without_controls(f"{speaker} {text}")
        pieces = [piece for line in whole.splitlines() for piece in wrap(line, width, **_WRAPPING) or [""]]
        for number, piece in enumerate(pieces):
            if number or not piece.startswith(speaker):
                yield escape(piece)
            else:
                yield f"[bold]{escape(speaker)}[/bold]{escape(piece.removeprefix(speaker))}"


def folded(lines: Sequence[str]) -> list[str]:
    """The first and the last lines of many, and how many there are between them."""
    left_out = len(lines) - _HEAD - _TAIL
    if left_out <= 1:
        return list(lines)
    return [
        *lines[:_HEAD],
        f"[dim]... {left_out:,} more lines; --full shows all ...[/dim]",
        *lines[-_TAIL:],
    ]


def _conversation(payload: str | None) -> Iterator[tuple[str, str]]:
    """Who says what in a request; images as their size, tools as their names."""
    if payload is None:
        yield "", "the payload was pruned"
        return
    request = json.loads(payload)
    if system := request.get("system"):
        yield "system", _content_text(system)
    if tools := request.get("tools"):
        yield "tools", ", ".join(str(tool.get("name") or tool.get("type")) for tool in tools)
    for message in request["messages"]:
        yield str(message["role"]), _content_text(message["content"])


def _content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(_block_text(block) for block in content if isinstance(block, dict))


def _block_text(block: Mapping[str, Any]) -> str:
    kind = str(block.get("type"))
    if kind == "text":
        return str(block.get("text"))
    if kind == "tool_use":
        return f"[calls {block.get('name')} {json.dumps(block.get('input'), ensure_ascii=False)}]"
    if kind == "tool_result":
        return f"[result: {_content_text(block.get('content') or '')}]"
    source = block.get("source")
    if isinstance(source, dict):
        form = str(source.get("media_type") or source.get("type")).rpartition("/")[2]
        size = f", {_size_text(len(str(source['data'])) * 3 // 4)}" if "data" in source else ""
        return f"[{kind} {form}{size}]"
    return f"[{kind}]"


def _size_text(octets: int) -> str:
    return f"{octets:,} B" if octets < 1_000 else f"{octets // 1_000:,} kB"


def _without_controls(text: str) -> str:
    """A text that cannot move a terminal's cursor; its lines stay lines."""
    return "\n".join(printable(line) for line in text.splitlines())
