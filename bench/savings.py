"""What each saving is worth: quotes of a job file under one policy after the other, on the simulator's counts.

    python -m bench.savings [--trace JOBS] [--rows N]

Makes a file of long conversations and one of jobs with 20 tools, and takes a job file made of a trace if one is given.
Prints one JSON line per file: expected USD with all jobs on the largest model, routed by weight, in batches, with
conversations pruned to 8,000 input tokens, with the tools left out that a job never needs, in batches with caching at few
and at many hits, and with answers shared; and each as a share of the first. Nothing is sent: every figure is a quote,
with the output assumed. What caching saves in runs that are sent: bench/cached_runs.py.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.three_routes import THREE_ROUTES
from simulator.process import running_simulator

WEIGHBRIDGE = Path(sys.executable).parent / "weighbridge"
POLICY = (
    """
name = "savings"
mode = "batches"
"""
    + THREE_ROUTES
    + """[request]
max_input_tokens = {most}
max_cost_usd = "10"
[limits]
messages_per_minute = 60_000
count_per_minute = 60_000
[prune]
on_over_budget = "{means}"
[run]
share_answers = {shares}
"""
)
BUDGET = 8_000
WORDS = [
    "the",
    "order",
    "was",
    "sent",
    "on",
    "monday",
    "and",
    "came",
    "back",
    "with",
    "a",
    "note",
    "about",
    "its",
    "weight",
    "and",
    "the",
    "truck",
    "it",
    "left",
    "on",
]
NEEDED = 5


def text(chance: random.Random, words: int) -> str:
    """So many words, some at random."""
    return " ".join(chance.choice(WORDS) for _ in range(words))


def conversations(chance: random.Random, rows: int) -> list[dict]:
    """Support chats of 3 to 60 turns, a few hundred tokens a turn."""
    found = []
    for number in range(rows):
        messages = []
        for _ in range(chance.randint(3, 60)):
            messages.append({"role": "user", "content": text(chance, chance.randint(40, 250))})
            messages.append({"role": "assistant", "content": text(chance, chance.randint(40, 250))})
        messages.append({"role": "user", "content": "What is to be done now?"})
        found.append({"job_id": f"chat-{number}", "messages": json.dumps(messages), "max_tokens": 400})
    return found


def tools(number: int) -> list[dict]:
    """The first of 20 tools, this many."""
    described = random.Random(7)
    found = []
    for one in range(20):
        properties = {f"field_{n}": {"type": "string", "description": text(described, 12)} for n in range(6)}
        schema = {"type": "object", "properties": properties}
        found.append({"name": f"tool_{one}", "description": text(described, 60), "input_schema": schema})
    return found[:number]


def with_tools(chance: random.Random, rows: int, number_of_tools: int) -> list[dict]:
    """Short questions, each with this many tools."""
    schemas = json.dumps(tools(number_of_tools))
    return [
        {"job_id": f"question-{number}", "prompt": text(chance, 60), "tools": schemas, "max_tokens": 400}
        for number in range(rows)
    ]


def repeated(chance: random.Random, rows: int) -> list[dict]:
    """Short questions, of which three in ten were asked before."""
    questions = [text(chance, 60) for _ in range(rows)]
    asked = [
        chance.choice(questions[:number]) if chance.random() < 0.3 and number else questions[number]
        for number in range(rows)
    ]
    return [
        {"job_id": f"asked-{number}", "prompt": question, "max_tokens": 400}
        for number, question in enumerate(asked)
    ]


def quoted(
    folder: Path, jobs: Path, base_url: str, *, prune: bool = False, shares: bool = True
) -> dict[str, Decimal]:
    """The expected USD of a file by policy, by a quote; and that of the first with caching, at few and many hits."""
    policy = folder / f"prune-{prune}-{shares}.toml"
    means, most = ("prune", BUDGET) if prune else ("review", 200_000)
    policy.write_text(POLICY.format(means=means, most=most, shares=str(shares).lower()))
    env = {**os.environ, "ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": "simulated"}
    env["PREFECT_HOME"] = str(folder / "prefect")
    env.pop("PREFECT_API_URL", None)
    where = ["--ledger", f"sqlite:///{folder}/ledger.db", "--results", folder / "results"]
    command = [WEIGHBRIDGE, "quote", jobs, "--policy", policy, "--json", *where]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=False)
    report = json.loads(done.stdout)
    if report["jobs"]["priced"] + report["jobs"]["shared"] != report["jobs"]["read"]:
        sys.exit(f"{jobs.name}: not every job was priced: {report['jobs']} {report['reasons']}")
    found = {one["name"]: Decimal(one["expected_usd"]) for one in report["policies"]}
    first = report["policies"][0]
    return found | {end: Decimal(first[end]) for end in ("cached_low_usd", "cached_high_usd")}


def saved(folder: Path, name: str, jobs: Path, base_url: str, fewer: Path | None = None) -> dict:
    """The line of one file; only conversations can be pruned. `fewer`: the same jobs with only the tools they need."""
    plain = quoted(folder, jobs, base_url, shares=False)
    batches, largest, messages = list(plain.values())[:3]
    shared = next(iter(quoted(folder, jobs, base_url).values()))
    pruned = batches
    if name == "conversations":
        pruned = next(iter(quoted(folder, jobs, base_url, prune=True).values()))
    dropped = pruned
    if fewer is not None:
        dropped = next(iter(quoted(folder, fewer, base_url).values()))
    costs = {
        "all_on_largest": largest,
        "routed": messages,
        "in_batches": batches,
        "pruned": pruned,
        "tools_dropped": dropped,
        "cached_few_hits": plain["cached_low_usd"],
        "cached_many_hits": plain["cached_high_usd"],
        "shared_answers": shared,
    }
    shares = {what: f"{cost / largest:.3f}" for what, cost in costs.items()}
    usd = {what: f"{cost:f}" for what, cost in costs.items()}
    return {"file": name, "rows": pq.read_metadata(jobs).num_rows, "usd": usd, "share": shares}


def main() -> None:
    """Quote the files, and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trace", type=Path, help="a job file made of a trace")
    parser.add_argument("--rows", type=int, default=300, help="rows of the files that are made here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="savings-") as name:
        folder = Path(name)
        files = {
            "conversations": conversations(random.Random(1), arguments.rows),
            "20 tools": with_tools(random.Random(2), arguments.rows, 20),
            "needed tools": with_tools(random.Random(2), arguments.rows, NEEDED),
            "repeats": repeated(random.Random(4), arguments.rows),
        }
        paths = {what: folder / f"{what.replace(' ', '-')}.parquet" for what in files}
        for what, rows in files.items():
            pq.write_table(pa.Table.from_pylist(rows), paths[what])
        with running_simulator() as simulator:
            url = simulator.base_url
            if arguments.trace:
                print(json.dumps(saved(folder, "trace", arguments.trace.absolute(), url)), flush=True)
            print(json.dumps(saved(folder, "conversations", paths["conversations"], url)), flush=True)
            line = saved(folder, "20 tools", paths["20 tools"], url, paths["needed tools"])
            print(json.dumps(line), flush=True)
            print(json.dumps(saved(folder, "repeats", paths["repeats"], url)), flush=True)
            if simulator.billed():
                sys.exit("something was sent")


if __name__ == "__main__":
    main()
