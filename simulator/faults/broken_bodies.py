"""Bodies that arrive slowly, or not to their end."""

import asyncio
import contextlib

from aiohttp import web

from simulator.plan import Fault

#: pieces that a slow body is sent in
PIECES = 10

DEFAULT_FRACTION = 0.5


async def send_broken(
    request: web.Request, body: bytes, headers: dict[str, str], fault: Fault
) -> web.StreamResponse:
    """Send an answer whose body a fault spoils on its way.

    Args:
        request: the request to answer.
        body: the whole body.
        headers: headers of the answer; the length of the whole body is added.
        fault: of the kind "slow" or "cut_body".

    Returns:
        the response, sent or cut.
    """
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    with contextlib.suppress(ConnectionError):  # the client has gone
        await response.prepare(request)
        if fault.kind == "slow":
            step = -(-len(body) // PIECES) or 1
            for start in range(0, len(body), step):
                await asyncio.sleep((fault.seconds or 0) / PIECES)
                await response.write(body[start : start + step])
            await response.write_eof()
            return response
        fraction = DEFAULT_FRACTION if fault.fraction is None else fault.fraction
        await response.write(body[: int(len(body) * fraction)])
        if request.transport is not None:
            # What was written still arrives; the end of the body never does.
            request.transport.close()
    return response
