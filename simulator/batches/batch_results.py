"""The results of an ended batch as a stream of JSON lines, with the faults that can strike one."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from aiohttp import web

from simulator.batches.batch_items import Item, result_line
from simulator.plan import Fault
from simulator.unhurried import unhurried

#: lines are sent in blocks of about this size
BLOCK_BYTES = 65_536

DEFAULT_FRACTION = 0.5


class ResultStream:
    """The answer to a request for results.

    Args:
        items: the batch's requests in the order of the results.
        fault: what strikes this stream, if anything does.
    """

    def __init__(self, items: Sequence[Item], fault: Fault | None) -> None:
        self._items = items
        self._kind = fault.kind if fault is not None else None
        self._cut = self._kind in ("cut_results", "cut_body")
        self._pause = 0.0
        if fault is not None and fault.kind == "slow":
            self._pause = (fault.seconds or 0) / max(1, len(items))
        fraction = fault.fraction if fault is not None else None
        self._part = int(len(items) * (DEFAULT_FRACTION if fraction is None else fraction))

    @property
    def status(self) -> str:
        """What the answer is counted as."""
        return "cut" if self._cut else "200"

    async def send(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        """Send the lines.

        Args:
            request: the request to answer.
            headers: headers of the answer.

        Returns:
            the response, sent or cut.
        """
        response = web.StreamResponse(headers={**headers, "content-type": "application/x-jsonl"})
        with contextlib.suppress(ConnectionError):  # the client has gone
            await response.prepare(request)
            block = bytearray()
            async for line in unhurried(self._lines()):
                block += line
                if self._pause:
                    await asyncio.sleep(self._pause)
                if len(block) >= BLOCK_BYTES or self._pause:
                    await response.write(bytes(block))
                    block.clear()
            await response.write(bytes(block))
            if not self._cut:
                await response.write_eof()
            elif request.transport is not None:
                # What was written still arrives; the end of the body never does.
                request.transport.close()
        return response

    def _lines(self) -> Iterator[bytes]:
        """The lines that are sent, spoiled ones included."""
        spoiled = self._cut or self._kind == "malformed_body"
        whole = len(self._items)
        if spoiled:
            whole = self._part
        elif self._kind == "end_results_early":
            whole = min(self._part, whole - 1)
        for item in self._items[:whole]:
            yield result_line(item)
        if spoiled:
            for item in self._items[whole : whole + 1]:
                line = result_line(item)
                yield line[: len(line) // 2]
        elif self._kind == "repeat_results":
            for item in self._items[: max(1, self._part)]:
                yield result_line(item)
