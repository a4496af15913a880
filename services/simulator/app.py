"""The simulator's HTTP application: Messages, count_tokens and Models as the Anthropic API speaks them.

Every answer carries `weighbridge-simulated: true`. The Message Batches endpoints are not there yet: their
paths answer 404.

Source: Anthropic docs, "API overview", "Errors", "Rate limits" (2026-08 to 2026-10).
"""

import asyncio
import sys
import traceback
from collections import Counter
from typing import Any

import orjson
from aiohttp import web

from services.simulator import replies
from services.simulator.billing_log import BillingLog, entry_of
from services.simulator.caching import PromptCache
from services.simulator.checks import MAX_BODY_BYTES, Endpoint, check_body, parse
from services.simulator.counting import count_tokens
from services.simulator.errors import SPEND_CAP_CODE, RefusedError
from services.simulator.faults import Bucket, FaultPicker, Latencies
from services.simulator.models import list_models, one_model
from services.simulator.plan import Fault, Plan
from services.simulator.usage import payload_hash, usage_of

ENDPOINTS = ("messages", "count_tokens", "models", "other")
"""What requests are counted under; "other" is every path that there is not."""


class Cut(Exception):  # noqa: N818 - an order to the transport, not an error
    """The connection is to be cut without an answer."""


class Simulator:
    """The state behind the endpoints.

    Args:
        plan: Latencies, limits and faults.
        log: Where billed messages are written.
    """

    def __init__(self, plan: Plan, log: BillingLog) -> None:
        self.log = log
        self._faults = FaultPicker(plan)
        self._latencies = Latencies(plan)
        self._buckets = {
            "messages": Bucket(plan.limits.messages_per_minute),
            "count_tokens": Bucket(plan.limits.count_per_minute),
        }
        self._headers = replies.LimitHeaders()
        self._ids = replies.Ids()
        self._cache = PromptCache()
        self._received: Counter[str] = Counter()
        self._answers: Counter[tuple[str, str]] = Counter()

    async def post_message(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/messages."""
        return await self._answer(request, "messages")

    async def post_count(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/messages/count_tokens."""
        return await self._answer(request, "count_tokens")

    async def get_models(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/models and GET /v1/models/{id}."""
        return await self._answer(request, "models")

    async def get_stats(self, _request: web.Request) -> web.StreamResponse:
        """GET /simulator/stats: requests of this run by endpoint and status, and what was billed.

        `received` counts a request when it comes, `requests` when its answer is decided: a request that
        hangs is in the first only. A cut connection has the status "cut".
        """
        requests: dict[str, dict[str, int]] = {endpoint: {} for endpoint in ENDPOINTS}
        for (endpoint, status), number in sorted(self._answers.items()):
            requests[endpoint][status] = number
        figures = {
            "received": {endpoint: self._received[endpoint] for endpoint in ENDPOINTS},
            "requests": requests,
            "billed": self.log.billed,
            "billed_nano_usd": self.log.nano_usd,
        }
        return self._response(figures, 200, {"request-id": self._ids.next()[0]})

    async def get_nothing(self, request: web.Request) -> web.StreamResponse:
        """Any other path or method."""
        return await self._answer(request, "other")

    async def _answer(self, request: web.Request, endpoint: str) -> web.StreamResponse:
        """Answers one request of any endpoint; every refusal and every fault ends here."""
        self._received[endpoint] += 1
        ids = self._ids.next()
        headers = {"request-id": ids[0]}
        status = 200
        try:
            answer = await self._handle(request, endpoint, ids, headers)
        except RefusedError as refused:
            status, answer = refused.status, refused.body(ids[0])
            if refused.retry_after is not None:
                headers["retry-after"] = str(refused.retry_after)
        except (Cut, ConnectionError, web.RequestPayloadError):
            self._answers[endpoint, "cut"] += 1
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        except Exception:  # noqa: BLE001 - a bug of the simulator must still be an answer
            traceback.print_exc(file=sys.stderr)
            status = 500
            answer = RefusedError(500, "internal error of the simulator").body(ids[0])
        self._answers[endpoint, str(status)] += 1
        return self._response(answer, status, headers)

    async def _handle(
        self, request: web.Request, endpoint: str, ids: tuple[str, str], headers: dict[str, str]
    ) -> Any:
        raw = await _read(request)
        if not _has_key(request):
            raise RefusedError(401, "an API key is required (Authorization: Bearer or x-api-key)")
        if endpoint == "other":
            raise RefusedError(404, "Not found")
        self._limit(endpoint, headers)
        if endpoint == "models":
            wanted = request.match_info.get("id")
            answer: Any = one_model(wanted) if wanted is not None else list_models(request.query)
            fault = self._faults.pick(endpoint, request.path_qs.encode())
            _strike_before(fault)
        else:
            answer, fault = self._work(raw, "messages" if endpoint == "messages" else "count_tokens", ids)
        seconds = self._latencies.next(endpoint) + (fault.seconds or 0 if fault else 0)
        if seconds:
            await asyncio.sleep(seconds)
        return _strike_after(fault, answer)

    def _limit(self, endpoint: str, headers: dict[str, str]) -> None:
        """Takes a place under the endpoint's limit and states the limit in the headers."""
        bucket = self._buckets.get(endpoint)
        if bucket is None:
            return
        wait = bucket.take()
        headers.update(self._headers.of(bucket, tokens=endpoint == "messages"))
        if wait is not None:
            raise RefusedError(429, "Number of requests has exceeded the rate limit", retry_after=wait)

    def _work(self, raw: bytes, endpoint: Endpoint, ids: tuple[str, str]) -> tuple[Any, Fault | None]:
        """Checks a body, then counts it or bills it; returns the answer and the fault that strikes it."""
        try:
            body = parse(raw)
            model = check_body(body, endpoint)
            tokens = count_tokens(body, model)
            digest = payload_hash(body) if endpoint == "messages" else ""
        except (RecursionError, orjson.JSONEncodeError):
            raise RefusedError(400, "The request body is nested too deeply") from None
        if endpoint == "messages" and tokens > model.max_input_tokens:
            raise RefusedError(400, f"prompt is too long: {tokens} tokens > {model.max_input_tokens} maximum")
        fault = self._faults.pick(endpoint, raw)
        _strike_before(fault)
        if endpoint == "count_tokens":
            return {"input_tokens": tokens}, fault
        usage = usage_of(body, model, self._cache, digest)
        # On record before anything else can happen: the answer, a fault, or the end of this process.
        self.log.write(entry_of(ids, raw, digest, (usage, model), fault.kind if fault else None))
        return replies.message(ids[1], model, usage), fault

    def _response(self, answer: Any, status: int, headers: dict[str, str]) -> web.Response:
        headers["anthropic-organization-id"] = replies.ORGANIZATION
        headers["weighbridge-simulated"] = "true"
        headers["content-type"] = "application/json"
        body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
        return web.Response(body=body, status=status, headers=headers)


def make_app(plan: Plan, log: BillingLog) -> web.Application:
    """The application.

    Args:
        plan: Latencies, limits and faults.
        log: Where billed messages are written; the caller closes it.

    Returns:
        The application, ready to be run.
    """
    simulator = Simulator(plan, log)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/v1/messages", simulator.post_message)
    app.router.add_post("/v1/messages/count_tokens", simulator.post_count)
    app.router.add_get("/v1/models", simulator.get_models)
    app.router.add_get("/v1/models/{id}", simulator.get_models)
    app.router.add_get("/simulator/stats", simulator.get_stats)
    app.router.add_route("*", "/{tail:.*}", simulator.get_nothing)
    return app


async def _read(request: web.Request) -> bytes:
    """The request body, or a 413 that has not read a body above the limit."""
    too_large = RefusedError(413, "Request exceeds the maximum size")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise too_large
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None


def _has_key(request: web.Request) -> bool:
    if request.headers.get("x-api-key", "").strip():
        return True
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(key.strip())


def _strike_before(fault: Fault | None) -> None:
    """Raises for faults that strike before a request is accepted."""
    if fault is None:
        return
    if fault.kind == "status":
        message = "planned fault of the simulator"
        raise RefusedError(fault.status or 500, message, retry_after=fault.retry_after)
    if fault.kind == "spend_cap":
        raise RefusedError(
            429, "Your organization has reached its monthly API usage threshold", error_code=SPEND_CAP_CODE
        )
    if fault.kind == "cut_before":
        raise Cut


def _strike_after(fault: Fault | None, answer: Any) -> Any:
    """Spoils the answer of an accepted request; raises `Cut` for the fault that sends none."""
    if fault is None:
        return answer
    if fault.kind == "cut_after":
        raise Cut
    if fault.kind == "malformed_body":
        text = orjson.dumps(answer)
        return text[: len(text) // 2]
    if fault.kind == "usage_missing":
        return {name: value for name, value in answer.items() if name not in ("usage", "input_tokens")}
    return answer
