"""The record of what was really paid: one JSON line for every message accepted.

A line is in the file before the first byte of its answer leaves, and those of a batch before anyone can see
that it ended, so the file is complete at any moment and whatever is killed. It holds no text of a payload
and of a key only an id made from its hash. A refusal by the model that is not paid for has a line with `"billed": false` and no cost. Counts
and requests that the API refuses cost nothing and are not in it.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from simulator.billing.billed_usage import BilledUsage, cost_nano_usd, usd
from simulator.billing.catalogue import Model


class BillingLog:
    """An append-only file of accepted messages, and the totals of those that are paid for.

    Args:
        path: the file; it and its folder are created, existing lines are kept.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # Unbuffered: a line has left this process when `write` returns.
        self._file = path.open("ab", buffering=0)
        self.billed = 0
        self.unbilled = 0
        self.nano_usd = 0

    def write(self, entry: dict[str, Any]) -> None:
        """Write one line and add it to the totals.

        Args:
            entry: the fields of the line, as `entry_of` makes them.
        """
        self.write_all((orjson.dumps(entry),), entry["cost_nano_usd"], unbilled=int(not entry["billed"]))

    def write_all(self, lines: Sequence[bytes], nano_usd: int, unbilled: int) -> None:
        """Write many lines at once and add them to the totals.

        Args:
            lines: entries as JSON, without line ends.
            nano_usd: the sum of their costs.
            unbilled: number of those that are not paid for.
        """
        rest = memoryview(b"".join(line + b"\n" for line in lines))
        while rest:
            # One unbuffered write may take a part only.
            rest = rest[self._file.write(rest) or 0 :]
        self.billed += len(lines) - unbilled
        self.unbilled += unbilled
        self.nano_usd += nano_usd

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def entry_of(
    ids: tuple[str, str],
    digests: tuple[str, str],
    billed: tuple[BilledUsage, Model],
    *,
    payer: tuple[str | None, str | None],
    fault: str | None,
    at: datetime,
) -> dict[str, Any]:
    """The fields of one line.

    Args:
        ids: (request id, message id).
        digests: SHA-256 of the exact bytes of the request body (for an item of a batch, whose bytes are a
            part of a larger body, the same as the second), SHA-256 of the body's canonical JSON.
        billed: the usage and the model it ran on.
        payer: (id of the key that the request came with, id of its workspace; None for the default one).
        at: when it was billed, by the API's clock.
        fault: kind of the fault that strikes the answer, None if none does.

    Returns:
        the line as a JSON object; `cost_nano_usd` in nano-USD, `cost_usd` the same in USD.
    """
    usage, model = billed
    cost = cost_nano_usd(usage, model)
    return {
        "time": at.isoformat(timespec="milliseconds"),
        "simulated": True,
        "request_id": ids[0],
        "message_id": ids[1],
        "endpoint": "messages",
        "model": model.id,
        "stop_reason": usage.stop_reason,
        "refusal_category": None if usage.refusal is None else usage.refusal.category,
        "billed": usage.billed,
        "usage": {name: value for name, value in usage.as_reply().items() if value is not None},
        "cost_nano_usd": cost,
        "cost_usd": usd(cost),
        "body_sha256": digests[0],
        "payload_sha256": digests[1],
        "api_key_id": payer[0],
        "workspace_id": payer[1],
        "fault": fault,
    }


def read_billed(path: str | Path) -> list[dict[str, Any]]:
    """The lines of a billing log, in the order they were written.

    Args:
        path: the file; one that is not there yet counts as empty.

    Returns:
        one dictionary per accepted message; `cost_nano_usd` is 0 where `billed` is false. A line that is still being
        written is left out.
    """
    path = Path(path)
    if not path.exists():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.split("\n") if line]
