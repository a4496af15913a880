"""The endpoints Messages and count_tokens: what is checked, what is billed, what is answered."""

import hashlib
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from simulator.answers.content import own_blocks, with_text
from simulator.answers.usage_meter import payload_hash, usage_of
from simulator.billing.billed_usage import BilledUsage
from simulator.billing.billing_log import BillingLog, entry_of
from simulator.billing.cache_prefix import cut_prefixes
from simulator.billing.catalogue import Model
from simulator.billing.counting import count_tokens
from simulator.checks.whole_request import Endpoint, check_body, check_length, parse
from simulator.faults.fault_striker import FaultStriker
from simulator.faults.fault_strikes import without_usage
from simulator.http import replies
from simulator.http.api_call import ApiCall
from simulator.http.api_errors import RefusedError
from simulator.http.event_stream import EventStream
from simulator.http.model_rates import ModelRate, ModelRates
from simulator.plan import Fault, Plan
from simulator.plan.api_clock import ApiClock


class MessageDesk:
    """Answers Messages and count_tokens.

    Args:
        plan: settles which messages end as refusals.
        striker: lets faults strike.
        log: where messages are billed.
        clock: dates the bill, the lives of what is cached, and the retirement of models.
    """

    def __init__(self, plan: Plan, striker: FaultStriker, log: BillingLog, clock: ApiClock) -> None:
        self._plan = plan
        self._clock = clock
        self._rates = ModelRates(plan.limits.models, self._clock)
        self._striker = striker
        self._log = log

    def count(self, call: ApiCall) -> dict[str, Any]:
        """Answer a count.

        Raises:
            RefusedError: if the API would refuse it, or a fault does.
            BoxPageError, Cut: if a fault answers, or cuts, beforehand.
        """
        _, _, tokens = _read(call.raw, "count_tokens", self._clock.now())
        self._striker.strike(call, call.raw)
        if call.fault is not None and call.fault.kind == "wrong_count":
            tokens = _wrong(tokens, call.fault)
        return {"input_tokens": tokens}

    def message(self, call: ApiCall) -> dict[str, Any] | EventStream:
        """Answer a message, which is on the bill when this returns, whether it streams or not.

        Raises:
            RefusedError: if the API would refuse it, or a fault does.
            BoxPageError, Cut: if a fault answers, or cuts, beforehand.
        """
        body, model, tokens = _read(call.raw, "messages", self._clock.now())
        # Whether it streams changes nothing of what it costs, and so nothing of its hash.
        streams = body.pop("stream", False)
        digest = _digest(body)
        check_length(tokens, model)
        call.caller.workspace.files.check_references(body)
        cache, started = call.caller.workspace.cache, self._clock.seconds()
        use = cache.look_up(cut_prefixes(body, model), started)
        rate = self._rates.of(model.id)
        if rate is not None:
            _admit(rate, call, tokens - use.part.read)
        self._striker.strike(call, call.raw)
        cache.refresh(use, started)
        if use.writes:
            call.on_begin = partial(cache.publish, use.writes, started)
        planned = self._plan.messages.refusal(self._plan.seed, digest)
        usage = usage_of(body, model, use.part, digest, count=tokens, planned=planned)
        own = own_blocks(body, usage, call.ids[1])
        if call.fault is not None and call.fault.kind == "wrong_usage":
            own = with_text(usage, own)
            usage = usage.times(call.fault.factor or 0)
        self._bill(call, usage, model, digest)
        if rate is not None:
            rate.settle(usage)
            call.headers.update(rate.headers())
        message = replies.message(call.ids[1], model, usage, own)
        if not streams:
            return message
        if call.fault is not None and call.fault.kind == "usage_missing":
            message = without_usage(message)
        return EventStream(message, call.fault, call.begin)

    def _bill(self, call: ApiCall, usage: BilledUsage, model: Model, digest: str) -> None:
        """Put a message on record, before anything else can happen: the answer, a fault, or the end of this process."""
        digests = hashlib.sha256(call.raw).hexdigest(), digest
        kind = None if call.fault is None else call.fault.kind
        entry = entry_of(
            call.ids, digests, (usage, model), payer=call.caller.payer, fault=kind, at=self._clock.now()
        )
        self._log.write(entry)
        call.billed, call.object_id = usage.billed, call.ids[1]


def _admit(rate: ModelRate, call: ApiCall, uncached: int) -> None:
    """Take a place under the limit of a model, and state the limit in the headers if there is none."""
    try:
        rate.admit(uncached)
    except RefusedError:
        call.headers.update(rate.headers())
        raise


def _read(raw: bytes, endpoint: Endpoint, now: datetime) -> tuple[dict[str, Any], Model, int]:
    """A checked body, its model and its input tokens."""
    try:
        body = parse(raw)
        model = check_body(body, endpoint, now)
        return body, model, count_tokens(body, model)
    except (RecursionError, orjson.JSONEncodeError):
        raise RefusedError(400, "The request body is nested too deeply") from None


def _digest(body: dict[str, Any]) -> str:
    try:
        return payload_hash(body)
    except RecursionError:
        raise RefusedError(400, "The request body is nested too deeply") from None


def _wrong(tokens: int, fault: Fault) -> int:
    """The count that a fault answers in place of the true one."""
    if fault.tokens is not None:
        return fault.tokens
    return int(tokens * (fault.factor or 0))
