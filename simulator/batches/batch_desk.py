"""The batch endpoints: what each asks for, when it is refused, and what it answers.

That results which are not there yet are a 404, and canceling an ended batch and deleting one in progress
are a 400, is an assumption.

Source: SDK 2.12.0, `resources/messages/batches.py`; Anthropic docs, "Batch processing" (2026-10-08).
"""

from typing import Any

from simulator.batches.batch_lives import Batch, Batches
from simulator.batches.batch_results import ResultStream
from simulator.checks.batch_frame import read_requests
from simulator.faults.fault_striker import FaultStriker
from simulator.http.api_call import ApiCall
from simulator.http.api_errors import RefusedError
from simulator.http.paging import page_of
from simulator.plan.api_clock import ApiClock

#: `retry-after` when too many requests are queued
QUEUE_RETRY_SECONDS = 5


class BatchDesk:
    """Answers the batch endpoints.

    Args:
        batches: the batches of this run.
        striker: lets faults strike.
        max_queued: most requests in batches that have not ended.
        clock: tells how old a batch is.
    """

    def __init__(self, batches: Batches, striker: FaultStriker, max_queued: int, clock: ApiClock) -> None:
        self._batches = batches
        self._striker = striker
        self._max_queued = max_queued
        self._clock = clock

    async def answer(self, call: ApiCall) -> Any:
        """Do what a call asks for.

        Args:
            call: a call of one of the batch endpoints.

        Returns:
            the answer, a JSON object or a `ResultStream`.

        Raises:
            RefusedError: if the API would refuse it, or a fault does.
            BoxPageError, Cut: if a fault answers, or cuts, beforehand.
        """
        base_url = f"{call.request.scheme}://{call.request.host}"
        if call.endpoint == "batches_create":
            return (await self._create(call)).shown(base_url)
        if call.endpoint == "batches_list":
            page = page_of(
                self._batches.newest_first(call.caller.workspace),
                call.request.query,
                lambda batch: batch.id,
                lambda batch: batch.shown(base_url),
            )
            self._striker.strike(call, call.path)
            return page
        return self._one(call, base_url)

    def _one(self, call: ApiCall, base_url: str) -> Any:
        """Answer a call about one batch."""
        batch = self._batches.get(call.request.match_info["id"], call.caller.workspace)
        _check_state(batch, call.endpoint)
        call.object_id = batch.id
        since = batch.ended_at if call.endpoint == "batches_results" else batch.created_at
        age = None if since is None else (self._clock.now() - since).total_seconds()
        self._striker.strike(call, call.path, age=age)
        if call.endpoint == "batches_results":
            return ResultStream(batch.items, call.fault)
        if call.endpoint == "batches_delete":
            self._batches.delete(batch)
            return {"id": batch.id, "type": "message_batch_deleted"}
        if call.endpoint == "batches_cancel":
            self._batches.cancel(batch)
        return batch.shown(base_url)

    async def _create(self, call: ApiCall) -> Batch:
        requests = await read_requests(call.raw)
        if self._batches.queued + len(requests) > self._max_queued:
            message = "Number of queued batch requests has exceeded the limit"
            raise RefusedError(429, message, retry_after=QUEUE_RETRY_SECONDS)
        self._striker.strike(call, call.raw)
        batch = self._batches.create(requests, call.caller)
        call.object_id = batch.id
        return batch


def _check_state(batch: Batch, endpoint: str) -> None:
    """Refuse what a batch's state does not allow."""
    ended = batch.ended_at is not None
    if endpoint == "batches_results" and not ended:
        raise RefusedError(404, f"the batch is {batch.status} and has no results yet")
    if endpoint == "batches_delete" and not ended:
        raise RefusedError(400, f"the batch is {batch.status}; only an ended one can be deleted")
    if endpoint == "batches_cancel" and ended:
        raise RefusedError(400, "the batch has ended and cannot be canceled")
