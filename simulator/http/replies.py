"""The bodies and headers of answers."""

import itertools
import os
from typing import Any

from simulator.answers.content import Blocks, content_of
from simulator.billing.billed_usage import BilledUsage
from simulator.billing.catalogue import Model

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


def message(message_id: str, model: Model, usage: BilledUsage, own: Blocks | None = None) -> dict[str, Any]:
    """A reply of the Messages API.

    Args:
        message_id: its id.
        model: the model it claims to come from.
        usage: what was used.
        own: the blocks of an answer that is not plain text, as `own_blocks` makes them.

    Returns:
        the message as a JSON object.
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
