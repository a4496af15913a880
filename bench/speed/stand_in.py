"""A stand-in for the API that costs next to nothing, so that what is measured is the client.

    python -m bench.speed.stand_in MODELS.json

Answers the list of models with the file's bytes, counts a token for every four bytes of what count_tokens weighs, and
says in every answer that it is simulated. It prints its port, and on SIGTERM one JSON line of what it was asked. It knows
no faults, no limits and no batches: for those there is the simulator.
"""

import asyncio
import json
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

WEIGHED = ("messages", "system", "tools", "tool_choice", "thinking")
_MOST_OUTPUT = 20
_END_OF_HEAD = b"\r\n\r\n"


def tokens(request: dict[str, Any]) -> int:
    """The input tokens of a request: the same for its count and for the message itself."""
    return len(orjson.dumps([request.get(name) for name in WEIGHED])) // 4


def answered(body: dict[str, Any]) -> bytes:
    """The answer to a counting request or a paid one."""
    if "max_tokens" not in body:
        return orjson.dumps({"input_tokens": tokens(body)})
    output = min(_MOST_OUTPUT, body["max_tokens"])
    return orjson.dumps(
        {
            "id": "msg_stand_in",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": "word " * output}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": tokens(body), "output_tokens": output, "service_tier": "standard"},
        }
    )


class ApiProtocol(asyncio.Protocol):
    """One connection, requests after each other."""

    def __init__(self, models: bytes, asked: Counter[str]) -> None:
        self._models, self._asked = models, asked
        self._read = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(_END_OF_HEAD)) >= 0:
            head = bytes(self._read[:end])
            length = _length(head)
            start = end + len(_END_OF_HEAD)
            if len(self._read) < start + length:
                return
            body = bytes(self._read[start : start + length])
            del self._read[: start + length]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].partition(b"?")[0].decode()
        self._asked[path] += 1
        answer = answered(orjson.loads(body)) if body else self._models
        assert self._transport is not None
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nweighbridge-simulated: true\r\n"
            b"request-id: req_stand_in\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer
        )


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"content-length:")
    return int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def main(models: bytes) -> None:
    asked: Counter[str] = Counter()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: ApiProtocol(models, asked), "127.0.0.1", 0, backlog=2_048)
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await ended.wait()
    print(json.dumps(asked), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_bytes()))
