"""One request of a batch: what it would cost, how it ends, its line in the results and in the log.

Source: Anthropic docs, "Batch processing" (2026-10-08), "Migration to API version 2026-10-21".
"""

import sys
import traceback
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from simulator.answers.content import Blocks, own_blocks
from simulator.answers.usage_meter import payload_hash, usage_of
from simulator.billing.billed_usage import BilledUsage
from simulator.billing.billing_log import entry_of
from simulator.billing.catalogue import Model
from simulator.billing.counting import count_tokens
from simulator.billing.prompt_cache import PromptCache
from simulator.checks.whole_request import check_body, check_length
from simulator.http import replies
from simulator.http.api_errors import RefusedError, invalid
from simulator.plan import Plan
from simulator.plan.chances import chance

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


def judge(request: tuple[str, dict[str, Any]], ids: tuple[str, str], plan: Plan, cache: PromptCache) -> Item:
    """Check one request as Messages would, and settles how it ends if nothing happens to its batch.

    Args:
        request: (custom_id, params).
        ids: (request id, message id) of its own.
        plan: decides planned ends, by the seed and the custom_id alone.
        cache: the prefixes seen before; this request's is added if it is to succeed.

    Returns:
        the item, whose end is "succeeded", "errored" or "expired".
    """
    custom_id, params = request
    seed, options = plan.seed, plan.batches
    item = Item(custom_id, ids, chance(seed, "place", custom_id), chance(seed, "turn", custom_id))
    draw = chance(seed, "end", custom_id)
    try:
        model, digest, tokens = _check(params)
        if draw < options.errored_probability:
            raise RefusedError(options.errored_status, "planned error of the simulator")  # noqa: TRY301
        if draw < options.errored_probability + options.expired_probability:
            item.end = "expired"
            return item
        planned = options.refusal(seed, custom_id)
        usage = replace(usage_of(params, model, cache, digest, count=tokens, planned=planned), tier="batch")
        item.digest, item.billed = digest, (usage, model)
        item.own = own_blocks(params, usage, ids[1])
    except RefusedError as error:
        item.end, item.error = "errored", error
    except Exception:  # noqa: BLE001 - a bug of the simulator must still be an end
        traceback.print_exc(file=sys.stderr)
        item.end, item.error = "errored", RefusedError(500, "internal error of the simulator")
    return item


def _check(params: dict[str, Any]) -> tuple[Model, str, int]:
    """The model, the payload hash and the input tokens of a request that Messages would take and a batch may hold."""
    if params.get("stream") is True:
        raise invalid("stream", "streaming is not permitted in a batch")
    if params.get("speed") is not None:
        raise invalid("speed", "not permitted in a batch")
    try:
        model = check_body(params, "messages")
        tokens = count_tokens(params, model)
        digest = payload_hash(params)
    except (RecursionError, orjson.JSONEncodeError):
        raise RefusedError(400, "The request is nested too deeply") from None
    check_length(tokens, model)
    return model, digest, tokens


def result_line(item: Item) -> bytes:
    """The item's line in the results, with its line end."""
    result: dict[str, Any] = {"type": item.end}
    if item.end == "succeeded" and item.billed is not None:
        usage, model = item.billed
        result["message"] = replies.message(item.ids[1], model, usage, item.own)
    elif item.end == "errored" and item.error is not None:
        result["error"] = item.error.body(item.ids[0])
    return orjson.dumps({"custom_id": item.custom_id, "result": result}) + b"\n"


def billing_entry(item: Item, batch_id: str, api_key_id: str | None) -> dict[str, Any] | None:
    """The item's line in the billing log, in which a refusal may cost nothing; None unless it succeeded."""
    if item.end != "succeeded" or item.billed is None:
        return None
    entry = entry_of(item.ids, (item.digest,) * 2, item.billed, api_key_id=api_key_id, fault=None)
    return {**entry, "endpoint": "batches", "batch_id": batch_id, "custom_id": item.custom_id}
