"""The simulator's HTTP application: Messages, Batches, count_tokens, Models, Files, and usage and cost reports.

Every answer carries `weighbridge-simulated: true`.

Source: Anthropic docs, "API overview", "Errors", "Rate limits" (2026-08 to 2026-10).
"""

import asyncio
import socket
import struct
import sys
import traceback
from collections import Counter
from functools import partial
from typing import Any, Literal

import orjson
from aiohttp import web
from pydantic import ValidationError

from simulator.answers.message_desk import MessageDesk
from simulator.batches.batch_desk import BatchDesk
from simulator.batches.batch_lives import ENDS, Batches
from simulator.batches.batch_results import ResultStream
from simulator.billing.admin_reports import cost_report, is_admin_key, usage_report
from simulator.billing.billing_log import BillingLog
from simulator.billing.billing_totals import BillingTotals
from simulator.checks.batch_frame import MAX_BATCH_BYTES
from simulator.checks.whole_request import MAX_BODY_BYTES
from simulator.faults.box_pages import BoxPageError
from simulator.faults.broken_bodies import send_broken
from simulator.faults.fault_log import FaultLog
from simulator.faults.fault_striker import FaultStriker
from simulator.faults.fault_strikes import Cut, strike_after
from simulator.faults.latencies import Latencies
from simulator.files.file_desk import FileDesk
from simulator.http import replies
from simulator.http.api_call import ApiCall
from simulator.http.api_errors import RefusedError
from simulator.http.callers import WORKSPACE_HEADER, Callers
from simulator.http.event_stream import EventStream
from simulator.http.model_list import list_models, one_model
from simulator.http.rate_limits import Bucket, LimitHeaders
from simulator.plan import EndpointName, Fault, Plan
from simulator.plan.api_clock import MAX_SHIFT_SECONDS, ClockMove, rfc3339

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
    ("POST", "/v1/files", "files_upload"),
    ("GET", "/v1/files", "files_list"),
    ("GET", "/v1/files/{id}", "files_retrieve"),
    ("DELETE", "/v1/files/{id}", "files_delete"),
    ("GET", "/v1/files/{id}/content", "files_download"),
)

#: what requests are counted under; "other" is every path that there is not
ENDPOINTS = (*dict.fromkeys(endpoint for _, _, endpoint in ROUTES), "other")


class Simulator:
    """The state behind the endpoints.

    Args:
        plan: latencies, limits and faults.
        log: where billed messages are written; faults are written next to it.
    """

    def __init__(self, plan: Plan, log: BillingLog) -> None:
        self.log = log
        self._clock = plan.clock()
        self._fault_log = FaultLog(log.path, self._clock)
        self._striker = FaultStriker(plan, self._fault_log)
        self._latencies = Latencies(plan)
        self._buckets = {
            "messages": Bucket(plan.limits.messages_per_minute),
            "count_tokens": Bucket(plan.limits.count_per_minute),
            "batches": Bucket(plan.limits.batches_per_minute),
        }
        self._headers = LimitHeaders(self._clock)
        self._ids = replies.Ids()
        self._callers = Callers(plan.workspaces)
        self._totals = BillingTotals(log.path, self._clock)
        self._message_desk = MessageDesk(plan, self._striker, log, self._clock)
        self._file_desk = FileDesk(self._striker, self._clock)
        self._batches = Batches(plan, (log, self._fault_log), self._ids, self._clock)
        self._batch_desk = BatchDesk(
            self._batches, self._striker, plan.limits.queued_batch_requests, self._clock
        )
        self._received: Counter[str] = Counter()
        self._answers: Counter[tuple[str, str]] = Counter()

    async def get_stats(self, _request: web.Request) -> web.StreamResponse:
        """GET /simulator/stats: requests of this run by endpoint and status, batches, and what was billed.

        `received` counts a request when it comes, `requests` when its answer is decided: a request that
        hangs is in the first only. A cut connection has the status "cut". `batches` is the number of
        batches accepted, `batch_items` the number of requests by end in those that have ended, `faults` the number
        that struck, by kind. `billed` and `billed_nano_usd` are of what is paid for, `unbilled` is the number of
        refusals that cost nothing.
        """
        requests: dict[str, dict[str, int]] = {endpoint: {} for endpoint in ENDPOINTS}
        for (endpoint, status), number in sorted(self._answers.items()):
            requests[endpoint][status] = number
        figures = {
            "received": {endpoint: self._received[endpoint] for endpoint in ENDPOINTS},
            "requests": requests,
            "batches": self._batches.created,
            "batch_items": {end: self._batches.ends[end] for end in ENDS},
            "faults": dict(self._fault_log.by_kind),
            "billed": self.log.billed,
            "unbilled": self.log.unbilled,
            "billed_nano_usd": self.log.nano_usd,
        }
        return self._response(figures, 200, {"request-id": self._ids.next()[0]})

    async def advance_clock(self, request: web.Request) -> web.StreamResponse:
        """POST /simulator/clock: puts the API's clock forward by `advance_seconds`, above zero, and answers its time."""
        headers = {"request-id": self._ids.next()[0]}
        try:
            move = ClockMove.model_validate_json(await request.read())
        except ValidationError:
            refusal = RefusedError(400, f"advance_seconds: a number above 0, up to {MAX_SHIFT_SECONDS:,}")
            return self._response(refusal.body(headers["request-id"]), 400, headers)
        self._clock.advance(move.advance_seconds)
        return self._response({"now": rfc3339(self._clock.now())}, 200, headers)

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
        if self._striker.resets(request, endpoint, ids[0]):
            self._answers[endpoint, "cut"] += 1
            return _reset(request)
        headers = {"request-id": ids[0]}
        status, fault = 200, None
        try:
            call = await self._call(request, endpoint, ids, headers)
            answer = await self._handle(call)
            fault = call.fault
        except RefusedError as refused:
            status, answer = refused.status, refused.body(ids[0])
            if refused.retry_after is not None:
                headers["retry-after"] = str(refused.retry_after)
        except BoxPageError as page:
            self._answers[endpoint, str(page.status)] += 1
            return page.response()
        except (Cut, ConnectionError, web.RequestPayloadError):
            self._answers[endpoint, "cut"] += 1
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        except Exception:  # noqa: BLE001 - a bug of the simulator must still be an answer
            traceback.print_exc(file=sys.stderr)
            status = 500
            answer = RefusedError(500, "internal error of the simulator").body(ids[0])
        if isinstance(answer, ResultStream | EventStream):
            self._answers[endpoint, answer.status] += 1
            return await answer.send(request, self._marked(headers))
        if fault is not None and fault.kind in ("slow", "cut_body"):
            return await self._send_broken(call, answer, fault)
        self._answers[endpoint, str(status)] += 1
        return self._response(answer, status, headers)

    async def _call(
        self,
        request: web.Request,
        endpoint: EndpointName | Literal["other"],
        ids: tuple[str, str],
        headers: dict[str, str],
    ) -> ApiCall:
        """A request with its body, if it has a key and its path is one of the API."""
        raw = b""
        if endpoint != "files_upload":
            raw = await _read(request, MAX_BATCH_BYTES if endpoint == "batches_create" else MAX_BODY_BYTES)
        key = _key_of(request)
        if not key:
            raise RefusedError(401, "an API key is required (Authorization: Bearer or x-api-key)")
        caller = self._callers.of(key)
        headers[WORKSPACE_HEADER] = caller.workspace.id
        if endpoint == "other":
            raise RefusedError(404, "Not found")
        return ApiCall(request, endpoint, ids, raw, caller, headers)

    async def _handle(self, call: ApiCall) -> Any:
        """The answer to a call as it is to be sent, after the time it takes."""
        self._limit(call)
        answer = await self._taken(call)
        self._striker.record(call, taken=True)
        seconds = self._latencies.next(call.endpoint)
        if call.fault is not None and call.fault.kind == "hang":
            seconds += call.fault.seconds or 0
        if seconds:
            await asyncio.sleep(seconds)
        if not isinstance(answer, EventStream):
            call.begin()
        return answer if call.fault is None else strike_after(call.fault, answer)

    async def _taken(self, call: ApiCall) -> Any:
        """Do what a call asks for, and return the answer as it would be without a fault."""
        if call.endpoint == "messages":
            return self._message_desk.message(call)
        if call.endpoint == "count_tokens":
            return self._message_desk.count(call)
        if call.endpoint.startswith("batches"):
            return await self._batch_desk.answer(call)
        if call.endpoint.startswith("files"):
            return await self._file_desk.answer(call)
        if call.endpoint == "models":
            wanted = call.request.match_info.get("id")
            now = self._clock.now()
            answer = list_models(call.request.query, now) if wanted is None else one_model(wanted, now)
        else:
            if not is_admin_key(_key_of(call.request)):
                raise RefusedError(403, "this needs an Admin API key, which begins with sk-ant-admin")
            report = usage_report if call.endpoint == "usage_report" else cost_report
            answer = await report(self._totals, call.request.query)
        self._striker.strike(call, call.path)
        return answer

    def _limit(self, call: ApiCall) -> None:
        """Take a place under the endpoint's limit and state the limit in the headers."""
        bucket = self._buckets.get("batches" if call.endpoint.startswith("batches") else call.endpoint)
        if bucket is None:
            return
        wait = bucket.take()
        call.headers.update(self._headers.of(bucket, tokens=call.endpoint == "messages"))
        if wait is not None:
            raise RefusedError(429, "Number of requests has exceeded the rate limit", retry_after=wait)

    async def _send_broken(self, call: ApiCall, answer: Any, fault: Fault) -> web.StreamResponse:
        """Send an answer slowly, or not to its end."""
        self._answers[call.endpoint, "cut" if fault.kind == "cut_body" else "200"] += 1
        body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
        headers = self._marked({**call.headers, "content-type": "application/json"})
        return await send_broken(call.request, body, headers, fault)

    def _response(self, answer: Any, status: int, headers: dict[str, str]) -> web.Response:
        headers["content-type"] = "application/json"
        body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
        return web.Response(body=body, status=status, headers=self._marked(headers))

    def _marked(self, headers: dict[str, str]) -> dict[str, str]:
        """The headers and those that every answer has."""
        headers["anthropic-organization-id"] = replies.ORGANIZATION
        headers["weighbridge-simulated"] = "true"
        if self._clock.shift_seconds:
            headers["date"] = self._clock.http_date()
        return headers


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
    app.router.add_post("/simulator/clock", simulator.advance_clock)
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


def _reset(request: web.Request) -> web.Response:
    """Close a connection as a server does that gave up an idle one: at once, with a reset."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        # Lingering for no time at all turns the close into a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


def _key_of(request: web.Request) -> str:
    """The API key of a request; empty if it has none."""
    key = request.headers.get("x-api-key", "").strip()
    if key:
        return key
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
