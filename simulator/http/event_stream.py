"""An answer to Messages as server-sent events.

Its events come in the order of the API: `message_start` with a message that has no content yet, then each block with
its start, its deltas and its end (a `ping` after the first start), then `message_delta` with the stop reason and the
whole usage, and `message_stop`. What they add up to is the message that is sent without streaming.

Source: Anthropic docs, "Streaming Messages" (2026-08); SDK 2.12.0, `RawMessageStreamEvent` and `accumulate_event`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from aiohttp import web

from simulator.plan import Fault

#: characters in one delta
DELTA_CHARACTERS = 48

DEFAULT_FRACTION = 0.5

#: usage that is stated at the start, where it is not known yet: the tokens of the first delta, and nothing
_USAGE_AT_START = {"output_tokens": 1, "output_tokens_details": None, "server_tool_use": None}

#: figures of the usage that the end of a stream states once more
_USAGE_AT_END = (
    "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens",
    "output_tokens_details", "server_tool_use",
)  # fmt: skip

#: stop reasons of an answer that may have been cut in the middle of a block
CUT_REASONS = ("max_tokens", "model_context_window_exceeded")

Event = dict[str, Any]


class EventStream:
    """The answer to a request that streams.

    Args:
        message: the message as it would be without streaming.
        fault: what strikes this stream, if anything does.
        on_begin: called before the first event.
    """

    def __init__(
        self, message: dict[str, Any], fault: Fault | None, on_begin: Callable[[], None] = lambda: None
    ) -> None:
        self._message = message
        self._on_begin = on_begin
        self._fault = fault
        self._kind = None if fault is None else fault.kind

    @property
    def status(self) -> str:
        """What the answer is counted as."""
        return "cut" if self._kind == "cut_body" else "200"

    async def send(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        """Send the events.

        Args:
            request: the request to answer.
            headers: headers of the answer.

        Returns:
            the response, sent or cut.
        """
        response = web.StreamResponse(headers={**headers, "content-type": "text/event-stream; charset=utf-8"})
        response.headers["cache-control"] = "no-cache"
        chunks = [event_bytes(event) for event in events_of(self._message)]
        if self._kind in ("cut_body", "malformed_body"):
            chunks = _part(chunks, self._fault)
        pause = 0.0
        if self._fault is not None and self._kind == "slow":
            pause = (self._fault.seconds or 0) / len(chunks)
        with contextlib.suppress(ConnectionError):  # the client has gone
            await response.prepare(request)
            for number, chunk in enumerate(chunks):
                if pause:
                    await asyncio.sleep(pause)
                if not number:
                    self._on_begin()
                await response.write(chunk)
            if self._kind != "cut_body":
                await response.write_eof()
            elif request.transport is not None:
                # What was written still arrives; the end of the body never does.
                request.transport.close()
        return response


def event_bytes(event: Event) -> bytes:
    """An event as it is sent, named by its type."""
    name: str = event["type"]
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def events_of(message: dict[str, Any]) -> Iterator[Event]:
    """The events of a message.

    Args:
        message: as it would be without streaming; without a usage the events state none.

    Yields:
        each event as a JSON object.
    """
    usage = message.get("usage")
    start = {**message, "content": [], "stop_reason": None, "stop_details": None}
    if usage is not None:
        start["usage"] = {**usage, **_USAGE_AT_START, "output_tokens": min(1, usage["output_tokens"])}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(message["content"]):
        yield from _block_events(index, block, cut=message["stop_reason"] in CUT_REASONS)
    delta = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details", "container")}
    end: Event = {"type": "message_delta", "delta": delta}
    if usage is not None:
        end["usage"] = {name: usage[name] for name in _USAGE_AT_END if usage[name] is not None}
    yield end
    yield {"type": "message_stop"}


def _block_events(index: int, block: dict[str, Any], *, cut: bool) -> Iterator[Event]:
    """The start of a block, its deltas and its end."""
    start, deltas = _taken_apart(block, cut=cut)
    yield {"type": "content_block_start", "index": index, "content_block": start}
    if not index:
        yield {"type": "ping"}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _taken_apart(block: dict[str, Any], *, cut: bool) -> tuple[dict[str, Any], list[Event]]:
    """(the block as it starts, its deltas); a block that comes whole has none."""
    kind = block["type"]
    if kind == "text":
        return {**block, "text": ""}, [
            {"type": "text_delta", "text": text} for text in _pieces(block["text"])
        ]
    if kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": text} for text in _pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {**block, "thinking": "", "signature": ""}, deltas
    if kind in ("tool_use", "server_tool_use"):
        given = orjson.dumps(block["input"]).decode()
        # Of an input that was cut the end never comes.
        pieces = ["", *_pieces(given[:-1] if cut else given)]
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": text} for text in pieces]
    return block, []


def _pieces(text: str) -> list[str]:
    return [text[start : start + DELTA_CHARACTERS] for start in range(0, len(text), DELTA_CHARACTERS)]


def _part(chunks: list[bytes], fault: Fault | None) -> list[bytes]:
    """The first part of a stream, which ends within an event."""
    fraction = DEFAULT_FRACTION if fault is None or fault.fraction is None else fault.fraction
    whole = min(int(len(chunks) * fraction), len(chunks) - 1)
    return [*chunks[:whole], chunks[whole][: len(chunks[whole]) // 2]]
