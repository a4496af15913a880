"""What the witness and the ledger say at the end of a round."""

import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.chaos.arena import Arena
from bench.chaos.conditions import MAX_TOKENS, MODELS
from tests.processes import BIN

NANO = 1_000_000_000
#: what must be 0
FORBIDDEN = ("lost", "paid_twice", "holds_leaked", "overspend", "thrown_away", "verify_failures")


@dataclass
class Findings:
    """What rounds came to; see the package for the words. Overspend in nano-USD."""

    kills: int = 0
    scenarios: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    lost: int = 0
    paid_twice: int = 0
    holds_leaked: int = 0
    overspend: int = 0
    thrown_away: int = 0
    unknown: int = 0
    deferred: int = 0
    verify_failures: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Add another round's."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong and not any(getattr(self, name) for name in FORBIDDEN)

    def sums(self) -> str:
        """What is not 0 and must be."""
        return ", ".join(f"{name} {value}" for name in FORBIDDEN if (value := getattr(self, name)))


def judged(arena: Arena, report: dict[str, Any] | None) -> Findings:
    """The findings of a round that has come to rest.

    Args:
        arena: the round.
        report: of its last run; None when no run ended well.
    """
    attempts = arena.yard.rows("SELECT * FROM attempts")
    bills = [line for line in arena.simulator.billed() if line["billed"] and line["cost_nano_usd"]]
    jobs = _jobs_by_payload(arena.rows)
    paid = Counter(jobs.get(bill["payload_sha256"], bill["payload_sha256"]) for bill in bills)
    days = len({attempt["budget_day"] for attempt in attempts}) or 1
    found = Findings(
        kills=arena.kills,
        scenarios=Counter([arena.drawn.scenario]),
        jobs=len(arena.rows),
        lost=_lost(arena, report),
        paid_twice=sum(count - 1 for count in paid.values()),
        holds_leaked=_holds_leaked(arena, attempts),
        overspend=max(0, sum(bill["cost_nano_usd"] for bill in bills) - int(arena.budget * NANO) * days),
        thrown_away=len(_in_no_book(bills, attempts, jobs)),
        unknown=sum(attempt["state"] == "unknown" for attempt in attempts),
        deferred=report["jobs"]["deferred"] if report else 0,
        verify_failures=_verify_failures(arena),
        wrong=arena.wrong,
    )
    if not found.is_well:
        drawn = arena.drawn
        told = "; ".join(filter(None, [found.sums(), *arena.wrong]))
        found.wrong = [
            f"seed {drawn.seed} {drawn.scenario} ({drawn.mode}, {drawn.engine}, budget {arena.budget}): {told}"
        ]
    return found


def _jobs_by_payload(rows: list[dict[str, Any]]) -> dict[str, str]:
    """The job of each payload that may be sent, by the digest that the witness writes."""
    found = {}
    for row in rows:
        for model in MODELS:
            body = {
                "model": model,
                "max_tokens": MAX_TOKENS,
                "messages": [{"role": "user", "content": row["prompt"]}],
            }
            text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            found[hashlib.sha256(text.encode()).hexdigest()] = row["job_id"]
    return found


def _lost(arena: Arena, report: dict[str, Any] | None) -> int:
    """Rows without an outcome in the last run or in any other, and answers that are not kept or not published."""
    if report is None:
        return len(arena.rows)
    one = arena.yard.one
    run_id = report["run_id"]
    ended = one("SELECT count(*) FROM jobs WHERE run_id = ? AND outcome IS NOT NULL", run_id)
    succeeded = one("SELECT count(*) FROM jobs WHERE run_id = ? AND outcome = 'succeeded'", run_id)
    open_elsewhere = one("SELECT count(*) FROM jobs WHERE outcome IS NULL AND run_id <> ?", run_id)
    unanswered = one(
        "SELECT count(*) FROM attempts a LEFT JOIN responses r ON r.attempt_id = a.attempt_id "
        "WHERE a.state = 'succeeded' AND r.body IS NULL"
    )
    published = _published(Path(report["places"]["results"]))
    return len(arena.rows) - ended + open_elsewhere + unanswered + abs(succeeded - len(published))


def _published(folder: Path) -> set[str]:
    parts = folder.glob("results-*.parquet")
    return {name for part in parts for name in pq.read_table(part, columns=["job_id"])["job_id"].to_pylist()}


def _holds_leaked(arena: Arena, attempts: list[dict[str, Any]]) -> int:
    """Attempts that are open or hold money after their end, and windows that differ from the sums of theirs."""
    leaked = sum(
        attempt["state"] == "open" or (attempt["held_nano_usd"] > 0 and attempt["state"] != "unknown")
        for attempt in attempts
    )
    for window in arena.yard.rows("SELECT * FROM budgets WHERE group_name = ''"):
        own = [
            attempt
            for attempt in attempts
            if window["period"]
            in (attempt["run_id"], attempt["budget_day"], attempt["budget_day"][:7], attempt["deadline"])
        ]
        held = sum(attempt["held_nano_usd"] for attempt in own)
        settled = sum(attempt["actual_nano_usd"] or 0 for attempt in own)
        leaked += (window["held_nano_usd"], window["settled_nano_usd"]) != (held, settled)
    return leaked


def _in_no_book(
    bills: Iterable[dict[str, Any]], attempts: list[dict[str, Any]], jobs: dict[str, str]
) -> list[dict[str, Any]]:
    """The bills that no attempt has as its cost and that no attempt of unknown outcome holds money for."""
    by_id = {attempt["attempt_id"]: attempt for attempt in attempts}
    by_request = {attempt["request_id"]: attempt for attempt in attempts if attempt["request_id"]}
    used, rest, missing = set(), [], []
    for bill in bills:
        attempt = by_id.get(bill.get("custom_id", "")) or by_request.get(bill["request_id"])
        if attempt and _covers(attempt, bill) and attempt["attempt_id"] not in used:
            used.add(attempt["attempt_id"])
        else:
            rest.append(bill)
    for bill in rest:
        job = jobs.get(bill["payload_sha256"])
        free = [
            attempt
            for attempt in attempts
            if attempt["job_id"] == job and attempt["attempt_id"] not in used and _covers(attempt, bill)
        ]
        if free:
            used.add(free[0]["attempt_id"])
        else:
            missing.append(bill)
    return missing


def _covers(attempt: dict[str, Any], bill: dict[str, Any]) -> bool:
    """Whether an attempt has a bill's cost, or holds at least that for it."""
    if attempt["state"] == "unknown":
        return bool(attempt["held_nano_usd"] >= bill["cost_nano_usd"])
    return bool(attempt["actual_nano_usd"] == bill["cost_nano_usd"])


def _verify_failures(arena: Arena) -> int:
    """Whether `weighbridge verify` objects to the ledger; 0 while there is no such command."""
    if not _has_verify():
        return 0
    verified = arena.start("verify")
    arena.must_end(verified)
    if verified.code:
        arena.wrong.append(f"verify ended with {verified.code}: {verified.last_words}")
    return int(bool(verified.code))


@cache
def _has_verify() -> bool:
    asked = subprocess.run([BIN / "weighbridge", "verify", "--help"], capture_output=True, check=False)
    return asked.returncode == 0
