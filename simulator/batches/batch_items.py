"""One request of a batch: what it would cost, how it ends, its line in the results and in the log.

The requests of one batch run side by side and do not read what another of them writes to the prompt cache; they read
what was there when they were judged, and what they write is there once their batch has ended. Of those that could read,
the plan's `batch_hit_rate` do; the others are billed as if nothing had been there.

Source: Anthropic docs, "Batch processing" (2026-10-08), "Migration to API version 2026-10-21"; on the prompt cache live
measurements: in Bike4Mind/bike4mind#2741 138 of 138 requests of five cold batches read nothing, and all of a batch
after a batch of one request did; anthropics/skills#1475 and #1601 say the same. Not confirmed, and so assumed: that
lives begin at the end of a batch; that a batch reads what Messages wrote (measured: 16 % of the requests, and none).
"""

import sys
import traceback
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import orjson

from simulator.answers.content import Blocks, own_blocks, with_text
from simulator.answers.usage_meter import payload_hash, usage_of
from simulator.billing.billed_usage import BilledUsage
from simulator.billing.billing_log import entry_of
from simulator.billing.cache_prefix import CachePrefixes, cut_prefixes
from simulator.billing.catalogue import Model
from simulator.billing.counting import count_tokens
from simulator.billing.prompt_cache import CacheUse, CacheWrite, PromptCache, use_of
from simulator.checks.whole_request import check_body, check_length
from simulator.faults.fault_picker import FaultPicker
from simulator.faults.fault_strikes import planned_error, without_usage
from simulator.faults.odd_shapes import odd_line
from simulator.http import replies
from simulator.http.api_errors import RefusedError, invalid
from simulator.http.callers import Workspace
from simulator.plan import Fault, Plan
from simulator.plan.api_clock import ApiClock
from simulator.plan.chances import chance
from simulator.plan.planned_faults import FAULTS_BEFORE

End = Literal["succeeded", "errored", "canceled", "expired"]


@dataclass(slots=True)
class Item:
    """One request of a batch; its `params` are not kept.

    Attributes:
        custom_id: the caller's name for it.
        ids: (request id, message id).
        place: where its line stands in the results: lines are sorted by this number (0 to 1).
        turn: the part of the batch's processing time after which it is done (0 to 1).
        end: how it ends; until the batch ends, how it would.
        digest: SHA-256 of its params' canonical JSON; empty if it is not billed.
        billed: usage and model if it succeeds.
        own: the blocks of its answer if that is not plain text.
        error: the API's error if it errs.
        fault: what strikes it, if anything does.
        writes: the cache entries that there are once its batch has ended, if it succeeds.
    """

    custom_id: str
    ids: tuple[str, str]
    place: float
    turn: float
    end: End = "succeeded"
    digest: str = ""
    billed: tuple[BilledUsage, Model] | None = None
    own: Blocks | None = None
    error: RefusedError | None = None
    fault: Fault | None = None
    writes: tuple[CacheWrite, ...] = ()


class ItemJudge:
    """Judges the requests of batches, one by one.

    Args:
        plan: settles planned ends, by the seed and the custom_id alone.
        clock: says which cache entries still live, and which models are retired.
    """

    def __init__(self, plan: Plan, clock: ApiClock) -> None:
        self._plan = plan
        self._clock = clock
        self._faults = FaultPicker(plan)

    def judge(self, request: tuple[str, dict[str, Any]], ids: tuple[str, str], workspace: Workspace) -> Item:
        """Check one request as Messages would, and settle how it ends if nothing happens to its batch.

        Args:
            request: (custom_id, params).
            ids: (request id, message id) for it.
            workspace: its cache may be read, its files may be referred to.

        Returns:
            the item, whose end is "succeeded", "errored" or "expired".
        """
        custom_id, params = request
        seed = self._plan.seed
        item = Item(custom_id, ids, chance(seed, "place", custom_id), chance(seed, "turn", custom_id))
        try:
            model, digest, tokens = _check(params, self._clock.now())
            workspace.files.check_references(params)
            self._strike(item, params)
            item.end = self._planned_end(custom_id)
            if item.end == "succeeded":
                item.digest = digest
                self._answer(item, (params, model, tokens), workspace.cache)
        except RefusedError as error:
            item.end, item.error = "errored", error
        except Exception:  # noqa: BLE001 - a bug of the simulator must still be an end
            traceback.print_exc(file=sys.stderr)
            item.end, item.error = "errored", RefusedError(500, "internal error of the simulator")
        return item

    def _strike(self, item: Item, params: dict[str, Any]) -> None:
        """Draw the fault of an item; raise if it is to end as errored by it."""
        if not self._faults.has("batch_items"):
            return
        item.fault = self._faults.pick("batch_items", orjson.dumps([item.custom_id, params]))
        if item.fault is None:
            return
        if item.fault.kind in FAULTS_BEFORE:
            raise planned_error(item.fault)
        if item.fault.shape == "error_text":
            raise RefusedError(500, "planned error of the simulator")

    def _planned_end(self, custom_id: str) -> End:
        options = self._plan.batches
        draw = chance(self._plan.seed, "end", custom_id)
        if draw < options.errored_probability:
            raise RefusedError(options.errored_status, "planned error of the simulator")
        expired = draw < options.errored_probability + options.expired_probability
        return "expired" if expired else "succeeded"

    def _answer(self, item: Item, asked: tuple[dict[str, Any], Model, int], cache: PromptCache) -> None:
        """What an item that succeeds is billed, and the blocks of its answer."""
        params, model, tokens = asked
        planned = self._plan.batches.refusal(self._plan.seed, item.custom_id)
        use = self._cache_use(item.custom_id, cut_prefixes(params, model), cache)
        item.writes = use.writes
        usage = usage_of(params, model, use.part, item.digest, count=tokens, planned=planned)
        item.own = own_blocks(params, usage, item.ids[1])
        if item.fault is not None and item.fault.kind == "wrong_usage":
            item.own = with_text(usage, item.own)
            usage = usage.times(item.fault.factor or 0)
        item.billed = (replace(usage, tier="batch"), model)

    def _cache_use(self, custom_id: str, prefixes: CachePrefixes | None, cache: PromptCache) -> CacheUse:
        """What an item reads and writes; a hit may be missed by chance, and is then written like any miss."""
        at = self._clock.seconds()
        use = cache.look_up(prefixes, at)
        rate = self._plan.cache.batch_hit_rate
        if prefixes is None or not use.reads:
            return use
        if rate is not None and chance(self._plan.seed, "cache", custom_id) >= rate:
            return use_of(prefixes, None)
        cache.refresh(use, at)
        return use


def _check(params: dict[str, Any], now: datetime) -> tuple[Model, str, int]:
    """The model, the payload hash and the input tokens of a request that Messages would take and a batch may hold."""
    if params.get("stream") is True:
        raise invalid("stream", "streaming is not permitted in a batch")
    if params.get("speed") is not None:
        raise invalid("speed", "not permitted in a batch")
    try:
        model = check_body(params, "messages", now)
        tokens = count_tokens(params, model)
        digest = payload_hash(params)
    except (RecursionError, orjson.JSONEncodeError):
        raise RefusedError(400, "The request is nested too deeply") from None
    check_length(tokens, model)
    return model, digest, tokens


def result_line(item: Item) -> bytes:
    """The item's line in the results, with its line end, spoiled by the item's fault if that does so."""
    result: dict[str, Any] = {"type": item.end}
    if item.end == "succeeded" and item.billed is not None:
        usage, model = item.billed
        result["message"] = replies.message(item.ids[1], model, usage, item.own)
        if item.fault is not None and item.fault.kind == "usage_missing":
            result["message"] = without_usage(result["message"])
    elif item.end == "errored" and item.error is not None:
        result["error"] = item.error.body(item.ids[0])
    line = {"custom_id": item.custom_id, "result": result}
    if item.fault is not None and item.fault.shape is not None:
        return odd_line(line, item.fault.shape) + b"\n"
    return orjson.dumps(line) + b"\n"


def billing_entry(
    item: Item, batch_id: str, payer: tuple[str, str | None], at: datetime
) -> dict[str, Any] | None:
    """The item's line in the billing log at a time, in which a refusal may cost nothing; None unless it succeeded."""
    if item.end != "succeeded" or item.billed is None:
        return None
    kind = None if item.fault is None else item.fault.kind
    entry = entry_of(item.ids, (item.digest,) * 2, item.billed, payer=payer, fault=kind, at=at)
    return {**entry, "endpoint": "batches", "batch_id": batch_id, "custom_id": item.custom_id}
