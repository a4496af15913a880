"""Tool calls in the answers that are kept."""

from collections import Counter

import orjson
from sqlalchemy import select

from schemas.ledger import AttemptRow, ResponseRow
from schemas.outcome import AttemptState
from schemas.payload.traits import PayloadClass
from services.ledger.store import Ledger


def tool_calls(ledger: Ledger) -> tuple[int, Counter[str]]:
    """How many answers to requests with tools are kept, and how often each tool is called in them; streamed."""
    query = (
        select(ResponseRow.body)
        .join(AttemptRow, AttemptRow.attempt_id == ResponseRow.attempt_id)
        .where(AttemptRow.state == AttemptState.SUCCEEDED, AttemptRow.payload_class == PayloadClass.TOOLS)
    )
    answers = 0
    calls: Counter[str] = Counter()
    with ledger.read() as connection:
        for (body,) in connection.execution_options(yield_per=500).execute(query):
            answers += 1
            calls.update(_called(body))
    return answers, calls


def _called(body: str) -> list[str]:
    try:
        content = orjson.loads(body).get("content", [])
    except (orjson.JSONDecodeError, AttributeError):
        return []
    if not isinstance(content, list):
        return []
    blocks = [block for block in content if isinstance(block, dict)]
    return [str(block.get("name")) for block in blocks if block.get("type") == "tool_use"]
