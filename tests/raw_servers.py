"""Servers that speak HTTP by hand, for what no real one does on request."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import orjson

Answer = Callable[["RawServer", bytes, bytes], Awaitable[bytes | None]]
MESSAGE = orjson.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 8, "output_tokens": 2},
    }
)


class RawServer:
    """What a server saw: `requests` that it read in whole, and `connections` that were opened to it."""

    def __init__(self, answer: Answer, idle: float | None):
        self._answer = answer
        self._idle = idle
        self.requests = 0
        self.connections = 0
        self.url = ""

    async def serve(self, reader, writer):
        self.connections += 1
        answered = False
        try:
            while True:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), self._idle if answered else None)
                length = next(
                    (
                        int(line[15:])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length:")
                    ),
                    0,
                )
                body = await reader.readexactly(length)
                self.requests += 1
                reply = await self._answer(self, head, body)
                if reply is None:
                    return
                writer.write(reply)
                await writer.drain()
                answered = True
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", "content-type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def always(data: bytes | None) -> Answer:
    """Answers every request with the same bytes; None hangs up."""

    async def answer(_server, _head, _body):
        return data

    return answer


@asynccontextmanager
async def raw_server(answer: Answer, *, idle: float | None = None, tls: ssl.SSLContext | None = None):
    """A server of one's own.

    Args:
        answer: makes the bytes that answer a request.
        idle: how long a connection is kept after an answer, seconds.
        tls: serve https with this.
    """
    raw = RawServer(answer, idle)
    async with await asyncio.start_server(raw.serve, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        raw.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        yield raw
