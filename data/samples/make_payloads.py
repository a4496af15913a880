"""Makes a payload of every kind that the Messages API takes or refuses: data/samples/payloads/, one file each.

    python data/samples/make_payloads.py

Beside the files it writes the same jobs as Parquet: payloads.parquet with JSON text, payloads-nested.parquet with lists
of structs, for the kinds that fit into one such table. Text, images and the PDF are made here. Each text may hold a
directive that only the simulator reads: [[output_tokens=N]].

In a file, `job` holds the columns of the row, and `expected` what becomes of it:

- outcome: succeeded, review or rejected; `expected_in_batches` where batches mode makes another of it
- payload_class: the kind that estimates and bills are compared by, of what is a request at all
- reason, says: the reason of a row without an answer, and a word of its detail
"""

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
Json = Any
JsonObject = dict[str, Any]

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
HAIKU_4_5, OPUS_4_6 = "claude-haiku-4-5-20251001", "claude-opus-4-6"

#: the columns of payloads.parquet; what is no text in a job is written as JSON text
SCHEMA = pa.schema(
    {
        "job_id": pa.string(),
        "prompt": pa.string(),
        "messages": pa.string(),
        "system": pa.string(),
        "tools": pa.string(),
        "tool_choice": pa.string(),
        "thinking": pa.string(),
        "output_config": pa.string(),
        "metadata": pa.string(),
        "stop_sequences": pa.string(),
        "params": pa.string(),
        "max_tokens": pa.int64(),
        "model": pa.string(),
    }
)
SYSTEM = "You answer questions about deliveries. Be brief, and name the order when you know it."
SENTENCES = (
    "The pallet from dock four was weighed twice.",
    "The second ticket shows less than the first.",
    "A lorry waits at the gate until its papers are found.",
    "Each crate carries the number of its order and the date of its packing.",
    "What is too heavy is set aside for the clerk to look at.",
)
GET_ORDER = {
    "name": "get_order",
    "description": "Look up an order by its number.",
    "input_schema": {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]},
}
GET_WEIGHT = {
    "name": "get_weight",
    "description": "Read the scale of a dock, in kilograms.",
    "input_schema": {"type": "object", "properties": {"dock": {"type": "integer"}}, "required": ["dock"]},
}
TICKET = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "kilograms": {"type": "number"}},
    "required": ["order", "kilograms"],
    "additionalProperties": False,
}
FIVE_MINUTES = {"type": "ephemeral", "ttl": "5m"}
ONE_HOUR = {"type": "ephemeral", "ttl": "1h"}


@dataclass(frozen=True)
class Sample:
    """One payload.

    Attributes:
        kind: its name, and its job id.
        about: what it shows.
        job: the columns of its row, besides the job id.
        expected: what becomes of it.
        in_batches: what becomes of it in batches mode, if that is another.
    """

    kind: str
    about: str
    job: JsonObject
    expected: JsonObject = field(default_factory=dict)
    in_batches: JsonObject = field(default_factory=dict)

    def as_json(self) -> JsonObject:
        expected = {"expected": self.expected}
        if self.in_batches:
            expected["expected_in_batches"] = self.in_batches
        return {"about": self.about, **expected, "job": {"job_id": self.kind, **self.job}}


def answered(kind: str, about: str, payload_class: str = "text", **job: Json) -> Sample:
    return Sample(kind, about, job, {"outcome": "succeeded", "payload_class": payload_class})


def reviewed(kind: str, about: str, says: str, payload_class: str = "text", **job: Json) -> Sample:
    expected = {
        "outcome": "review",
        "payload_class": payload_class,
        "reason": "uncountable",
        "says": says,
    }
    return Sample(kind, about, job, expected)


def rejected(kind: str, about: str, says: str, **job: Json) -> Sample:
    return Sample(kind, about, job, {"outcome": "rejected", "says": says})


def text(words: str, **more: Json) -> JsonObject:
    return {"type": "text", "text": words, **more}


def user(content: Json) -> JsonObject:
    return {"role": "user", "content": content}


def assistant(content: Json) -> JsonObject:
    return {"role": "assistant", "content": content}


def ask(kind: str, question: str = "What does order 4711 weigh?", output: int = 40) -> str:
    """A user's text; it names its kind, so that every payload is another."""
    return f"Case {kind}: {question} [[output_tokens={output}]]"


def asked(kind: str, question: str = "What does order 4711 weigh?", *blocks: JsonObject) -> list[JsonObject]:
    """One user message: these blocks, then a question."""
    return [user([*blocks, text(ask(kind, question))])]


def long_text(sentences: int) -> str:
    """Prose of so many sentences, about 13 tokens each, each of them numbered."""
    return " ".join(f"{number}. {SENTENCES[number % len(SENTENCES)]}" for number in range(sentences))


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def png(side: int, colour: tuple[int, int, int]) -> bytes:
    """A square PNG of one colour, RGB, its pixels stored without compression, so that any zlib makes the same."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = (b"\0" + bytes(colour) * side) * side
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(pixels), len(pixels) ^ 0xFFFF) + pixels
    stored += struct.pack(">I", zlib.adler32(pixels))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stored) + chunk(b"IEND", b"")


def jpeg(blocks: int) -> bytes:
    """A square grey JPEG of so many 8 by 8 blocks a side: baseline, with Huffman tables of one code each."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    side = 8 * blocks
    one_code = (
        bytes([1] + [0] * 15) + b"\0"
    )  # the code 0 of one bit, for "no difference" and for "end of block"
    bits = 2 * blocks * blocks
    filled = (1 << (-bits % 8)) - 1  # the last byte is filled with ones
    return (
        b"\xff\xd8"
        + segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
        + segment(0xDB, b"\0" + b"\x01" * 64)
        + segment(0xC0, struct.pack(">BHHBBBB", 8, side, side, 1, 1, 0x11, 0))
        + segment(0xC4, b"\0" + one_code)
        + segment(0xC4, b"\x10" + one_code)
        + segment(0xDA, bytes([1, 1, 0, 0, 63, 0]))
        + filled.to_bytes((bits + 7) // 8, "big")
        + b"\xff\xd9"
    )


def pdf(line: str) -> bytes:
    """A PDF of one page with one line of text."""
    page = f"BT /F1 12 Tf 20 60 Td ({line}) Tj ET".encode("ascii")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 240 120] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    made, places = b"%PDF-1.4\n", []
    for number, inside in enumerate(objects, start=1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, inside)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    table += b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(made))
    return made + table + trailer


def image(data: bytes, media_type: str = "image/png") -> JsonObject:
    source = {"type": "base64", "media_type": media_type, "data": encoded(data)}
    return {"type": "image", "source": source}


def document(source: JsonObject, **more: Json) -> JsonObject:
    return {"type": "document", "source": source, **more}


def texts() -> Iterator[Sample]:
    yield answered("prompt", "the plainest row: a prompt, and nothing else", prompt=ask("prompt"))
    yield answered("text", "one user message as text", messages=[user(ask("text"))])
    yield answered("text-blocks", "one user message as text blocks", messages=asked(
        "text-blocks", "And in pounds?", text(SENTENCES[0])))  # fmt: skip
    yield answered("history", "a conversation that goes on", messages=[
        user("Where is order 4711?"), assistant("It left the warehouse this morning."), user(ask("history")),
    ])  # fmt: skip
    yield answered("history-blocks", "a conversation whose turns are blocks", messages=[
        user([text("Where is order 4711?")]),
        assistant([text("It left the warehouse"), text("this morning.")]),
        user([text(ask("history-blocks"))]),
    ])  # fmt: skip
    turns = [
        turn
        for number in range(120)
        for turn in (user(f"Is crate {number} on the lorry?"), assistant(f"Crate {number} is on the lorry."))
    ]
    yield answered(
        "history-long", "a conversation of 241 turns", messages=[*turns, user(ask("history-long"))]
    )
    yield answered("system-text", "a system text", system=SYSTEM, messages=[user(ask("system-text"))])
    yield answered(
        "system-blocks", "a system prompt in blocks", system=[text(SYSTEM), text(SENTENCES[4])],
        messages=asked("system-blocks"),
    )  # fmt: skip
    yield answered(
        "not-ascii", "umlauts, Chinese, Arabic, combining marks, an emoji of several code points, escapes",
        system="Antworte auf Deutsch, höflich und knapp.",
        messages=[user('Wäge „zwölf“ Kisten: 秤で量る — وزن — e\u0301 — 👩‍🚀🚚 \\ " / \t\u2028 ' + ask("not-ascii"))],
    )  # fmt: skip


def tools() -> Iterator[Sample]:
    both = [GET_ORDER, GET_WEIGHT]
    for choice, model in (
        ({"type": "auto"}, None),
        ({"type": "none"}, None),
        ({"type": "any"}, HAIKU),
        ({"type": "tool", "name": "get_weight", "disable_parallel_tool_use": True}, HAIKU),
    ):
        kind = f"tool-choice-{choice['type']}"
        pin = {"model": model} if model else {}
        yield answered(kind, f"two tools, tool_choice {choice['type']}", "tools", messages=asked(kind), tools=both,
                       tool_choice=choice, **pin)  # fmt: skip
    yield answered("tool-history", "a tool use, its result, and a failed one", "tools", tools=both, messages=[
        user([text("What does order 4711 weigh?")]),
        assistant([
            text("I look it up."),
            {"type": "tool_use", "id": "toolu_01", "name": "get_order", "input": {"number": "4711"}},
            {"type": "tool_use", "id": "toolu_02", "name": "get_weight", "input": {"dock": 4}},
        ]),
        user([
            {"type": "tool_result", "tool_use_id": "toolu_01", "content": [text("Order 4711 is at dock 4.")]},
            {"type": "tool_result", "tool_use_id": "toolu_02", "content": [text("no answer")], "is_error": True},
            text(ask("tool-history", "Then tell me what you know.")),
        ]),
    ])  # fmt: skip
    yield answered("tool-of-anthropic", "bash and the text editor, which run at the caller", "tools",
        messages=asked("tool-of-anthropic", "List the tickets."), tools=[
            {"type": "bash_20250124", "name": "bash"},
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        ])  # fmt: skip


def images_and_documents() -> Iterator[Sample]:
    red, blue = image(png(8, (200, 30, 30))), image(png(8, (30, 30, 200)))
    yield answered("image-png", "a PNG, base64", "image", messages=asked("image-png", "Which colour?", red))
    yield answered("image-jpeg", "a JPEG, base64", "image", messages=asked(
        "image-jpeg", "Which colour?", image(jpeg(2), "image/jpeg")))  # fmt: skip
    yield answered("images", "two images", "image", messages=asked("images", "Which is redder?", red, blue))
    yield answered("image-in-tool-result", "an image that a tool brought", "image", tools=[GET_WEIGHT], messages=[
        user([text("Read the scale of dock 4.")]),
        assistant([{"type": "tool_use", "id": "toolu_01", "name": "get_weight", "input": {"dock": 4}}]),
        user([
            {"type": "tool_result", "tool_use_id": "toolu_01", "content": [text("The dial:"), red]},
            text(ask("image-in-tool-result", "What does it show?")),
        ]),
    ])  # fmt: skip
    page = {
        "type": "base64",
        "media_type": "application/pdf",
        "data": encoded(pdf("Order 4711 weighs 12 kg.")),
    }
    yield answered("document-pdf", "a PDF, base64", "pdf", messages=asked(
        "document-pdf", "What does it say?", document(page, title="Ticket")))  # fmt: skip
    plain = {"type": "text", "media_type": "text/plain", "data": long_text(12)}
    yield answered("document-text", "a plain-text document with citations", messages=asked(
        "document-text", "What does it say?", document(plain, citations={"enabled": True})))  # fmt: skip
    inside = {"type": "content", "content": [text(SENTENCES[0]), text(SENTENCES[1])]}
    yield answered("document-blocks", "a document of content blocks", messages=asked(
        "document-blocks", "What does it say?", document(inside, context="two tickets")))  # fmt: skip
    found = {"type": "search_result", "source": "tickets/4711", "title": "Ticket 4711",
             "content": [text("12 kilograms")], "citations": {"enabled": True}}  # fmt: skip
    yield answered("search-result", "a search result of the caller's", messages=asked(
        "search-result", "What does it weigh?", found))  # fmt: skip


def thoughts() -> Iterator[Sample]:
    def think(
        kind: str, about: str, thinking: JsonObject, payload_class: str = "thinking", **more: Json
    ) -> Sample:
        return answered(kind, about, payload_class, messages=asked(kind), thinking=thinking, **more)

    yield think("thinking-adaptive", "adaptive thinking", {"type": "adaptive"})
    yield think("thinking-summarized", "adaptive thinking, shown as a summary",
                {"type": "adaptive", "display": "summarized"})  # fmt: skip
    yield think("thinking-enabled-haiku", "thinking within a budget of tokens",
                {"type": "enabled", "budget_tokens": 1_024}, model=HAIKU_4_5, max_tokens=2_048)  # fmt: skip
    yield think("thinking-enabled-opus", "thinking within a budget of tokens, on a model that also takes adaptive",
                {"type": "enabled", "budget_tokens": 2_000}, model=OPUS_4_6, max_tokens=4_096)  # fmt: skip
    yield think("thinking-disabled", "no thinking, on a model that thinks unless told", {"type": "disabled"}, "text",
                model=HAIKU)  # fmt: skip
    yield think("thinking-between-tools", "thinking between tool calls only", {"type": "between_tools"}, model=SONNET,
                tools=[GET_ORDER])  # fmt: skip
    thought = {
        "type": "thinking",
        "thinking": "Dock 4 has the scale.",
        "signature": encoded(b"of the simulator"),
    }
    for kind, model in (("thinking-replayed", SONNET), ("thinking-replayed-stripped", HAIKU_4_5)):
        how = "counts" if model == SONNET else "leaves out"
        yield answered(kind, f"a thinking block of an earlier turn, on a model that {how} it", model=model, messages=[
            user([text("Which dock has a scale?")]), assistant([thought, text("Dock 4.")]), user([text(ask(kind))]),
        ])  # fmt: skip
    yield answered("thinking-redacted", "a redacted thinking block of an earlier turn", model=SONNET, messages=[
        user([text("Which dock has a scale?")]),
        assistant([{"type": "redacted_thinking", "data": encoded(b"redacted")}, text("Dock 4.")]),
        user([text(ask("thinking-redacted"))]),
    ])  # fmt: skip


def options() -> Iterator[Sample]:
    yield answered("effort", "low effort", messages=asked("effort"), output_config={"effort": "low"})
    yield answered("structured-output", "an answer that fits a JSON schema", messages=asked("structured-output"),
                   output_config={"format": {"type": "json_schema", "schema": TICKET}})  # fmt: skip
    yield answered("stop-sequences", "texts that end the answer", messages=asked("stop-sequences"),
                   stop_sequences=["\n\nHuman:", "ENDE", "終"])  # fmt: skip
    yield answered("metadata", "a user id", messages=asked("metadata"), metadata={"user_id": "dock-4"})
    yield answered("service-tier", "standard capacity only", messages=asked("service-tier"),
                   params={"service_tier": "standard_only"})  # fmt: skip
    yield answered("inference-geo", "inference in the United States, a tenth dearer", model=SONNET,
                   messages=asked("inference-geo"), params={"inference_geo": "us"})  # fmt: skip
    fast = answered("speed-fast", "fast mode, twice the price; no batch takes it", model=OPUS,
                    messages=asked("speed-fast"), params={"speed": "fast"})  # fmt: skip
    yield replace(fast, in_batches={"outcome": "rejected", "says": "speed"})
    yield answered("params", "everything but the messages in the params column", "tools", messages=asked("params"),
                   params={"max_tokens": 300, "system": SYSTEM, "tools": [GET_ORDER],
                           "tool_choice": {"type": "auto"}, "stop_sequences": ["ENDE"],
                           "metadata": {"user_id": "dock-4"}, "service_tier": "auto"})  # fmt: skip
    yield answered("max-tokens-large", "more output than fits into ten minutes without a stream", model=HAIKU,
                   messages=asked("max-tokens-large"), max_tokens=64_000)  # fmt: skip


def caches() -> Iterator[Sample]:
    prefix = long_text(60)
    yield answered("cache-system", "a system prompt written to the cache for five minutes", model=HAIKU,
                   system=[text(f"Case cache-system. {prefix}", cache_control=FIVE_MINUTES)],
                   messages=asked("cache-system"))  # fmt: skip
    known = {**GET_ORDER, "description": f"Look up an order. {prefix}", "cache_control": ONE_HOUR}
    yield answered("cache-tools", "tools written to the cache for an hour", "tools", model=SONNET, tools=[known],
                   messages=asked("cache-tools"))  # fmt: skip
    yield answered("cache-messages", "two marks in the messages, an hour and five minutes", model=SONNET, messages=[
        user([text(f"Case cache-messages. {prefix}", cache_control=ONE_HOUR)]),
        assistant([text("Understood.")]),
        user([text(ask("cache-messages"), cache_control=FIVE_MINUTES)]),
    ])  # fmt: skip
    for kind, mark in (("cache-request-5m", {"type": "ephemeral"}), ("cache-request-1h", ONE_HOUR)):
        yield answered(kind, f"one mark on the request itself, {mark}", model=HAIKU,
                       messages=asked(kind, "What is too heavy?", text(prefix)),
                       params={"cache_control": mark})  # fmt: skip
    for number in (1, 2):
        yield answered(f"cache-shared-{number}", "a prefix that two jobs share: one writes it, one may read it",
                       model=HAIKU, messages=asked(f"cache-shared-{number}"),
                       system=[text(f"Case cache-shared. {prefix}", cache_control=ONE_HOUR)])  # fmt: skip
    yield answered("cache-too-short", "a mark on a prompt too short to be cached", model=HAIKU,
                   system=[text(SYSTEM, cache_control=FIVE_MINUTES)], messages=asked("cache-too-short"))  # fmt: skip


def uncountable() -> Iterator[Sample]:
    search = {"type": "web_search_20250305", "name": "web_search"}
    for kind, tool in (
        ("web-search", search),
        ("web-search-bounded", search | {"max_uses": 2}),
        ("code-execution", {"type": "code_execution_20250825", "name": "code_execution"}),
    ):
        yield reviewed(kind, "a tool that runs at the provider", f"server tool {tool['type']}", "tools", tools=[tool],
                       messages=asked(kind))  # fmt: skip
    by_url = {"type": "image", "source": {"type": "url", "url": "https://example.org/dial.png"}}
    yield reviewed("image-url", "an image that the provider would fetch", "url source", "image",
                   messages=asked("image-url", "Which colour?", by_url))  # fmt: skip
    by_id = document({"type": "file", "file_id": "file_011CNha8iCJcU1wXNR6q4V8w"})
    yield reviewed("document-file", "a document that lies with the provider", "file source", "pdf",
                   messages=asked("document-file", "What does it say?", by_id))  # fmt: skip
    yield reviewed("mcp-servers", "tools of an MCP server that the provider would call", "MCP",
                   messages=asked("mcp-servers"),
                   params={"mcp_servers": [{"type": "url", "url": "https://example.org/mcp", "name": "scales"}]},
    )  # fmt: skip


def refused() -> Iterator[Sample]:
    for name, value in (("temperature", 0.2), ("top_p", 0.9), ("top_k", 5)):
        kind = f"refused-{name.replace('_', '-')}"
        yield rejected(kind, f"{name}: no sampling parameter is taken", name, messages=asked(kind),
                       params={name: value})  # fmt: skip
    yield rejected("refused-prefill", "the beginning of the answer, on a model that takes none", "prefill",
                   messages=[user([text(ask("refused-prefill"))]), assistant([text("It weighs")])])  # fmt: skip
    yield rejected("refused-thinking", "thinking within a budget, on a model that has none", "thinking", model=OPUS,
                   messages=asked("refused-thinking"), thinking={"type": "enabled", "budget_tokens": 2_000},
                   max_tokens=4_096)  # fmt: skip
    yield rejected("refused-tool-choice", "a forced tool, on a model that cannot be forced", "tool", model=OPUS,
                   messages=asked("refused-tool-choice"), tools=[GET_ORDER],
                   tool_choice={"type": "tool", "name": "get_order"})  # fmt: skip
    yield rejected("refused-max-tokens", "more output than any model gives", "max_tokens",
                   messages=asked("refused-max-tokens"), max_tokens=1_000_000)  # fmt: skip
    yield rejected("refused-max-tokens-pinned", "more output than the pinned model gives", "max_tokens",
                   model=HAIKU_4_5, messages=asked("refused-max-tokens-pinned"), max_tokens=100_000)  # fmt: skip
    yield rejected("refused-media-type", "an image of a type that is not taken", "media_type", messages=asked(
        "refused-media-type", "Which colour?", image(png(8, (1, 2, 3)), "image/tiff")))  # fmt: skip
    yield rejected("refused-media-type-of-another", "a PNG that says it is a JPEG", "media_type", messages=asked(
        "refused-media-type-of-another", "Which colour?", image(png(8, (1, 2, 3)), "image/jpeg")))  # fmt: skip
    broken = image(b"")
    broken["source"]["data"] = encoded(png(8, (1, 2, 3)))[:-3] + "*"
    yield rejected("refused-base64", "an image whose base64 is broken", "base64", messages=asked(
        "refused-base64", "Which colour?", broken))  # fmt: skip


GROUPS: tuple[Callable[[], Iterator[Sample]], ...] = (
    texts,
    tools,
    images_and_documents,
    thoughts,
    options,
    caches,
    uncountable,
    refused,
)


def samples() -> list[Sample]:
    """All of them, in the order of the rows."""
    return [
        replace(made, job=made.job if _leaves_the_limit(made) else {"max_tokens": 256} | made.job)
        for group in GROUPS
        for made in group()
    ]


def _leaves_the_limit(made: Sample) -> bool:
    return made.kind == "prompt" or "max_tokens" in made.job.get("params", {})


def as_text(job: Mapping[str, Json]) -> JsonObject:
    """A job's columns with JSON text wherever a value is more than text or a number."""
    return {
        name: value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)
        for name, value in job.items()
    }


def text_table(jobs: list[JsonObject]) -> pa.Table:
    return pa.Table.from_pylist([as_text(job) for job in jobs], schema=SCHEMA)


def nested_table(jobs: list[JsonObject]) -> tuple[pa.Table, list[str]]:
    """The jobs that fit into one table of nested columns together, and the ids of those that do not.

    Arrow holds no value that is a text in one row and a list or a struct in another, so those whose messages are blocks
    throughout come first.
    """
    taken: list[JsonObject] = []
    for job in sorted(jobs, key=lambda job: not _in_blocks(job)):
        if fits_arrow([*taken, job]):
            taken.append(job)
    return _table(taken), [job["job_id"] for job in jobs if job not in taken]


def _in_blocks(job: JsonObject) -> bool:
    contents = [job.get("system"), *(message["content"] for message in job.get("messages", ()))]
    return "messages" in job and not any(isinstance(content, str) for content in contents)


def fits_arrow(jobs: list[JsonObject]) -> bool:
    """Whether one table holds these jobs so that they come back as they are, fields that are not there aside."""
    try:
        table = _table(jobs)
        pq.write_table(table, pa.BufferOutputStream())
    except pa.ArrowException:
        return False
    return [_without_nulls(row) for row in table.to_pylist()] == jobs


def _table(jobs: list[JsonObject]) -> pa.Table:
    names = dict.fromkeys(name for job in jobs for name in job)
    return pa.Table.from_pylist([dict.fromkeys(names) | job for job in jobs])


def _without_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def write(folder: Path) -> dict[str, int]:
    """Write the files and both tables into a folder; how many rows each table has."""
    payloads = folder / "payloads"
    payloads.mkdir(exist_ok=True)
    made = samples()
    for old in payloads.glob("*.json"):
        if old.stem not in {sample.kind for sample in made}:
            old.unlink()
    for sample in made:
        written = json.dumps(sample.as_json(), ensure_ascii=False, indent=1)
        (payloads / f"{sample.kind}.json").write_text(written + "\n", encoding="utf-8")
    jobs = [sample.as_json()["job"] for sample in made]
    nested, _ = nested_table(jobs)
    tables = {"payloads.parquet": text_table(jobs), "payloads-nested.parquet": nested}
    for name, table in tables.items():
        pq.write_table(table, folder / name, compression="zstd")
    return {name: table.num_rows for name, table in tables.items()}


if __name__ == "__main__":
    for name, rows in write(HERE).items():
        print(f"{rows} jobs -> {name}")
