"""The gateway: the one place that talks to the Anthropic API. Async only, on the SDK's aiohttp transport.

The SDK's own retries are off. Every call goes through one retry policy of ours, which tries again only what was
surely not billed.
"""

import asyncio
import copy
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import stamina
from anthropic import AnthropicError, AsyncAnthropic, DefaultAioHttpClient, Timeout
from httpx2 import HTTPError

from schemas.batch import ProviderBatch
from schemas.errors import BadInput, RunFailed
from schemas.failures import CallFailed, MayBeBilled, Refused, Transient
from schemas.model_facts import MODEL_NAME, ModelFacts
from schemas.policy import RateLimits
from schemas.report import CallFigures
from schemas.usage import Answer
from services.api_answers import counted_tokens, json_or_none, model_facts, paid_answer, provider_batch
from services.classify import classified
from services.limiter import EndpointLimiter

#: requests per minute of the Start tier (source: Anthropic rate limits page, 2026-10-08, and token counting page)
START_MESSAGES_PER_MINUTE = 1_000
START_COUNT_PER_MINUTE = 5_000
START_BATCH_CALLS_PER_MINUTE = 1_000
#: the simulator says so in every answer
SIMULATED_HEADER = "weighbridge-simulated"
_CONNECT_SECONDS = 10
# each retry is in the tally; a log line for each is noise
stamina.instrumentation.set_on_retry_hooks([])
T = TypeVar("T")
_FREE_CALL_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Reply:
    """A paid answer.

    Attributes:
        answer: the answer, its usage checked.
        body: the same as the API sent it, JSON.
        request_id: the API's id of the request.
        tries: HTTP tries it took.
    """

    answer: Answer
    body: str
    request_id: str | None
    tries: int


class Gateway:
    """A connection to one endpoint of the API, with its rates and the tally of its calls.

    Made by `open_gateway`.
    """

    def __init__(self, client: AsyncAnthropic, limits: RateLimits) -> None:
        self._client = client
        self._limits = limits
        self._messages = EndpointLimiter(limits.messages_per_minute, START_MESSAGES_PER_MINUTE)
        self._counts = EndpointLimiter(limits.count_per_minute, START_COUNT_PER_MINUTE)
        self._batches = EndpointLimiter(None, START_BATCH_CALLS_PER_MINUTE)
        self._message_slots = asyncio.Semaphore(limits.max_in_flight)
        self._count_slots = asyncio.Semaphore(limits.max_in_flight)
        self.tally = CallFigures()
        self.simulated = False
        self.endpoint = str(client.base_url)

    def counting_in(self, tally: CallFigures) -> "Gateway":
        """The same gateway, with the same limits, whose calls are counted in a tally of one run's own."""
        own = copy.copy(self)
        own.tally = tally
        return own

    async def count(self, body: Mapping[str, Any]) -> int:
        """Input tokens of a count_tokens body, counted by the provider. Free.

        Raises:
            Refused: the API does not take the payload.
            NotBilled: it could not be had in the tries allowed.
            AccessDenied: the key is not accepted.
        """

        async def once() -> int:
            timeout = Timeout(_FREE_CALL_SECONDS, connect=_CONNECT_SECONDS)
            response = await self._client.messages.with_raw_response.count_tokens(**body, timeout=timeout)
            self._counts.observe(response.headers)
            return counted_tokens(await response.read())

        async with self._count_slots:
            tokens, tries = await self._tried(once, self._counts, free=True)
        self.tally.count += 1
        self.tally.retried += tries - 1
        return tokens

    async def send(self, body: Mapping[str, Any], *, leaving: Callable[[], Awaitable[None]]) -> Reply:
        """The answer to a Messages body. Paid.

        Args:
            body: the request, model included.
            leaving: called once, when it is this request's turn and before its first byte leaves.

        Raises:
            MayBeBilled: it may have been billed and no readable answer came back. Not tried again.
            NotBilled: surely not billed (refused, or unavailable in the tries allowed, or out of money).
            AccessDenied: the key is not accepted.
        """

        async def once() -> tuple[Answer, str, str | None]:
            seconds = self._limits.request_timeout_seconds
            # the read time-out runs anew with every byte, so that the whole call has one of its own
            async with asyncio.timeout(seconds + _CONNECT_SECONDS):
                response = await self._client.messages.with_raw_response.create(
                    **body, timeout=Timeout(seconds, connect=_CONNECT_SECONDS)
                )
                self._messages.observe(response.headers)
                raw = await response.read()
            return paid_answer(raw, response.headers.get("request-id"))

        async with self._message_slots:
            await self._messages.turn()
            await leaving()
            self.tally.message += 1
            try:
                (answer, text, request_id), tries = await self._tried(once, self._messages, waited=True)
            except CallFailed as error:
                self.tally.retried += error.tries - 1
                raise
        self.tally.retried += tries - 1
        return Reply(answer, text, request_id, tries)

    async def models(self) -> dict[str, ModelFacts]:
        """What the provider says of every model it serves.

        Raises:
            RunFailed: it could not be asked.
        """

        async def once() -> tuple[bool, list[Any]]:
            response = await self._client.models.with_raw_response.list(limit=1000)
            page = await response.parse()
            return SIMULATED_HEADER in response.headers, page.data

        try:
            (self.simulated, listed), _ = await self._tried(once, self._counts, free=True)
        except CallFailed as error:
            raise RunFailed(
                f"The models of {self.endpoint} could not be listed: {error}. Nothing was sent."
            ) from error
        return {info.id: model_facts(info.id, info) for info in listed}

    async def model(self, name: str) -> ModelFacts | None:
        """What the provider says of one model or alias, or None when it knows none of that name.

        Raises:
            NotBilled: it could not be had in the tries allowed.
            AccessDenied: the key is not accepted.
        """
        if not MODEL_NAME.fullmatch(name):
            return None

        async def once() -> Any:
            return await self._client.models.retrieve(name)

        try:
            info, _ = await self._tried(once, self._counts, free=True)
        except Refused:
            return None
        return model_facts(name, info)

    async def create_batch(self, requests: Sequence[Mapping[str, Any]]) -> ProviderBatch:
        """A new Message Batch. Paid for what succeeds in it; there is no idempotency, so two calls are two bills.

        Args:
            requests: items of custom_id and params.

        Raises:
            MayBeBilled: it may exist: look for it before another is made.
            NotBilled: it surely does not exist.
            AccessDenied: the key is not accepted.
        """

        async def once() -> ProviderBatch:
            seconds = self._limits.request_timeout_seconds
            async with asyncio.timeout(seconds + _CONNECT_SECONDS):
                made = await self._client.messages.batches.create(
                    requests=requests,  # type: ignore[arg-type]  # checked when the jobs were read
                    timeout=Timeout(seconds, connect=_CONNECT_SECONDS),
                )
            return provider_batch(made)

        self.tally.batch_create += 1
        batch, tries = await self._tried(once, self._batches)
        self.tally.retried += tries - 1
        return batch

    async def batch(self, provider_batch_id: str) -> ProviderBatch:
        """How a batch stands. Free.

        Raises:
            NotBilled: it could not be had in the tries allowed, or there is none of that id.
        """

        async def once() -> ProviderBatch:
            return provider_batch(await self._client.messages.batches.retrieve(provider_batch_id))

        return (await self._tried(once, self._batches, free=True))[0]

    async def batches_since(self, moment: datetime) -> list[ProviderBatch]:
        """The batches created since a moment, the newest first. Free."""

        async def once() -> list[ProviderBatch]:
            found: list[ProviderBatch] = []
            async for listed in self._client.messages.batches.list(limit=100):
                if listed.created_at < moment:
                    break
                found.append(provider_batch(listed))
            return found

        return (await self._tried(once, self._batches, free=True))[0]

    async def cancel_batch(self, provider_batch_id: str) -> ProviderBatch:
        """Ask the provider to stop working on a batch. What is in flight may still end, and be billed.

        Raises:
            RunFailed: it could not be asked.
        """

        async def once() -> ProviderBatch:
            return provider_batch(await self._client.messages.batches.cancel(provider_batch_id))

        try:
            return (await self._tried(once, self._batches, free=True))[0]
        except CallFailed as error:
            raise RunFailed(
                f"The batch {provider_batch_id} could not be cancelled: {error}. It goes on with the provider; cancel it "
                "again when the API answers."
            ) from error

    async def batch_results(self, provider_batch_id: str) -> AsyncIterator[dict[str, Any]]:
        """The lines of a batch's results, in any order, as they come. Free.

        The stream may end before its last line, with or without an error: compare with the batch's counts. A line
        that cannot be read is passed over.

        Raises:
            CallFailed: it could not be opened, or was cut.
        """
        await self._batches.turn()
        try:
            results = self._client.messages.batches.with_streaming_response.results(provider_batch_id)
            async with results as response:
                async for line in response.iter_lines():
                    if isinstance(found := json_or_none(line), dict):
                        yield found
        except (AnthropicError, TimeoutError, OSError, HTTPError) as error:
            raise classified(error) from error

    async def _tried(
        self,
        once: Callable[[], Awaitable[T]],
        limiter: EndpointLimiter,
        *,
        free: bool = False,
        waited: bool = False,
    ) -> tuple[T, int]:
        """The result of a call, and how many tries it took. Tries again only what was surely not billed.

        Args:
            once: makes the call.
            limiter: the endpoint's.
            free: the call costs nothing, so that any failure that passes may be tried again.
            waited: the first try has had its turn already.
        """
        tries = 0
        retry = stamina.retry_context(
            on=self._delay,
            attempts=self._limits.tries,
            timeout=None,
            wait_initial=0.5,
            wait_max=30,
            wait_jitter=1,
        )
        async for attempt in retry:
            with attempt:
                tries += 1
                if tries > 1 or not waited:
                    await limiter.turn()
                try:
                    return await once(), tries
                except Exception as error:
                    failure = error if isinstance(error, CallFailed) else classified(error)
                    if free and isinstance(failure, MayBeBilled):
                        failure = Transient(str(failure), request_id=failure.request_id)
                    failure.tries = tries
                    if isinstance(failure, Transient) and failure.everyone and failure.retry_after:
                        limiter.pause(min(failure.retry_after, self._limits.max_wait_seconds))
                    raise failure from error
        raise AssertionError("unreachable: the retry context returns or raises")

    def _delay(self, error: Exception) -> bool | float:
        """Whether to try again, and after how many seconds if the API says so."""
        if not isinstance(error, Transient):
            return False
        if error.retry_after is None:
            return True
        if error.retry_after > self._limits.max_wait_seconds:
            return False
        return error.retry_after + random.uniform(0, 1)  # noqa: S311 - jitter, so that not all come back at once


def client_for(base_url: str | None = None) -> AsyncAnthropic:
    """The SDK's client, its retries off; the environment says the rest, as the SDK does.

    Args:
        base_url: the endpoint; None leaves it to ANTHROPIC_BASE_URL and the SDK's default.

    Raises:
        BadInput: there is neither a key nor an address.
    """
    # a redirect would send a paid request twice
    transport = DefaultAioHttpClient(follow_redirects=False)
    client = AsyncAnthropic(base_url=base_url, max_retries=0, http_client=transport)
    if client.api_key or client.auth_token or client.credentials:
        return client
    if base_url or os.environ.get("ANTHROPIC_BASE_URL"):
        # an endpoint of one's own may need no key; the client wants one
        return AsyncAnthropic(api_key="none", base_url=base_url, max_retries=0, http_client=transport)
    raise BadInput(
        "There is no API key. Set ANTHROPIC_API_KEY to use the real API, ANTHROPIC_BASE_URL to use another endpoint, "
        "or add --simulate to `run` to try it without either. Nothing was counted or sent."
    )


@asynccontextmanager
async def open_gateway(limits: RateLimits, base_url: str | None = None) -> AsyncIterator[Gateway]:
    """A gateway to the API.

    Args:
        limits: rates, time-outs and tries.
        base_url: the endpoint; None leaves it to ANTHROPIC_BASE_URL and the SDK's default.

    Raises:
        BadInput: there is neither a key nor an address.
    """
    client = client_for(base_url)
    async with client:
        yield Gateway(client, limits)
