"""How much of an account's rate one process and two together use, and how many of their calls are refused for it.

    python -m bench.limiter [--seconds N] [--scenario NAME ...] [--ledger URL] [--json]

Each scenario starts a simulator that enforces its limits, and one process or two with a gateway each over one ledger,
with more callers than the rate lets go. Prints a table, or JSON: the share of the allowance that was used, by the
simulator's own log of what it billed, and the share of the calls that it answered with 429. Everything is simulated.

What is used is looked at from the second second on, so that starting and ending do not count; for tokens from the
first call on over whole minutes, since a minute's tokens may be used at once.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from schemas.failures import CallFailed
from schemas.policy_sections import RateLimits
from services.gateway import Gateway, open_gateway
from services.ledger import open_ledger
from services.limiter import CallWeight
from simulator.process import running_simulator

MODEL = "claude-haiku-5-5"
CALLERS = 30
#: from when all processes are ready until they call
LEAD_SECONDS = 0.5
SETTLED_SECONDS = 2.0
MINUTE = 60.0
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Scenario:
    """What the server enforces, and what the policy says of it.

    Attributes:
        server: limits of the model, as the simulator's plan names them.
        policy: limits as the policy names them; left out, they follow the account.
        words: how long a prompt is.
        output: output tokens of an answer.
    """

    name: str
    server: dict[str, int]
    policy: dict[str, int] = field(default_factory=dict)
    words: int = 5
    output: int = 5

    @property
    def is_by_tokens(self) -> bool:
        return "requests_per_minute" not in self.server

    def plan(self) -> str:
        limits = "\n".join(f"{name} = {number}" for name, number in self.server.items())
        return f'[latency]\nmessage_seconds = 0.1\n[[limits.models]]\nmodels = ["{MODEL}"]\n{limits}\n'

    def body(self) -> dict:
        text = " ".join(["weigh"] * self.words) + f" [[output_tokens={self.output}]]"
        return {
            "model": MODEL,
            "max_tokens": self.output,
            "messages": [{"role": "user", "content": text}],
        }


SCENARIOS = {
    one.name: one
    for one in (
        Scenario("requests", {"requests_per_minute": 1_200}, {"messages_per_minute": 1_200}),
        Scenario("requests, of the account", {"requests_per_minute": 1_200}),
        Scenario(
            "requests, server below policy", {"requests_per_minute": 1_200}, {"messages_per_minute": 6_000}
        ),
        Scenario(
            "input tokens", {"input_tokens_per_minute": 100_000}, {"input_tokens_per_minute": 100_000}, 150
        ),
        Scenario(
            "input tokens, server below policy",
            {"input_tokens_per_minute": 100_000},
            {"input_tokens_per_minute": 1_000_000},
            150,
        ),
    )
}


@dataclass(frozen=True)
class Measured:
    """What came out.

    Attributes:
        share_used: of the allowance, 1 is all of it.
        share_refused: of the calls that reached the server, those that it answered with 429.
        by_process: answers that each process got.
    """

    scenario: str
    processes: int
    seconds: float
    answered: int
    refused: int
    share_used: float
    share_refused: float
    by_process: list[int]


def measured(scenario: Scenario, processes: int, seconds: float, ledger_url: str | None = None) -> Measured:
    """One scenario, with this many processes that call for this many seconds."""
    with tempfile.TemporaryDirectory(prefix="limiter-") as name:
        folder = Path(name)
        plan = folder / "plan.toml"
        plan.write_text(scenario.plan())
        ledger_url = ledger_url or f"sqlite:///{folder}/ledger.db"
        open_ledger(ledger_url).close()
        with running_simulator(log=folder / "billed.jsonl", plan=plan) as simulator:
            order = {"scenario": scenario.name, "base_url": simulator.base_url, "ledger": ledger_url}
            begin, answers = called(order, processes, seconds)
            statuses = simulator.stats()["requests"]["messages"]
            billed = simulator.billed()
    answered, refused = statuses.get("200", 0), statuses.get("429", 0)
    return Measured(
        scenario=scenario.name,
        processes=processes,
        seconds=seconds,
        answered=answered,
        refused=refused,
        share_used=round(share_used(scenario, billed, begin, seconds), 4),
        share_refused=round(refused / max(1, answered + refused), 4),
        by_process=answers,
    )


def called(order: dict, processes: int, seconds: float) -> tuple[float, list[int]]:
    """Have processes call at the same time, once all are ready: when they began, and how many answers each got."""
    command = [sys.executable, "-m", "bench.limiter", "--calls", json.dumps(order)]
    env = {**os.environ, "ANTHROPIC_API_KEY": "simulated"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, cwd=ROOT, env=env, **pipes) for _ in range(processes)]
    for child in children:
        if not child.stdout.readline():
            raise RuntimeError("a process of the measurement could not begin")
    begin = time.time() + LEAD_SECONDS
    for child in children:
        child.stdin.write(json.dumps([begin, seconds]) + "\n")
        child.stdin.flush()
    return begin, [int(child.communicate()[0]) for child in children]


def share_used(scenario: Scenario, billed: list[dict], begin: float, seconds: float) -> float:
    """The part of the server's allowance that what it billed takes, within the time that counts."""
    calls = [(datetime.fromisoformat(line["time"]).timestamp(), line["usage"]) for line in billed]
    if scenario.is_by_tokens:
        first = min(at for at, _ in calls)
        minutes = max(1, int((begin + seconds - first) // MINUTE))
        tokens = sum(usage["input_tokens"] for at, usage in calls if at < first + minutes * MINUTE)
        return tokens / (minutes * scenario.server["input_tokens_per_minute"])
    start, end = begin + SETTLED_SECONDS, begin + seconds - SETTLED_SECONDS
    number = sum(start <= at < end for at, _ in calls)
    return number / (scenario.server["requests_per_minute"] * (end - start) / MINUTE)


async def call_until(gateway: Gateway, scenario: Scenario, seconds: float) -> int:
    """Have callers send as fast as they may; how many answers they got."""
    body = scenario.body()
    counted = await gateway.count({"model": MODEL, "messages": body["messages"]})
    weight = CallWeight(counted, scenario.output)
    answers = 0

    async def leaving() -> None:
        """Nothing is on record here."""

    async def caller() -> None:
        nonlocal answers
        while True:
            try:
                await gateway.send(body, leaving=leaving, weight=weight)
            except CallFailed:
                continue
            answers += 1

    callers = [asyncio.create_task(caller()) for _ in range(CALLERS)]
    await asyncio.sleep(seconds)
    for task in callers:
        task.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    return answers


async def calls(order: dict) -> None:
    """What a process of a measurement does."""
    scenario = SCENARIOS[order["scenario"]]
    ledger = open_ledger(order["ledger"])
    try:
        async with open_gateway(RateLimits(**scenario.policy), order["base_url"], ledger) as gateway:
            print("ready", flush=True)
            begin, seconds = json.loads(await asyncio.to_thread(sys.stdin.readline))
            await asyncio.sleep(max(0.0, begin - time.time()))
            print(await call_until(gateway, scenario, begin + seconds - time.time()))
    finally:
        ledger.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=130.0)
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    parser.add_argument("--ledger")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.calls:
        asyncio.run(calls(json.loads(options.calls)))
        return
    found = []
    for name in options.scenario or SCENARIOS:
        for processes in (1, 2):
            one = measured(SCENARIOS[name], processes, options.seconds, options.ledger)
            found.append(one)
            if not options.json:
                print(
                    f"{name:34} {processes} process(es)  used {one.share_used:7.2%}  429s {one.share_refused:6.2%}  "
                    f"{one.by_process}",
                    flush=True,
                )
    if options.json:
        print(json.dumps([asdict(one) for one in found]))


if __name__ == "__main__":
    main()
