"""How much an accepted message uses, and why it stops.

All of it follows from the request alone (and, with `cache_control`, from what the cache holds of it), so the
same requests in the same order cost the same.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from simulator.answers.effort_thinking import drawn_alike, thinking_at
from simulator.answers.refusals import AnsweredRefusal, wished_refusal
from simulator.answers.server_tools import ServerWork, server_work
from simulator.answers.tool_requests import forced_tool
from simulator.answers.wishes import number, wishes_of
from simulator.billing.billed_usage import BilledUsage, ServerUse
from simulator.billing.cache_prefix import CachedPart
from simulator.billing.catalogue import Model
from simulator.billing.counting import count_tokens

DEVIATION_TOKENS = 8
#: billed input differs from the count by at most the larger of these two, in either direction. The real
#: difference is called "a small amount" and has no published bound (Anthropic docs, "Token counting").
DEVIATION_PERCENT = 1

OUTPUT_MIN_TOKENS = 20
#: range of the output when the request does not ask for a number
OUTPUT_MAX_TOKENS = 250

#: largest part of the output that is thinking when the request does not ask for a number
THINKING_MAX_PERCENT = 60


def payload_hash(body: dict[str, Any]) -> str:
    """SHA-256 (hex) of a body's canonical JSON: sorted keys, compact, UTF-8 without ASCII escapes."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def billed_input(count: int, digest: str) -> int:
    """The input tokens billed for a request.

    Args:
        count: what count_tokens answers for it.
        digest: the request's `payload_hash`, which alone decides the difference.

    Returns:
        tokens within `DEVIATION_TOKENS` or `DEVIATION_PERCENT` of the count, at least 1.
    """
    bound = max(DEVIATION_TOKENS, count * DEVIATION_PERCENT // 100)
    return max(1, count + int(digest[:16], 16) % (2 * bound + 1) - bound)


def usage_of(
    body: dict[str, Any],
    model: Model,
    cached: CachedPart,
    digest: str,
    *,
    count: int | None = None,
    planned: AnsweredRefusal | None = None,
) -> BilledUsage:
    """The usage of an accepted request.

    Args:
        body: the checked request.
        model: the model it runs on.
        cached: the part of its input that the cache is billed for, by the count.
        digest: the request's `payload_hash`.
        count: what count_tokens answers for it, if that is known already.
        planned: the refusal it is to end in unless it asks for one itself.

    Returns:
        its tokens; of a refusal before any output those of the input.
    """
    wishes = wishes_of(body)
    refusal = wished_refusal(wishes) or planned
    first = billed_input(count_tokens(body, model) if count is None else count, digest)
    part = cached.within(first)
    server = server_work(body, wishes, digest, first, model.max_input_tokens) if body.get("tools") else None
    thinks = _thinks(body, model, server)
    if refusal is not None and refusal.before_output:
        output, thinking, stop_reason = 0, 0, "refusal"
        if server is not None:
            server = ServerWork(ServerUse(), 0, first, paused=False)
    else:
        context = first if server is None else server.context
        room = max(1, model.max_input_tokens - context)
        output, thinking, stop_reason = _output(
            body, wishes, _draw(body, model, digest, first, thinks=thinks), room
        )
        if refusal is not None:
            stop_reason = "refusal"
        elif server is not None and server.paused and stop_reason == "end_turn":
            stop_reason = "pause_turn"
    read, uncached = _input(first, part, server)
    return BilledUsage(
        input_tokens=uncached,
        output_tokens=output,
        write_5m=part.write_5m,
        write_1h=part.write_1h,
        read=read,
        geo=body.get("inference_geo") or "global",
        speed="fast" if body.get("speed") == "fast" and model.fast != 1 else "standard",
        stop_reason=stop_reason,
        thinking=thinking if thinks else None,
        server=None if server is None else server.use,
        refusal=refusal,
    )


def _input(first: int, part: CachedPart, server: ServerWork | None) -> tuple[int, int]:
    """(read, uncached) input: later sampling calls read from the cache what the first has put there.

    That the API also writes the results of server tools to the five-minute cache is left out. Source: Anthropic docs,
    "Tool use with prompt caching" (2026-09).
    """
    calls, later = (0, 0) if server is None else (server.use.calls, server.later_input)
    again = part.tokens * calls
    return part.read + again, first - part.tokens + later - again


def _thinks(body: dict[str, Any], model: Model, server: ServerWork | None) -> bool:
    """Whether a request may spend output on thinking."""
    kind = (body.get("thinking") or {}).get("type")
    if kind == "between_tools":
        # There is something between tools only once one has been used.
        if server is not None and server.use.calls:
            return True
        content = body["messages"][-1]["content"]
        return not isinstance(content, str) and any(block["type"] == "tool_result" for block in content)
    return model.thinks if kind is None else kind != "disabled"


@dataclass(frozen=True, slots=True)
class _Draw:
    """What the output of a request is made of where it wishes for nothing.

    Attributes:
        thinks: whether the request may think.
        text: tokens of the answer.
        thinking: tokens of thinking on top, by effort or budget; None: it names neither, and a share of all is.
        percent: that share.
    """

    thinks: bool
    text: int
    thinking: int | None
    percent: int


def _draw(body: dict[str, Any], model: Model, digest: str, input_tokens: int, *, thinks: bool) -> _Draw:
    span = OUTPUT_MAX_TOKENS - OUTPUT_MIN_TOKENS + 1
    drawn = int(digest[16:32], 16)
    text, thinking = OUTPUT_MIN_TOKENS + drawn % span, None
    if thinks:
        alike = OUTPUT_MIN_TOKENS + drawn_alike(body) % span
        thinking = thinking_at(body, model, alike, input_tokens)
        text = text if thinking is None else alike
    return _Draw(thinks, text, thinking, drawn // span % (THINKING_MAX_PERCENT + 1))


def _output(body: dict[str, Any], wishes: dict[str, str], draw: _Draw, room: int) -> tuple[int, int, str]:
    """(output, the thinking in it, stop reason): as wished or as drawn, then cut by the limits."""
    wanted = number(wishes, "output_tokens")
    thinking = number(wishes, "thinking_tokens") if draw.thinks else 0
    if wanted is None:
        if thinking is None:
            thinking = draw.thinking
        wanted = draw.text + (thinking or 0)
    wanted = max(1, wanted)
    if thinking is None:
        thinking = wanted * draw.percent // 100
    limit = body["max_tokens"]
    output, stop_reason = wanted, "end_turn" if forced_tool(body) is None else "tool_use"
    if wanted > room and limit > room:
        output, stop_reason = room, "model_context_window_exceeded"
    elif wanted > limit:
        output, stop_reason = limit, "max_tokens"
    # Thinking comes first, so that a cut takes from the text; a tool that must be asked for leaves room for it.
    most = output if forced_tool(body) is None else output - 1
    return output, min(thinking, most), stop_reason
