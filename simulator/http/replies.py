"""The bodies and headers of answers."""

import itertools
import os
import time
from datetime import UTC, datetime
from typing import Any

from simulator.answers.content import Blocks, content_of
from simulator.billing.billed_usage import Usage
from simulator.billing.catalogue import Model
from simulator.http.faults import Bucket

TOKENS_PER_MINUTE = 5_000_000
"""Stated in the token limit headers and not enforced."""

ORGANIZATION = "org_sim_weighbridge"


class Ids:
    """Ids that differ between requests and between runs of the simulator."""

    def __init__(self) -> None:
        self._run = os.urandom(6).hex()
        self._number = itertools.count(1)

    def next(self) -> tuple[str, str]:
        """(request id, message id) of the next request."""
        tail = f"{self._run}{next(self._number):08d}"
        return f"req_sim_{tail}", f"msg_sim_{tail}"


class LimitHeaders:
    """The rate-limit headers; the text of a second is made once."""

    def __init__(self) -> None:
        self._second = 0
        self._reset = ""

    def of(self, bucket: Bucket, *, tokens: bool) -> dict[str, str]:
        """Headers of one answer.

        Args:
            bucket: The endpoint's limit.
            tokens: Whether to state token limits too.

        Returns:
            `anthropic-ratelimit-*` headers; the reset is a second ahead (RFC 3339).
        """
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._reset = datetime.fromtimestamp(second + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        figures = {"requests": (bucket.per_minute, bucket.remaining)}
        if tokens:
            full = (TOKENS_PER_MINUTE, TOKENS_PER_MINUTE)
            figures |= {"tokens": full, "input-tokens": full, "output-tokens": full}
        headers: dict[str, str] = {}
        for name, (limit, remaining) in figures.items():
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(remaining)
            headers[f"anthropic-ratelimit-{name}-reset"] = self._reset
        return headers


def message(message_id: str, model: Model, usage: Usage, own: Blocks | None = None) -> dict[str, Any]:
    """A reply of the Messages API.

    Args:
        message_id: Its id.
        model: The model it claims to come from.
        usage: What was used.
        own: The blocks of an answer that is not plain text, as `own_blocks` makes them.

    Returns:
        The message as a JSON object.
    """
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model.id,
        "content": content_of(usage, own),
        "stop_reason": usage.stop_reason,
        "stop_sequence": None,
        "stop_details": None if usage.refusal is None else usage.refusal.details(),
        "container": None,
        "usage": usage.as_reply(),
    }
