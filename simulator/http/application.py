"""The simulator's HTTP application: Messages, Batches, count_tokens, Models and the usage and cost reports.

Every answer carries `weighbridge-simulated: true`.

Source: Anthropic docs, "API overview", "Errors", "Rate limits" (2026-08 to 2026-10).
"""

import asyncio
import hashlib
import sys
import traceback
from collections import Counter
from functools import lru_cache, partial
from typing import Any, Literal

import orjson
from aiohttp import web

from simulator.answers.content import own_blocks
from simulator.answers.usage_meter import payload_hash, usage_of
from simulator.batches.batch_desk import BatchDesk
from simulator.batches.batch_lives import ENDS, Batches
from simulator.batches.batch_results import ResultStream
from simulator.billing.admin_reports import cost_report, is_admin_key, usage_report
from simulator.billing.billing_log import BillingLog, entry_of
from simulator.billing.billing_totals import BillingTotals
from simulator.billing.counting import count_tokens
from simulator.billing.prompt_cache import PromptCache
from simulator.checks.batch_frame import MAX_BATCH_BYTES
from simulator.checks.whole_request import MAX_BODY_BYTES, Endpoint, check_body, check_length, parse
from simulator.faults.fault_picker import FaultPicker
from simulator.faults.fault_strikes import Cut, strike_after, strike_before
from simulator.faults.latencies import Latencies
from simulator.http import replies
from simulator.http.api_errors import RefusedError
from simulator.http.model_list import list_models, one_model
from simulator.http.rate_limits import Bucket, LimitHeaders
from simulator.plan import EndpointName, Fault, Plan

#: every path of the API that is served
ROUTES: tuple[tuple[str, str, EndpointName], ...] = (
    ("POST", "/v1/messages", "messages"),
    ("POST", "/v1/messages/count_tokens", "count_tokens"),
    ("GET", "/v1/models", "models"),
    ("GET", "/v1/models/{id}", "models"),
    ("GET", "/v1/organizations/usage_report/messages", "usage_report"),
    ("GET", "/v1/organizations/cost_report", "cost_report"),
    ("POST", "/v1/messages/batches", "batches_create"),
    ("GET", "/v1/messages/batches", "batches_list"),
    ("GET", "/v1/messages/batches/{id}", "batches_retrieve"),
    ("DELETE", "/v1/messages/batches/{id}", "batches_delete"),
    ("POST", "/v1/messages/batches/{id}/cancel", "batches_cancel"),
    ("GET", "/v1/messages/batches/{id}/results", "batches_results"),
)

#: what requests are counted under; "other" is every path that there is not
ENDPOINTS = (*dict.fromkeys(endpoint for _, _, endpoint in ROUTES), "other")


class Simulator:
    """The state behind the endpoints.

    Args:
        plan: latencies, limits and faults.
        log: where billed messages are written.
    """

    def __init__(self, plan: Plan, log: BillingLog) -> None:
        self.log = log
        self._plan = plan
        self._faults = FaultPicker(plan)
        self._latencies = Latencies(plan)
        self._buckets = {
            "messages": Bucket(plan.limits.messages_per_minute),
            "count_tokens": Bucket(plan.limits.count_per_minute),
            "batches": Bucket(plan.limits.batches_per_minute),
        }
        self._headers = LimitHeaders()
        self._ids = replies.Ids()
        self._cache = PromptCache()
        self._totals = BillingTotals(log.path)
        self._batches = Batches(plan, log, self._ids, self._cache)
        self._desk = BatchDesk(self._batches, self._faults, plan.limits.queued_batch_requests)
        self._received: Counter[str] = Counter()
        self._answers: Counter[tuple[str, str]] = Counter()

    async def get_stats(self, _request: web.Request) -> web.StreamResponse:
        """GET /simulator/stats: requests of this run by endpoint and status, batches, and what was billed.

        `received` counts a request when it comes, `requests` when its answer is decided: a request that
        hangs is in the first only. A cut connection has the status "cut". `batches` is the number of
        batches accepted, `batch_items` the number of requests by end in those that have ended. `billed` and
        `billed_nano_usd` are of what is paid for, `unbilled` is the number of refusals that cost nothing.
        """
        requests: dict[str, dict[str, int]] = {endpoint: {} for endpoint in ENDPOINTS}
        for (endpoint, status), number in sorted(self._answers.items()):
            requests[endpoint][status] = number
        figures = {
            "received": {endpoint: self._received[endpoint] for endpoint in ENDPOINTS},
            "requests": requests,
            "batches": self._batches.created,
            "batch_items": {end: self._batches.ends[end] for end in ENDS},
            "billed": self.log.billed,
            "unbilled": self.log.unbilled,
            "billed_nano_usd": self.log.nano_usd,
        }
        return self._response(figures, 200, {"request-id": self._ids.next()[0]})

    async def answer(
        self, request: web.Request, endpoint: EndpointName | Literal["other"]
    ) -> web.StreamResponse:
        """Answer one request of any endpoint; every refusal and every fault ends here.

        Args:
            request: the request.
            endpoint: what it is counted under.

        Returns:
            the response, which may have been sent already.
        """
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
        if isinstance(answer, ResultStream):
            self._answers[endpoint, answer.status] += 1
            return await answer.send(request, _marked(headers))
        self._answers[endpoint, str(status)] += 1
        return self._response(answer, status, headers)

    async def _handle(
        self,
        request: web.Request,
        endpoint: EndpointName | Literal["other"],
        ids: tuple[str, str],
        headers: dict[str, str],
    ) -> Any:
        raw = await _read(request, MAX_BATCH_BYTES if endpoint == "batches_create" else MAX_BODY_BYTES)
        key = _key_of(request)
        if not key:
            raise RefusedError(401, "an API key is required (Authorization: Bearer or x-api-key)")
        if endpoint == "other":
            raise RefusedError(404, "Not found")
        self._limit(endpoint, headers)
        if endpoint == "models":
            wanted = request.match_info.get("id")
            answer: Any = one_model(wanted) if wanted is not None else list_models(request.query)
            fault = self._faults.pick(endpoint, request.path_qs.encode())
            strike_before(fault)
        elif endpoint in ("messages", "count_tokens"):
            answer, fault = self._work(raw, endpoint, ids, _key_id(key))
        elif endpoint in ("usage_report", "cost_report"):
            if not is_admin_key(key):
                raise RefusedError(403, "this needs an Admin API key, which begins with sk-ant-admin")
            report = usage_report if endpoint == "usage_report" else cost_report
            answer = await report(self._totals, request.query)
            fault = self._faults.pick(endpoint, request.path_qs.encode())
            strike_before(fault)
        else:
            answer, fault = await self._desk.answer(request, raw, endpoint, _key_id(key))
        seconds = self._latencies.next(endpoint) + (fault.seconds or 0 if fault else 0)
        if seconds:
            await asyncio.sleep(seconds)
        return strike_after(fault, answer)

    def _limit(self, endpoint: str, headers: dict[str, str]) -> None:
        """Take a place under the endpoint's limit and states the limit in the headers."""
        bucket = self._buckets.get("batches" if endpoint.startswith("batches") else endpoint)
        if bucket is None:
            return
        wait = bucket.take()
        headers.update(self._headers.of(bucket, tokens=endpoint == "messages"))
        if wait is not None:
            raise RefusedError(429, "Number of requests has exceeded the rate limit", retry_after=wait)

    def _work(
        self, raw: bytes, endpoint: Endpoint, ids: tuple[str, str], api_key_id: str
    ) -> tuple[Any, Fault | None]:
        """Check a body, then counts it or bills it; returns the answer and the fault that strikes it."""
        try:
            body = parse(raw)
            model = check_body(body, endpoint)
            tokens = count_tokens(body, model)
            digest = payload_hash(body) if endpoint == "messages" else ""
        except (RecursionError, orjson.JSONEncodeError):
            raise RefusedError(400, "The request body is nested too deeply") from None
        if endpoint == "messages":
            check_length(tokens, model)
        fault = self._faults.pick(endpoint, raw)
        strike_before(fault)
        if endpoint == "count_tokens":
            return {"input_tokens": tokens}, fault
        planned = self._plan.messages.refusal(self._plan.seed, digest)
        usage = usage_of(body, model, self._cache, digest, count=tokens, planned=planned)
        # On record before anything else can happen: the answer, a fault, or the end of this process.
        digests = hashlib.sha256(raw).hexdigest(), digest
        kind = fault.kind if fault else None
        self.log.write(entry_of(ids, digests, (usage, model), api_key_id=api_key_id, fault=kind))
        return replies.message(ids[1], model, usage, own_blocks(body, usage, ids[1])), fault

    def _response(self, answer: Any, status: int, headers: dict[str, str]) -> web.Response:
        headers["content-type"] = "application/json"
        body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
        return web.Response(body=body, status=status, headers=_marked(headers))


def make_app(plan: Plan, log: BillingLog) -> web.Application:
    """The application.

    Args:
        plan: latencies, limits and faults.
        log: where billed messages are written; the caller closes it.

    Returns:
        the application, ready to be run.
    """
    simulator = Simulator(plan, log)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    for method, path, endpoint in ROUTES:
        app.router.add_route(method, path, partial(simulator.answer, endpoint=endpoint))
    app.router.add_get("/simulator/stats", simulator.get_stats)
    app.router.add_route("*", "/{tail:.*}", partial(simulator.answer, endpoint="other"))
    return app


async def _read(request: web.Request, max_bytes: int) -> bytes:
    """The request body, or a 413 that has not read a body above the limit."""
    too_large = RefusedError(413, "Request exceeds the maximum size")
    if (request.content_length or 0) > max_bytes:
        raise too_large
    if max_bytes != MAX_BODY_BYTES:
        request = request.clone(client_max_size=max_bytes)
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None


def _marked(headers: dict[str, str]) -> dict[str, str]:
    """The headers and those that every answer has."""
    return {
        **headers,
        "anthropic-organization-id": replies.ORGANIZATION,
        "weighbridge-simulated": "true",
    }


def _key_of(request: web.Request) -> str:
    """The API key of a request; empty if it has none."""
    key = request.headers.get("x-api-key", "").strip()
    if key:
        return key
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


@lru_cache(maxsize=1_024)
def _key_id(key: str) -> str:
    """The id of an API key, which does not tell the key."""
    return f"apikey_sim_{hashlib.sha256(key.encode()).hexdigest()[:16]}"
