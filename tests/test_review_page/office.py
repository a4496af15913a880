"""A ledger with one review of everything that the page can show."""

import json

from sqlalchemy import insert, update

from schemas.outcome import Reason
from schemas.review_tables import ReviewEventRow, ReviewPayloadRow, ReviewRow
from tests.test_review_page.page import NOW, park

REASONS = (
    Reason.OVER_INPUT_LIMIT,
    Reason.OVER_COST_LIMIT,
    Reason.NO_ROUTE,
    Reason.UNCOUNTABLE,
    Reason.IMPOSSIBLE_COUNT,
    Reason.UNPRICED,
    Reason.UNKNOWN_OUTCOME,
    Reason.OVER_CEILING,
    Reason.CUT_OFF,
)
#: after those of the reasons: a review of each
STATUSES = ("claimed", "approved", "rejected", "edited", "sent", "expired")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ADVICE = (
    "raise max_input_tokens to 45,036 and max_cost_usd to 2.13\n"
    "lower max_tokens to 8,192: worst case 0.499 USD\n"
    "keep the last 1 of 2 turns: about 40 tokens (an estimate by its share of the bytes, recounted when edited)\n"
    "drop the 1 tool(s): about 90 tokens (an estimate by their share of the bytes, recounted when edited)\n"
    "claude-haiku-5-5 would cost at most 0.11 USD, within the limit: pin the job to it"
)
RICH = {
    "max_tokens": 9_000,
    "system": "Answer in one sentence.",
    "tools": [
        {
            "name": "look",
            "description": "Looks something up.",
            "input_schema": {"type": "object", "a": "b" * 300},
        }
    ],
    "tool_choice": {"type": "auto"},
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is in the picture? " + "unbreakable" * 60},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "w " * 900},
                },
            ],
        },
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Let me see.", "signature": "s"}]},
        {"role": "user", "content": "x" * 21_000},
    ],
}


def open_office(ledger):
    """Park a review of every reason and every status, with a rich payload, advice and a history."""
    count = len(REASONS) + len(STATUSES)
    park(ledger, count)
    rich = json.dumps(RICH)
    with ledger.write() as connection:
        connection.execute(update(ReviewPayloadRow).values(payload=rich))
        connection.execute(
            update(ReviewRow).values(would_pass=ADVICE, detail="the worst case is 2.13 USD " * 6)
        )
        for number, reason in enumerate(REASONS, 1):
            _change(connection, number, reason=reason, limit_tokens=20_000, max_tokens=9_000)
        for number, status in enumerate(STATUSES, len(REASONS) + 1):
            by = {"claimed_by": "Ben", "claimed_at": NOW}
            if status != "claimed":
                by = {"decided_by": "Ben", "decided_at": NOW, "expires_at": NOW}
                by |= {"ceiling_nano_usd": 2 * 10**9, "ceiling_tokens": 500, "note": "because"}
            if status == "edited":
                by["edited_fingerprint"] = "f" * 64
            _change(connection, number, status=status, **by)
            event = {"review_id": number, "at": NOW, "to_status": status, "by": "Ben", "note": "because"}
            connection.execute(insert(ReviewEventRow), event | {"ceiling_nano_usd": 5, "ceiling_tokens": 9})
        _change(connection, REASONS.index(Reason.UNPRICED) + 1, worst_case_nano_usd=None, model=None)
    return {reason: number for number, reason in enumerate((*REASONS, *STATUSES), 1)}


def _change(connection, number, **values):
    connection.execute(update(ReviewRow).where(ReviewRow.id == number).values(**values))
