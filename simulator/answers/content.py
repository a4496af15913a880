"""What stands in an answer: thinking, text, and whatever else the request calls for.

Source: Anthropic docs, "Messages", "Structured outputs", "Tool use", "Web search tool" (2026-08 to
2026-10); SDK 2.12.0, the content blocks.
"""

from typing import Any

import orjson

from simulator.answers.schema_examples import example_of
from simulator.answers.server_tools import kind_of
from simulator.answers.tool_requests import forced_tool, tool_use
from simulator.billing.billed_usage import BilledUsage, ServerUse

#: start of every text
TEXT_MARK = "[simulated] "

#: longest text; longer outputs are billed in full and cut in print
MAX_TEXT_BYTES = 2_000

PAGE = "https://example.org/simulated"

_FILLER = "the lorry rolls onto the plate and the clerk reads the scale before the gate goes up; "
_LONGEST = (TEXT_MARK + _FILLER * MAX_TEXT_BYTES)[:MAX_TEXT_BYTES]

Blocks = list[dict[str, Any]]


def own_blocks(body: dict[str, Any], usage: BilledUsage, message_id: str) -> Blocks | None:
    """The blocks of an answer that is not plain text.

    Args:
        body: the checked request.
        usage: what it uses.
        message_id: id of the answer.

    Returns:
        every block but thinking; None if there is only text, whose length follows from the usage.
    """
    written = usage.output_tokens - (usage.thinking or 0)
    if usage.refusal is not None or not written:
        return None
    tail = message_id.removeprefix("msg_sim_")
    blocks = _server_blocks(body, usage.server, tail) if usage.server is not None else []
    if usage.stop_reason == "pause_turn":
        return blocks
    tool = forced_tool(body)
    form = (body.get("output_config") or {}).get("format")
    if tool is not None:
        return [*blocks, tool_use(tool, tail, cut=usage.stop_reason != "tool_use")]
    if form is not None:
        text = orjson.dumps(example_of(form["schema"])).decode()
        # An answer that was cut is not JSON any more.
        return [*blocks, _text(text if usage.stop_reason == "end_turn" else text[: len(text) // 2] or "{")]
    return [*blocks, _plain_text(written)] if blocks else None


def content_of(usage: BilledUsage, own: Blocks | None) -> Blocks:
    """The `content` of an answer.

    Args:
        usage: what was used; decides the lengths (four bytes a token, up to a cap).
        own: what `own_blocks` says.

    Returns:
        the blocks: thinking first; none at all after a refusal before any output.
    """
    thinking = usage.thinking or 0
    blocks: Blocks = []
    if thinking:
        blocks.append({"type": "thinking", "thinking": _filler(thinking), "signature": "c2ltdWxhdGVk"})
    if own is not None:
        return blocks + own
    if usage.output_tokens > thinking:
        blocks.append(_plain_text(usage.output_tokens - thinking))
    return blocks


def with_text(usage: BilledUsage, own: Blocks | None) -> Blocks:
    """The blocks of an answer, its text among them, for an answer whose length is not to follow from its usage.

    Args:
        usage: what the answer was made with.
        own: what `own_blocks` made of it.

    Returns:
        every block but thinking.
    """
    if own is not None:
        return own
    return [block for block in content_of(usage, None) if block["type"] != "thinking"]


def _plain_text(tokens: int) -> dict[str, Any]:
    return _text(_filler(tokens))


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "citations": None}


def _filler(tokens: int) -> str:
    return _LONGEST[: max(len(TEXT_MARK), 4 * tokens)]


def _server_blocks(body: dict[str, Any], use: ServerUse, tail: str) -> Blocks:
    """A call and its result for every use of a server tool."""
    blocks: Blocks = []
    uses = {"web_search": use.searches, "web_fetch": use.fetches, "code_execution": use.executions}
    for tool in body["tools"]:
        name = kind_of(tool) or ""
        for call in range(uses.pop(name, 0)):
            call_id = f"srvtoolu_sim_{name}_{call}_{tail}"
            given, result = _SERVER_CALLS[name]
            blocks.append({"type": "server_tool_use", "id": call_id, "name": name, "input": given})
            blocks.append({"type": f"{name}_tool_result", "tool_use_id": call_id, "content": result})
    return blocks


#: input and result of a call of each server tool
_SERVER_CALLS: dict[str, tuple[dict[str, Any], Any]] = {
    "web_search": (
        {"query": "simulated"},
        [
            {
                "type": "web_search_result",
                "url": PAGE,
                "title": "simulated",
                "encrypted_content": "c2ltdWxhdGVk",
                "page_age": None,
            }
        ],
    ),
    "web_fetch": (
        {"url": PAGE},
        {
            "type": "web_fetch_result",
            "url": PAGE,
            "retrieved_at": "2026-01-01T00:00:00Z",
            "content": {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": TEXT_MARK},
                "title": "simulated",
                "citations": None,
            },
        },
    ),
    "code_execution": (
        {"code": "print('simulated')"},
        {
            "type": "code_execution_result",
            "stdout": "simulated\n",
            "stderr": "",
            "return_code": 0,
            "content": [],
        },
    ),
}
