"""Advice: what would let a parked job be sent, in sentences with figures. Only what is true; estimates say so."""

from collections.abc import Callable, Iterator
from decimal import ROUND_CEILING, Decimal

import orjson

from rules.lesson import LessonKey
from rules.prices import Unpriced
from rules.raw_answer import unknown_advice
from rules.scale import Scale
from schemas.money import to_nano, to_usd
from schemas.outcome import Reason
from schemas.payload.edit import turn_starts, uses_tools
from schemas.payload.payload import Payload
from schemas.review import CUT_OFF_ADVICE, ParkedJob

#: max_tokens are proposed in whole thousands of this
_ROUND = 1_024


def advise(parked: ParkedJob, scale: Scale) -> str | None:
    """What would let a parked job pass, one sentence a line; None when nothing is known that would."""
    if parked.reason == Reason.UNKNOWN_OUTCOME:
        return unknown_advice(has_raw=parked.has_raw)
    if parked.reason == Reason.CUT_OFF:
        return "\n".join([*_longer_answers(parked, scale), CUT_OFF_ADVICE])
    payload = Payload.restored(parked.payload)
    try:
        said = [sentence for rule in _RULES for sentence in rule(parked, payload, scale)]
    except Unpriced as error:
        return f"ask for what has a price: {error}"
    return "\n".join(said) or None


def _longer_answers(parked: ParkedJob, scale: Scale) -> Iterator[str]:
    """The max_tokens that would have sufficed for such answers, as far as they are above the job's own."""
    own, model = parked.job.max_tokens, parked.job.model
    if model is None:
        yield "how much max_tokens would suffice is not known"
        return
    learned = scale.lesson_of(LessonKey.of(model, parked.job.traits))
    known = {percent: learned.suffices(percent) for percent in (95, 99)}
    above = {percent: tokens for percent, tokens in known.items() if tokens is not None and tokens > own}
    for percent, tokens in above.items():
        yield f"edit it with max_tokens {tokens:,}: {percent} % of {learned.n:,} such answers fitted into it"
    if not above:
        yield f"how much more than max_tokens {own:,} would suffice is not known, by {learned.n:,} observed answers"


def _raise_limits(parked: ParkedJob, _: Payload, scale: Scale) -> Iterator[str]:
    if parked.job.input_tokens is None or parked.worst_case is None:
        return
    raised = []
    policy = scale.policy.request
    if parked.job.input_tokens > policy.max_input_tokens:
        raised.append(f"max_input_tokens to {parked.job.input_tokens:,}")
    if (
        parked.job.own_max_input_tokens is not None
        and parked.job.input_tokens > parked.job.own_max_input_tokens
    ):
        raised.append(f"the job's own max_input_tokens to {parked.job.input_tokens:,}")
    if parked.worst_case > to_nano(policy.max_cost_usd):
        raised.append(f"max_cost_usd to {_enough(parked.worst_case)}")
    if parked.job.own_max_cost is not None and parked.worst_case > parked.job.own_max_cost:
        raised.append(f"the job's own max_cost_usd to {_enough(parked.worst_case)}")
    if raised:
        yield f"raise {' and '.join(raised)}"


def _lower_max_tokens(parked: ParkedJob, payload: Payload, scale: Scale) -> Iterator[str]:
    model, tokens = parked.job.model, parked.job.input_tokens
    limits = scale.limits(parked.job)
    if model is None or model not in scale.models.callable or tokens is None or limits.cost is None:
        return
    if limits.tokens is not None and tokens > limits.tokens:
        return
    limit = limits.cost
    one = scale.worst_case(parked.job, model, tokens, 1)
    if one >= limit or scale.passes(parked.job, model, tokens, parked.job.max_tokens):
        return
    # the price grows evenly with max_tokens
    per_token = (scale.worst_case(parked.job, model, tokens, 1 + _ROUND) - one) / Decimal(_ROUND)
    fitting = min(parked.job.max_tokens - 1, 1 + int((limit - one) / per_token)) if per_token else 0
    fitting = fitting // _ROUND * _ROUND if fitting >= _ROUND else fitting
    if fitting <= (payload.traits.thinking_budget or 0) or not scale.passes(
        parked.job, model, tokens, fitting
    ):
        return
    cost = scale.worst_case(parked.job, model, tokens, fitting)
    yield f"lower max_tokens to {fitting:,}: worst case {_enough(cost, places=3)} USD"


def _fewer_turns(parked: ParkedJob, payload: Payload, scale: Scale) -> Iterator[str]:
    messages = payload.request["messages"]
    starts = turn_starts(messages)
    if len(starts) > 1 and (fits := _by_share(parked, payload, scale)):
        weights = [len(orjson.dumps(message)) + 1 for message in messages]
        dropped = 0
        for gone, (start, end) in enumerate(zip([0, *starts[1:]], starts[1:], strict=False), 1):
            dropped += sum(weights[start:end])
            if tokens := fits(dropped):
                left = len(starts) - gone
                yield (
                    f"keep the last {left} of {len(starts)} turns: about {tokens:,} tokens "
                    "(an estimate by its share of the bytes, recounted when edited)"
                )
                return


def _without_tools(parked: ParkedJob, payload: Payload, scale: Scale) -> Iterator[str]:
    tools = payload.request.get("tools")
    if tools and not uses_tools(payload.request["messages"]) and (fits := _by_share(parked, payload, scale)):
        dropped = len(orjson.dumps(tools)) + len(orjson.dumps(payload.request.get("tool_choice", "")))
        if tokens := fits(dropped):
            yield (
                f"drop the {len(tools)} tool(s): about {tokens:,} tokens "
                "(an estimate by their share of the bytes, recounted when edited)"
            )


def _by_share(parked: ParkedJob, payload: Payload, scale: Scale) -> Callable[[int], int | None] | None:
    """A scale for the payload without some of its bytes: about how many tokens, or None when it would not pass.

    No scale at all for a job without a count, or one that is within its limits by its figures.
    """
    model, heavy = parked.job.model, parked.job.input_tokens
    if (
        model is None
        or model not in scale.models.callable
        or heavy is None
        or parked.reason == Reason.UNCOUNTABLE
    ):
        return None
    if scale.passes(parked.job, model, heavy, parked.job.max_tokens):
        return None
    whole = len(payload.text)

    def fits(dropped: int) -> int | None:
        tokens = -(-heavy * max(0, whole - dropped) // whole)
        return tokens if scale.passes(parked.job, model, tokens, parked.job.max_tokens) else None

    return fits


def _another_model(parked: ParkedJob, _: Payload, scale: Scale) -> Iterator[str]:
    for model, tokens in parked.counted.items():
        facts = scale.models.callable.get(model)
        if model == parked.job.model or facts is None:
            continue
        answers = facts.max_tokens is None or parked.job.max_tokens <= facts.max_tokens
        reads = tokens <= scale.models.reads(model, parked.job.traits)
        if answers and reads and scale.passes(parked.job, model, tokens, parked.job.max_tokens):
            cost = scale.worst_case(parked.job, model, tokens, parked.job.max_tokens)
            yield f"{model} would cost at most {_enough(cost)} USD, within the limit: pin the job to it"


def _other_output(parked: ParkedJob, _: Payload, scale: Scale) -> Iterator[str]:
    if parked.reason != Reason.NO_ROUTE:
        return
    routed = [
        scale.models.callable[route.model]
        for route in scale.policy.routes
        if route.model in scale.models.callable
    ]
    takes = [facts.max_tokens for facts in routed if facts.max_tokens is not None]
    if len(takes) == len(routed) and takes and parked.job.max_tokens > max(takes):
        yield f"lower max_tokens to {max(takes):,}, the most that a routed model takes"
    largest = scale.policy.routes[-1]
    tokens = parked.counted.get(largest.model)
    if largest.model not in scale.models.callable or not tokens:
        return
    if largest.up_to_input_tokens < tokens <= scale.models.reads(largest.model, parked.job.traits):
        yield f"raise up_to_input_tokens of the route {largest.name} to {tokens:,}"


def _countable(parked: ParkedJob, payload: Payload, _: Scale) -> Iterator[str]:
    if parked.reason != Reason.UNCOUNTABLE:
        return
    for part in payload.traits.uncounted.parts:
        if part.startswith("server tool"):
            yield f"remove the {part}"
        else:
            yield f"send the {part.split(' ', 1)[0]} as base64: it is a {part}"
    yield 'set [uncountable] on = "bound" in the policy: it is then held at a safe upper bound, where one is known'


def _another_scale(parked: ParkedJob, _: Payload, __: Scale) -> Iterator[str]:
    if parked.reason == Reason.IMPOSSIBLE_COUNT:
        yield "use an endpoint whose count_tokens counts: the next run counts the job again"


def _new_ceiling(parked: ParkedJob, _: Payload, __: Scale) -> Iterator[str]:
    if parked.reason == Reason.OVER_CEILING and parked.worst_case is not None:
        yield f"approve it again, up to {_enough(parked.worst_case)} USD and {parked.job.input_tokens or 0:,} input tokens"


_RULES = (
    _new_ceiling,
    _raise_limits,
    _lower_max_tokens,
    _fewer_turns,
    _without_tools,
    _another_model,
    _other_output,
    _countable,
    _another_scale,
)


def _enough(nano: int, *, places: int = 2) -> str:
    """An amount of USD that is at least this, in as few places as leave a figure."""
    usd = to_usd(nano)
    for digits in range(places, 9):
        rounded = usd.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING)
        if usd == 0 or rounded <= usd * Decimal("1.1"):
            return f"{rounded:f}"
    return f"{usd:f}"
