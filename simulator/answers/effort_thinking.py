"""How much a simulated answer thinks at an effort, or with a thinking budget. Simulated: no model was measured.

Thinking grows with effort on ordinary requests. On hard ones (with tools, or of many input tokens) it does not grow
at every step: by the model's line one level thinks less than the level below it, as independent measurements of real
models found. So a comparison of levels has something to find, and nobody may interpolate between them.

The same request at another effort draws from the same numbers: what differs is the effort.
"""

import hashlib
import json
from typing import Any

from simulator.billing.catalogue import Model

#: input tokens from which a request counts as hard; one with tools always does
HARD_INPUT_TOKENS = 1_500

#: thinking in percent of the text of the answer, by effort, on ordinary requests
ORDINARY_PERCENT = {"low": 25, "medium": 80, "high": 200, "xhigh": 400, "max": 800}

#: the same on hard requests, by the model's line; a line that is not here grows at every step
HARD_PERCENT = {
    "opus": {"low": 150, "medium": 900, "high": 500, "xhigh": 700, "max": 1_600},
    "sonnet": {"low": 200, "medium": 600, "high": 1_200, "xhigh": 800, "max": 1_800},
}
HARD_PERCENT_ELSEWHERE = {"low": 100, "medium": 300, "high": 700, "xhigh": 1_100, "max": 2_000}

#: (budget in tokens up to which it holds, percent of the budget that a hard request thinks)
HARD_BUDGET_PERCENT = ((4_000, 95), (12_000, 70))
HARD_LARGE_BUDGET_PERCENT = 30
#: thinking in percent of the text on ordinary requests with a budget, if the budget takes it
ORDINARY_BUDGET_PERCENT = 300


def thinking_at(body: dict[str, Any], model: Model, text_tokens: int, input_tokens: int) -> int | None:
    """The thinking of a request that thinks, by its effort, else by its budget.

    Args:
        body: the checked request.
        model: the model it runs on.
        text_tokens: the length of the answer without its thinking.
        input_tokens: the input billed for the request.

    Returns:
        tokens; None: the request names neither an effort nor a budget.
    """
    hard = bool(body.get("tools")) or input_tokens >= HARD_INPUT_TOKENS
    effort = (body.get("output_config") or {}).get("effort")
    if effort is not None:
        shape = HARD_PERCENT.get(model.line, HARD_PERCENT_ELSEWHERE) if hard else ORDINARY_PERCENT
        return max(1, text_tokens * shape[effort] // 100)
    budget = (body.get("thinking") or {}).get("budget_tokens")
    if budget is None:
        return None
    if not hard:
        return min(int(budget), max(1, text_tokens * ORDINARY_BUDGET_PERCENT // 100))
    percents = (percent for most, percent in HARD_BUDGET_PERCENT if budget <= most)
    return int(budget) * next(percents, HARD_LARGE_BUDGET_PERCENT) // 100


def drawn_alike(body: dict[str, Any]) -> int:
    """A number that follows from what a request asks, not from its effort, its budget or its model."""
    asked = {key: body[key] for key in ("messages", "system", "tools") if key in body}
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)
