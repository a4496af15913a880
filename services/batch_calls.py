"""The two calls about batches whose bodies are too large for memory: what creates one, and what one brought."""

from typing import Any

from anthropic import AsyncAnthropic, AsyncStream, Timeout
from anthropic.types.messages import MessageBatch
from httpx2 import Response

from services.batch_body import BatchBody


async def posted_batch(client: AsyncAnthropic, body: BatchBody, patience: Timeout) -> MessageBatch:
    """The batch that a request has created. Its body is read as it is sent; the SDK's own call would hold it twice.

    Raises:
        anthropic.APIError: the answer is no success, or there is none.
    """
    headers = {"content-type": "application/json", "content-length": str(body.size)}
    return await client.post(
        "/v1/messages/batches",
        content=body.chunks(),
        cast_to=MessageBatch,
        options={"timeout": patience, "headers": headers},
    )


async def opened_results(client: AsyncAnthropic, url: str) -> Response:
    """The answer to a free GET, its body not read yet."""
    return await client.get(  # type: ignore[return-value]  # the answer itself, since that is what is asked for
        url,
        cast_to=Response,
        options={"headers": {"accept": "application/binary"}},
        stream=True,
        stream_cls=AsyncStream[Any],
    )
