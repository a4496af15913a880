"""The batch endpoints: what each asks for, when it is refused, and what it answers.

That results which are not there yet are a 404, and canceling an ended batch and deleting one in progress
are a 400, is an assumption.

Source: SDK 2.12.0, `resources/messages/batches.py`; Anthropic docs, "Batch processing" (2026-10-08).
"""

from typing import Any

from aiohttp import web

from simulator.batches.batch_lives import Batch, Batches
from simulator.batches.batch_results import ResultStream
from simulator.checks.batch_frame import read_requests
from simulator.faults.fault_picker import FaultPicker
from simulator.faults.fault_strikes import strike_before
from simulator.http.api_errors import RefusedError
from simulator.http.paging import page_of
from simulator.plan import EndpointName, Fault

#: `retry-after` when too many requests are queued
QUEUE_RETRY_SECONDS = 5


class BatchDesk:
    """Answers the batch endpoints.

    Args:
        batches: the batches of this run.
        faults: picks what strikes a request.
        max_queued: most requests in batches that have not ended.
    """

    def __init__(self, batches: Batches, faults: FaultPicker, max_queued: int) -> None:
        self._batches = batches
        self._faults = faults
        self._max_queued = max_queued

    async def answer(
        self, request: web.Request, raw: bytes, endpoint: EndpointName, api_key_id: str
    ) -> tuple[Any, Fault | None]:
        """Do what a request asks for.

        Args:
            request: the request.
            raw: its body.
            endpoint: one of the batch endpoints.
            api_key_id: id of the key it came with.

        Returns:
            the answer, a JSON object or a `ResultStream`, and the fault that strikes it.

        Raises:
            RefusedError: if the API would refuse it, or a fault does.
            Cut: if a fault cuts the connection beforehand.
        """
        base_url = f"{request.scheme}://{request.host}"
        if endpoint == "batches_create":
            batch, fault = await self._create(raw, api_key_id)
            return batch.shown(base_url), fault
        if endpoint == "batches_list":
            batches = self._batches.newest_first()
            page = page_of(
                batches, request.query, lambda batch: batch.id, lambda batch: batch.shown(base_url)
            )
            return page, self._strike(request, endpoint)
        batch = self._batches.get(request.match_info["id"])
        _check_state(batch, endpoint)
        fault = self._strike(request, endpoint)
        if endpoint == "batches_results":
            return ResultStream(batch.items, fault), fault
        if endpoint == "batches_delete":
            self._batches.delete(batch)
            return {"id": batch.id, "type": "message_batch_deleted"}, fault
        if endpoint == "batches_cancel":
            self._batches.cancel(batch)
        return batch.shown(base_url), fault

    async def _create(self, raw: bytes, api_key_id: str) -> tuple[Batch, Fault | None]:
        requests = await read_requests(raw)
        if self._batches.queued + len(requests) > self._max_queued:
            message = "Number of queued batch requests has exceeded the limit"
            raise RefusedError(429, message, retry_after=QUEUE_RETRY_SECONDS)
        fault = self._faults.pick("batches_create", raw)
        strike_before(fault)
        return self._batches.create(requests, api_key_id), fault

    def _strike(self, request: web.Request, endpoint: EndpointName) -> Fault | None:
        fault = self._faults.pick(endpoint, request.path_qs.encode())
        strike_before(fault)
        return fault


def _check_state(batch: Batch, endpoint: EndpointName) -> None:
    """Refuse what a batch's state does not allow."""
    ended = batch.ended_at is not None
    if endpoint == "batches_results" and not ended:
        raise RefusedError(404, f"the batch is {batch.status} and has no results yet")
    if endpoint == "batches_delete" and not ended:
        raise RefusedError(400, f"the batch is {batch.status}; only an ended one can be deleted")
    if endpoint == "batches_cancel" and ended:
        raise RefusedError(400, "the batch has ended and cannot be canceled")
