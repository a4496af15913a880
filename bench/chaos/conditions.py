"""What a round is played under: its jobs, its policy, and the simulator's plan."""

import random
from decimal import Decimal
from typing import Any

#: too little for the jobs of any round, and enough for those of every one
LITTLE, AMPLE = Decimal("0.004"), Decimal(5)
MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5")
MAX_TOKENS = 256

POLICY = """
name = "chaos"
mode = "{mode}"
[[routes]]
name = "small"
model = "claude-haiku-5-5"
up_to_input_tokens = 400
[[routes]]
name = "large"
model = "claude-sonnet-5-5"
up_to_input_tokens = 200_000
[day]
budget_usd = "{budget}"
[limits]
max_in_flight = {in_flight}
[batch]
max_requests = 12
poll_seconds = 0.3
absent_after_seconds = 3
"""

#: added for runs whose answers are due
DUE = """
deadline_lead_minutes = 0
deadline_budget_usd = "{budget}"
"""

PLAN = """
seed = {seed}
clock_shift_seconds = {clock_shift}
[latency]
message_seconds = {message_seconds}
count_seconds = 0.005
jitter = 0.9
[batches]
processing_seconds = {processing_seconds}
errored_probability = 0.03
expired_probability = 0.03
[workspaces]
"sk-night" = "wrkspc_night"
"sk-day" = "wrkspc_day"
"""

#: what the API does in any week: endpoint, kind, options
USUAL_FAULTS = [
    ("messages", "status", "status = 529\nprobability = 0.05"),
    ("messages", "status", "status = 429\nretry_after = 1\nprobability = 0.02"),
    ("messages", "cut_before", "probability = 0.02"),
    ("messages", "cut_after", "probability = 0.02"),
    ("batches_create", "cut_after", "probability = 0.25"),
    ("batches_create", "cut_before", "probability = 0.1"),
    ("batches_results", "cut_results", "probability = 0.3"),
    ("batches_retrieve", "status", "status = 500\nprobability = 0.1"),
]

#: the pages of middle boxes in place of answers, mostly after the request was taken
PROXY_FAULTS = [
    (endpoint, kind, f"status = {status}\nprobability = {probability}")
    for status in (502, 524, 520)
    for endpoint, kind, probability in (
        ("messages", "page_after", 0.06),
        ("messages", "page_before", 0.02),
        ("batches_create", "page_after", 0.2),
        ("batches_retrieve", "page_after", 0.1),
        ("batches_results", "page_after", 0.15),
        ("batches_list", "page_after", 0.1),
    )
]


def plan_text(seed: int, faults: list[tuple[str, str, str]], **figures: float) -> str:
    """The simulator's plan as TOML.

    Args:
        seed: decides every probability.
        faults: endpoint, kind and options of each, asked before the usual ones.
        figures: message_seconds, processing_seconds, clock_shift.
    """
    listed = [
        f'[[faults]]\nendpoint = "{endpoint}"\nkind = "{kind}"\n{options}\n'
        for endpoint, kind, options in [*faults, *USUAL_FAULTS]
    ]
    return PLAN.format(seed=seed, **figures) + "".join(listed)


def drawn_jobs(rng: random.Random, number: int) -> list[dict[str, Any]]:
    """Jobs whose payloads are all different; one in six is middling heavy."""
    return [
        {
            "job_id": f"job-{row}",
            "prompt": f"{rng.random()} weigh this "
            + "again " * (600 if row % 6 == 0 else 20)
            + f"[[output_tokens={rng.randint(5, 200)}]]",
            "max_tokens": MAX_TOKENS,
            "priority": row % 3,
        }
        for row in range(number)
    ]
