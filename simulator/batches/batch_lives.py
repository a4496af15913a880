"""The batches of a run and their lives: in progress, perhaps canceling, ended.

A batch ends by the clock, whether anyone asks for it or not. What its requests cost is on record before
anyone can see that it ended, all of it and once. Batches live in memory and end with the process: those
that have not ended by then are never billed.

Source: Anthropic docs, "Batch processing" (2026-10-08); SDK 2.12.0, `MessageBatch`.
"""

import asyncio
import contextlib
import itertools
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from simulator.batches.batch_items import End, Item, ItemJudge, billing_entry
from simulator.billing.billing_log import BillingLog
from simulator.checks.batch_frame import Requests
from simulator.faults.fault_log import FaultLog
from simulator.http.api_errors import RefusedError
from simulator.http.callers import Caller, Workspace
from simulator.http.replies import Ids
from simulator.plan import Plan
from simulator.plan.api_clock import ApiClock, rfc3339
from simulator.plan.chances import chance
from simulator.unhurried import unhurried

ENDS: tuple[End, ...] = ("succeeded", "errored", "canceled", "expired")


@dataclass(slots=True)
class Batch:
    """One batch.

    Attributes:
        id: its id.
        caller: who created it.
        total: number of its requests.
        created_at: when it was accepted.
        expires_at: when it expires.
        processing: seconds it would take to its end.
        stuck: whether nothing in it ever completes.
        due: when it is to end, on the monotonic clock (seconds).
        cancel_initiated_at: when it was canceled, None if it was not.
        ended_at: when it ended, None before.
        items: its requests, as far as they are judged; once it ended, in the order of the results.
        ends: number of requests by end; empty before it ended.
        hurry: set when `due` has moved.
    """

    id: str
    caller: Caller
    total: int
    created_at: datetime
    expires_at: datetime
    processing: float
    stuck: bool
    due: float
    cancel_initiated_at: datetime | None = None
    ended_at: datetime | None = None
    items: list[Item] = field(default_factory=list)
    ends: Counter[End] = field(default_factory=Counter)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def status(self) -> str:
        """Its `processing_status`."""
        if self.ended_at is not None:
            return "ended"
        return "in_progress" if self.cancel_initiated_at is None else "canceling"

    def shown(self, base_url: str) -> dict[str, Any]:
        """The batch as the API's JSON object.

        Args:
            base_url: where this server was reached; the results' address starts with it.
        """
        ended = self.ended_at is not None
        counts = {end: self.ends[end] for end in ENDS}
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": self.status,
            "request_counts": {"processing": 0 if ended else self.total, **counts},
            "created_at": _stamp(self.created_at),
            "expires_at": _stamp(self.expires_at),
            "ended_at": _stamp(self.ended_at),
            "cancel_initiated_at": _stamp(self.cancel_initiated_at),
            "archived_at": None,
            "results_url": f"{base_url}/v1/messages/batches/{self.id}/results" if ended else None,
        }


class Batches:
    """Every batch of this run.

    Args:
        plan: decides how long batches take and how their requests end.
        logs: where succeeded requests are billed, and where the faults that struck them are written.
        ids: gives each request its ids.
        clock: dates batches, bills, and the lives of what is cached.
    """

    def __init__(self, plan: Plan, logs: tuple[BillingLog, FaultLog], ids: Ids, clock: ApiClock) -> None:
        self._plan = plan
        self._clock = clock
        self._log, self._fault_log = logs
        self._ids = ids
        self._judge = ItemJudge(plan, clock)
        self._run = os.urandom(6).hex()
        self._batches: dict[str, Batch] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self.created = 0
        self.ends: Counter[End] = Counter()

    @property
    def queued(self) -> int:
        """Number of requests in batches that have not ended."""
        return sum(batch.total for batch in self._batches.values() if batch.ended_at is None)

    def newest_first(self, workspace: Workspace) -> list[Batch]:
        """Every batch of a workspace that is not deleted."""
        return [batch for batch in reversed(self._batches.values()) if batch.caller.workspace is workspace]

    def get(self, batch_id: str, workspace: Workspace) -> Batch:
        """A batch of a workspace by its id.

        Raises:
            RefusedError: 404 if there is no such batch.
        """
        batch = self._batches.get(batch_id)
        if batch is None or batch.caller.workspace is not workspace:
            raise RefusedError(404, "message_batch_id: there is no such batch")
        return batch

    def create(self, requests: Requests, caller: Caller) -> Batch:
        """Accept a batch and start its life.

        Args:
            requests: (custom_id, params) of each request; emptied as soon as they are judged.
            caller: whose key they came with.

        Returns:
            the batch, in progress.
        """
        number = next(self._numbers)
        seed, options = self._plan.seed, self._plan.batches
        wobble = options.jitter * (2 * chance(seed, "processing", number) - 1)
        processing = options.processing_seconds * (1 + wobble)
        stuck = chance(seed, "stuck", number) < options.expire_batches_probability
        now = self._clock.now()
        batch = Batch(
            id=f"msgbatch_sim_{self._run}{number:08d}",
            caller=caller,
            total=len(requests),
            created_at=now,
            expires_at=now + timedelta(seconds=options.lifetime),
            processing=processing,
            stuck=stuck,
            due=time.monotonic() + (options.lifetime if stuck else min(processing, options.lifetime)),
        )
        self._batches[batch.id] = batch
        self.created += 1
        life = asyncio.get_running_loop().create_task(self._live(batch, requests))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        return batch

    def cancel(self, batch: Batch) -> None:
        """Cancel a batch that has not ended; a second time changes nothing."""
        if batch.cancel_initiated_at is None:
            batch.cancel_initiated_at = self._clock.now()
            batch.due = min(batch.due, time.monotonic() + self._plan.batches.cancel_seconds)
            batch.hurry.set()

    def delete(self, batch: Batch) -> None:
        """Forget a batch and its results."""
        self._batches.pop(batch.id, None)

    async def _live(self, batch: Batch, requests: Requests) -> None:
        """The life of a batch: judge its requests, wait until it is due, end it."""
        async for request in unhurried(requests):
            batch.items.append(self._judge.judge(request, self._ids.next(), batch.caller.workspace))
        requests.clear()
        while (left := batch.due - time.monotonic()) > 0:
            batch.hurry.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(batch.hurry.wait(), left)
        await self._end(batch)

    async def _end(self, batch: Batch) -> None:
        """Settle and bill every request; only then does the batch show as ended."""
        # A cancellation that comes from here on is too late for every request.
        canceled = batch.cancel_initiated_at is not None
        lines: list[bytes] = []
        nano_usd = unbilled = 0
        at = self._clock.now()
        async for item in unhurried(batch.items):
            item.end = self._final(item, batch, canceled=canceled)
            entry = billing_entry(item, batch.id, batch.caller.payer, at)
            if entry is not None:
                lines.append(orjson.dumps(entry))
                nano_usd += entry["cost_nano_usd"]
                unbilled += not entry["billed"]
            if item.fault is not None:
                self._record_fault(item, batch, billed=entry is not None and entry["billed"])
        ends = Counter(item.end for item in batch.items)
        batch.items.sort(key=lambda item: item.place)
        self._log.write_all(lines, nano_usd, unbilled)
        self._publish(batch)
        batch.ends = ends
        batch.ended_at = self._clock.now()
        self.ends += ends

    def _publish(self, batch: Batch) -> None:
        """Make the cache entries of a batch that ends; their lives begin now."""
        at = self._clock.seconds()
        for item in batch.items:
            if item.writes and item.end == "succeeded":
                batch.caller.workspace.cache.publish(item.writes, at)

    def _record_fault(self, item: Item, batch: Batch, *, billed: bool) -> None:
        if item.fault is not None:
            self._fault_log.write(
                item.fault,
                "batch_items",
                taken=item.end == "succeeded",
                billed=billed,
                api_key_id=batch.caller.api_key_id,
                workspace_id=batch.caller.workspace.billed_as,
                batch_id=batch.id,
                custom_id=item.custom_id,
            )

    def _final(self, item: Item, batch: Batch, *, canceled: bool) -> End:
        """How a request ends, seeing what became of its batch."""
        options = self._plan.batches
        if canceled:
            completes = chance(self._plan.seed, "cancel", item.custom_id)
            return item.end if completes < options.cancel_completes_probability else "canceled"
        if batch.stuck or item.turn * batch.processing > options.lifetime:
            return "expired"
        return item.end


def _stamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return None if moment is None else rfc3339(moment)
