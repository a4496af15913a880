"""How a review looks on a terminal, and as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from cli.screen import screen
from schemas.money import usd_short
from schemas.words import printable


def plain(row: Any) -> dict[str, Any]:
    """A row as JSON values: money as decimal text, moments as ISO 8601."""
    return {
        name: value if value is None or isinstance(value, int | str) else _text(name, value)
        for name, value in row._mapping.items()  # noqa: SLF001 - the public name of a Row's mapping
    }


def _text(name: str, value: Any) -> str:
    return f"{value:.9f}" if name.endswith("_usd") else str(value.isoformat())


def print_list(rows: Iterable[Any]) -> None:
    """Reviews as a table."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("id", "job", "reason", "model", ">tokens", ">worst case", "detail", "status"):
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    for row in rows:
        status = f"{row.status} ({row.claimed_by})" if row.status == "claimed" else row.status
        cells = (
            str(row.id),
            row.job_id,
            row.reason,
            row.model or "",
            tokens(row.input_tokens),
            usd(row.worst_case_nano_usd),
            row.detail,
            status,
        )
        table.add_row(*(escape(printable(cell)) for cell in cells))
    screen().print(table)


def print_one(row: Any, events: Sequence[Any]) -> None:
    """One review: its figures beside its limits, what would let it pass, its conversation and its history."""
    console = screen()

    def say(name: str, value: object) -> None:
        if value not in (None, ""):
            console.print(f"[dim]{name}:[/dim] {escape(_clean(str(value)))}", highlight=False)

    for name in ("id", "job_id", "status", "group_name", "model", "reason", "detail", "run_id"):
        say(name, getattr(row, name))
    limit_tokens, limit_usd = tokens(row.limit_tokens), usd(row.limit_nano_usd)
    say(
        "tokens",
        f"{tokens(row.input_tokens) or 'not counted'} (limit {limit_tokens or 'none'}, {row.method or '?'})",
    )
    say("worst case", f"{usd(row.worst_case_nano_usd) or 'not known'} (limit {limit_usd or 'none'})")
    say("max_tokens", tokens(row.max_tokens))
    for name in ("claimed_by", "decided_by", "note", "ceiling_usd", "ceiling_tokens", "expires_at"):
        say(name, getattr(row, name))
    if row.would_pass:
        console.print("[dim]what would let it pass:[/dim]")
        for line in row.would_pass.splitlines():
            console.print(f"  - {escape(printable(line))}", highlight=False)
    standing = row.edited_payload or row.payload
    title = "edited conversation" if row.edited_payload else "conversation"
    console.print(f"[dim]{title}:[/dim]")
    for who, text in conversation(json.loads(standing)) if standing else [("", "the payload was pruned")]:
        console.print(f"[bold]{escape(who)}[/bold] {escape(_clean(text))}", highlight=False)
    console.print("[dim]history:[/dim]")
    for event in events:
        note = f": {event.note}" if event.note else ""
        said = f"{event.from_status or 'new'} to {event.to_status}, {event.by or 'nobody'}{note}"
        console.print(f"  {event.at:%Y-%m-%d %H:%M} {escape(printable(said))}", highlight=False)


def conversation(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Who says what in a request; images as their size, tools as their names."""
    if system := request.get("system"):
        yield "system", _content(system)
    if tools := request.get("tools"):
        yield "tools", ", ".join(str(tool.get("name") or tool.get("type")) for tool in tools)
    for message in request["messages"]:
        yield str(message["role"]), _content(message["content"])


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(_block(block) for block in content if isinstance(block, dict))


def _block(block: Mapping[str, Any]) -> str:
    kind = str(block.get("type"))
    if kind == "text":
        return str(block.get("text"))
    if kind == "tool_use":
        return f"[calls {block.get('name')} {json.dumps(block.get('input'), ensure_ascii=False)}]"
    if kind == "tool_result":
        return f"[result: {_content(block.get('content') or '')}]"
    source = block.get("source")
    if isinstance(source, dict):
        form = str(source.get("media_type") or source.get("type")).rpartition("/")[2]
        size = f", {_size(len(str(source['data'])) * 3 // 4)}" if "data" in source else ""
        return f"[{kind} {form}{size}]"
    return f"[{kind}]"


def _size(octets: int) -> str:
    return f"{octets:,} B" if octets < 1_000 else f"{octets // 1_000:,} kB"


def _clean(text: str) -> str:
    """A text that cannot move a terminal's cursor; its lines stay lines."""
    return "\n".join(printable(line) for line in text.splitlines())


def tokens(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def usd(nano: int | None) -> str:
    return "" if nano is None else usd_short(nano)
