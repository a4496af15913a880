"""The record of the faults that struck: one JSON line each, in a file next to the billing log.

A line is in the file before the fault can be noticed. `taken` is whether what was asked for was done (a message
answered, a batch made), `billed` whether that is paid for; a batch is billed by its items, once it has ended.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from simulator.plan import Fault
from simulator.plan.api_clock import ApiClock


class FaultLog:
    """An append-only file of the faults that struck, and their numbers by kind.

    Args:
        billing_log: the billing log; the file stands next to it and is made with its first line.
        clock: dates the lines.
    """

    def __init__(self, billing_log: Path, clock: ApiClock) -> None:
        self._clock = clock
        self._path = fault_log_path(billing_log)
        self.by_kind: Counter[str] = Counter()

    def write(self, fault: Fault, place: str, *, taken: bool, billed: bool, **ids: str | None) -> None:
        """Write one line.

        Args:
            fault: what struck.
            place: the endpoint, or "batch_items".
            taken: whether what was asked for was done.
            billed: whether that is paid for.
            ids: ids of what was struck, by name.
        """
        self.by_kind[fault.kind] += 1
        line = {
            "time": self._clock.now().isoformat(timespec="milliseconds"),
            "simulated": True,
            "endpoint": place,
            "kind": fault.kind,
            "status": fault.status,
            "shape": fault.shape,
            "taken": taken,
            "billed": billed,
            **ids,
        }
        shown = {name: value for name, value in line.items() if value is not None}
        # Faults are few: a file that is opened for each line leaves nothing behind to be closed.
        with self._path.open("ab", buffering=0) as file:
            file.write(orjson.dumps(shown) + b"\n")


def fault_log_path(billing_log: Path) -> Path:
    """The fault log that belongs to a billing log: `billed.faults.jsonl` next to `billed.jsonl`."""
    return billing_log.with_name(f"{billing_log.stem}.faults.jsonl")


def read_faults(billing_log: Path) -> list[dict[str, Any]]:
    """The lines of the fault log that belongs to a billing log, in the order in which they were written."""
    path = fault_log_path(billing_log)
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
