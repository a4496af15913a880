"""The gateway: the one place that talks to the Anthropic API. Async only, on the SDK's aiohttp transport.

The SDK's own retries are off. Every call goes through one retry policy of ours, which tries again only what was
surely not billed.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from anthropic import AnthropicError, AsyncAnthropic, Timeout
from anthropic.types import ModelInfo
from httpx2 import HTTPError

from rules.call_failures import Call, without_batches
from rules.run_time import RatesPerMinute
from schemas.batch import ProviderBatch, ResultLine
from schemas.errors import RunFailed
from schemas.failures import CallFailed, Refused, Transient
from schemas.json_bytes import json_bytes
from schemas.model_facts import MODEL_NAME, ModelFacts
from schemas.policy_sections import RateLimits
from schemas.report import CallFigures
from schemas.usage import Answer
from schemas.words import masked_url
from services.account_allowances import AccountAllowances, shared_allowances
from services.api_answers import counted_tokens, model_facts, paid_answer, provider_batch
from services.api_client import Heard, account_of, client_for, http_client
from services.batch_body import BatchBody
from services.batch_calls import opened_results, posted_batch
from services.classify import classified
from services.ledger import Ledger
from services.limiter import NO_WEIGHT, CallWeight, EndpointLimiter, RequestPace, message_limiter
from services.prepared_calls import CONNECT_SECONDS, PreparedCalls
from services.result_lines import result_lines
from services.tries import CallPlan, Done, goes_on, tried, turn_to_leave

__all__ = ["Gateway", "Reply", "client_for", "open_gateway"]

#: requests per minute of the Start tier (source: Anthropic rate limits page, 2026-10-08, and token counting page)
START_COUNT_PER_MINUTE = 5_000
START_BATCH_CALLS_PER_MINUTE = 1_000
#: the simulator says so in every answer
SIMULATED_HEADER = "weighbridge-simulated"
T = TypeVar("T")
_FREE_CALL_SECONDS = 60
Clients = tuple[AsyncAnthropic, AsyncAnthropic]


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

    Attributes:
        endpoint: the API's address as it may be shown.
        simulated: whether the simulator answers there; known once the models were listed.
    """

    def __init__(self, clients: Clients, heard: Heard, limits: RateLimits, shared: AccountAllowances) -> None:
        self._client, self._paid = clients
        self._heard = heard
        self._limits = limits
        self._free_calls = PreparedCalls(self._client, heard, paid=False, seconds=_FREE_CALL_SECONDS)
        self._paid_calls = PreparedCalls(self._paid, heard, paid=True, seconds=limits.request_timeout_seconds)
        self._shared = shared
        self._messages: dict[str, EndpointLimiter] = {}
        count_pace = RequestPace(limits.count_per_minute, START_COUNT_PER_MINUTE)
        self._counts = shared.share(EndpointLimiter(count_pace), "count_tokens")
        self._batches = shared.share(
            EndpointLimiter(RequestPace(None, START_BATCH_CALLS_PER_MINUTE)), "batches"
        )
        self._free_count = CallPlan(self._counts, Call.FREE)
        self._free_batch = CallPlan(self._batches, Call.FREE)
        self._message_slots = asyncio.Semaphore(limits.max_in_flight)
        self._count_slots = asyncio.Semaphore(limits.max_in_flight)
        self.tally = CallFigures()
        self.simulated = False
        self.endpoint = masked_url(str(self._client.base_url))

    async def aclose(self) -> None:
        """Close its connections."""
        await self._free_calls.aclose()
        await self._paid_calls.aclose()

    @property
    def clock_skew(self) -> timedelta | None:
        """How far this machine's clock is ahead of the API's; None: not known yet."""
        return self._heard.clock_skew

    @property
    def workspace(self) -> str | None:
        """The id of the workspace that the calls are charged to; None: no answer has named one."""
        return self._heard.workspace

    def counting_in(self, tally: CallFigures) -> "Gateway":
        """The same gateway, with the same limits, whose calls are counted in a tally of one run's own."""
        own = copy.copy(self)
        own.tally = tally
        return own

    async def count(self, body: Mapping[str, Any], *, leaving: Callable[[], None] = lambda: None) -> int:
        """Input tokens of a count_tokens body, counted by the provider. Free.

        Args:
            body: the request, model included.
            leaving: called once, when this request has found a slot; what it raises is raised, and nothing is sent.

        Raises:
            Refused: the API does not take the payload.
            NotBilled: it could not be had in the tries allowed.
            AccessDenied: the key is not accepted.
        """

        async def once() -> int:
            answer = await self._free_calls.post("/v1/messages/count_tokens", json_bytes(body))
            self._counts.observe(answer.headers)
            return counted_tokens(answer.content)

        async with self._count_slots:
            leaving()
            self.tally.count += 1
            with self._in_tally():
                return (await self._tried(once, self._free_count)).result

    async def send(
        self,
        body: Mapping[str, Any],
        *,
        leaving: Callable[[], Awaitable[None]],
        came_back: Callable[[], Awaitable[bool]] = goes_on,
        weight: CallWeight = NO_WEIGHT,
    ) -> Reply:
        """The answer to a Messages body. Paid.

        Args:
            body: the request, model included; it is read once `leaving` has returned.
            leaving: called before each try, when it is this request's turn and before its first byte leaves; what it
                raises is raised, and nothing is sent.
            came_back: called when a try surely was not billed and another is to follow, before the wait for it; False:
                none may follow.
            weight: its counted input and expected output, for the limits of its model in tokens a minute.

        Raises:
            MayBeBilled: it may have been billed and no readable answer came back. Not tried again.
            NotBilled: surely not billed (refused, or unavailable in the tries allowed, or out of money).
            AccessDenied: the key is not accepted.
        """
        limiter = self._limiter_of(body["model"])
        if too_heavy := limiter.too_heavy(weight):
            raise Refused("not sent", explanation=too_heavy)
        plan = CallPlan(limiter, Call.PAID, weight, leaving=leaving, came_back=came_back)
        async with self._message_slots:
            turn = await turn_to_leave(plan)
            self.tally.message += 1
            with self._in_tally():
                done = await self._tried(lambda: self._message(body, limiter), replace(plan, turn=turn))
        answer, text, request_id = done.result
        usage = answer.usage
        done.turn.weighed(CallWeight(usage.input_tokens + usage.cache_write_tokens, usage.output_tokens))
        return Reply(answer, text, request_id, done.tries)

    async def _message(
        self, body: Mapping[str, Any], limiter: EndpointLimiter
    ) -> tuple[Answer, str, str | None]:
        seconds = self._limits.request_timeout_seconds
        # the read time-out starts again with every byte, so that the whole call has one of its own
        async with asyncio.timeout(seconds + CONNECT_SECONDS):
            answer = await self._paid_calls.post("/v1/messages", json_bytes(body))
        limiter.observe(answer.headers)
        return paid_answer(answer.content, answer.headers.get("request-id"))

    @property
    def counts_per_minute(self) -> int:
        """Calls to count_tokens that may be made in a minute, as far as is known now."""
        return self._counts.pace.per_minute

    def rates(self, model: str) -> RatesPerMinute:
        """What may be sent to a model in a minute, by the policy or else by what the API has said so far."""
        limiter = self._limiter_of(model)
        inputs, outputs = limiter.windows
        return RatesPerMinute(limiter.pace.per_minute, inputs.per_minute, outputs.per_minute)

    def _limiter_of(self, model: str) -> EndpointLimiter:
        """The limiter of Messages for a model, the same one each time."""
        if model not in self._messages:
            self._messages[model] = self._shared.share(
                message_limiter(model, self._limits), f"messages {model}"
            )
        return self._messages[model]

    async def models(self) -> dict[str, ModelFacts]:
        """What the provider says of every model it serves.

        Raises:
            RunFailed: it could not be asked.
        """

        async def once() -> tuple[bool, list[ModelInfo]]:
            response = await self._client.models.with_raw_response.list(limit=1000)
            page = await response.parse()
            return SIMULATED_HEADER in response.headers, page.data

        try:
            self.simulated, listed = (await self._tried(once, self._free_count)).result
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

        async def once() -> ModelInfo:
            return await self._client.models.retrieve(name)

        try:
            info = (await self._tried(once, self._free_count)).result
        except Refused:
            return None
        return model_facts(name, info)

    async def create_batch(self, body: BatchBody) -> ProviderBatch:
        """A new Message Batch. Paid for what succeeds in it; there is no idempotency, so two calls are two bills.

        Args:
            body: its items; it is read a piece at a time, as it is sent.

        Raises:
            MayBeBilled: it may exist: look for it before another is made.
            NotBilled: it surely does not exist; EndpointUnusable: there are no batches at this address.
            AccessDenied: the key is not accepted.
        """

        async def once() -> ProviderBatch:
            seconds = self._limits.request_timeout_seconds
            async with asyncio.timeout(seconds + CONNECT_SECONDS):
                patience = Timeout(seconds, connect=CONNECT_SECONDS)
                return provider_batch(await posted_batch(self._paid, body, patience))

        self.tally.batch_create += 1
        with self._in_tally():
            try:
                return (await self._tried(once, CallPlan(self._batches, Call.CREATION))).result
            except CallFailed as error:
                if error.status == 404 and await self._has_no_batches():
                    raise without_batches(error.request_id, self.endpoint) from error
                raise

    async def _has_no_batches(self) -> bool:
        """Whether the list of batches is not found either: where there is no list, no batch was made."""

        async def once() -> None:
            await self._client.messages.batches.list(limit=1)

        try:
            await self._tried(once, self._free_batch)
        except CallFailed as error:
            return error.status == 404
        return False

    async def batch(self, provider_batch_id: str) -> ProviderBatch:
        """How a batch stands. Free.

        Raises:
            NotBilled: it could not be had in the tries allowed, or there is none of that id.
        """

        async def once() -> ProviderBatch:
            return provider_batch(await self._client.messages.batches.retrieve(provider_batch_id))

        return (await self._tried(once, self._free_batch)).result

    async def batches_since(self, moment: datetime) -> list[ProviderBatch]:
        """The batches created since a moment, the newest first. Free."""

        async def once() -> list[ProviderBatch]:
            found: list[ProviderBatch] = []
            async for listed in self._client.messages.batches.list(limit=100):
                if listed.created_at < moment:
                    break
                found.append(provider_batch(listed))
            return found

        return (await self._tried(once, self._free_batch)).result

    async def cancel_batch(self, provider_batch_id: str) -> ProviderBatch:
        """Ask the provider to stop working on a batch. What is in flight may still end, and be billed.

        Raises:
            RunFailed: it could not be asked.
        """

        async def once() -> ProviderBatch:
            return provider_batch(await self._client.messages.batches.cancel(provider_batch_id))

        try:
            return (await self._tried(once, self._free_batch)).result
        except CallFailed as error:
            raise RunFailed(
                f"The batch {provider_batch_id} could not be cancelled: {error}. It goes on with the provider; cancel it "
                "again when the API answers."
            ) from error

    async def batch_results(self, seen: ProviderBatch) -> AsyncIterator[ResultLine]:
        """The lines of a batch's results, in any order, as they come. Free.

        They are read at the address that the batch named when it was looked at; the SDK's own call would look at it once
        more, and fail where only that look fails. The stream may end before its last line, with or without an error:
        compare with the batch's counts.

        Raises:
            CallFailed: it could not be opened, or was cut.
        """
        if seen.results_url is None:
            raise Transient("the batch names no address of its results")
        await self._batches.turn()
        try:
            async with aclosing(await opened_results(self._client, seen.results_url)) as response:
                async for line in result_lines(response.aiter_bytes()):
                    yield line
        except (AnthropicError, TimeoutError, OSError, HTTPError) as error:
            raise classified(error, Call.FREE, handed_over=True) from error

    @contextmanager
    def _in_tally(self) -> Iterator[None]:
        """Count the call inside, if it fails, as failed."""
        try:
            yield
        except CallFailed:
            self.tally.failed += 1
            raise

    async def _tried(self, once: Callable[[], Awaitable[T]], plan: CallPlan) -> Done[T]:
        return await tried(once, plan, self._limits, self.tally)


@asynccontextmanager
async def open_gateway(
    limits: RateLimits, base_url: str | None = None, ledger: Ledger | None = None
) -> AsyncIterator[Gateway]:
    """A gateway to the API.

    Args:
        limits: rates, time-outs and tries.
        base_url: the endpoint; None leaves it to ANTHROPIC_BASE_URL and the SDK's default.
        ledger: where the rates are shared with all processes of the same key; None: this process takes them whole.

    Raises:
        BadInput: there is neither a key nor an address, or the key cannot be sent.
    """
    heard = Heard()
    client = client_for(base_url, heard)
    paid = client.with_options(http_client=http_client(heard, paid=True))
    async with (
        client,
        paid,
        shared_allowances(ledger, account_of(client)) as shared,
        aclosing(Gateway((client, paid), heard, limits, shared)) as gateway,
    ):
        yield gateway
