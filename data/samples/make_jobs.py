"""Makes data/samples/jobs.parquet: a small night of jobs, of every kind that the pipeline treats differently; and
data/samples/first-jobs.parquet: what `weighbridge init` puts down, as little as a job file can be.

    python data/samples/make_jobs.py

The text is made here, and each ends in a directive that only the simulator reads: [[output_tokens=N]].
"""

import json
import random
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = pa.schema(
    {
        "job_id": pa.string(),
        "system": pa.string(),
        "messages": pa.string(),
        "tools": pa.string(),
        "params": pa.string(),
        "max_tokens": pa.int64(),
        "max_cost_usd": pa.decimal128(12, 6),
        "model": pa.string(),
        "group": pa.string(),
        "priority": pa.int64(),
    }
)
SYSTEM = "You answer questions about deliveries. Be brief, and name the order when you know it."
WORDS = [
    "the",
    "pallet",
    "from",
    "dock",
    "four",
    "was",
    "weighed",
    "twice",
    "and",
    "the",
    "second",
    "ticket",
    "shows",
    "less",
    "than",
    "the",
    "first",
    "so",
    "check",
    "it",
]
GROUPS = ("support", "billing", "search", "research")
GET_ORDER = {
    "name": "get_order",
    "description": "Look up an order by its number.",
    "input_schema": {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]},
}


def text(tokens: int, rng: random.Random) -> str:
    """English-looking text of about so many tokens, at four bytes each."""
    words = rng.choices(WORDS, k=tokens * 2 + 1)
    return " ".join(words)[: tokens * 4]


def job(number: int, tokens: int, rng: random.Random, **columns: object) -> dict[str, object]:
    """One valid row of about so many input tokens."""
    body = f"Case {number}. {text(tokens, rng)} [[output_tokens={rng.randint(30, 600)}]]"
    return {
        "job_id": f"case-{number:03d}",
        "system": SYSTEM,
        "messages": json.dumps([{"role": "user", "content": body}]),
        "max_tokens": 1024,
        "group": GROUPS[number % 4],
        "priority": number % 3,
        **columns,
    }


def jobs() -> list[dict[str, object]]:
    """The night: mostly small jobs, some middle and large ones, four for a person, three broken rows."""
    rng = random.Random(7)
    rows = [job(n, rng.randint(100, 1_300), rng) for n in range(84)]
    rows += [job(n, rng.randint(1_700, 7_000), rng) for n in range(84, 102)]
    rows += [job(n, rng.randint(9_000, 24_000), rng) for n in range(102, 108)]
    talk = [
        {"role": "user", "content": "Where is order 4711?"},
        {"role": "assistant", "content": "It left the warehouse this morning."},
        {"role": "user", "content": "And what does it weigh? [[output_tokens=40]]"},
    ]
    rows += [
        job(108, 0, rng, messages=json.dumps(talk)),
        job(109, 200, rng, tools=json.dumps([GET_ORDER])),
        job(110, 200, rng, model="claude-sonnet-5-5"),
        # for a person: too heavy, too dear, dearer than the job itself allows, and not countable
        job(111, 45_000, rng),
        job(112, 12_000, rng, max_tokens=32_000),
        job(113, 900, rng, max_cost_usd=Decimal("0.000100")),
        job(114, 100, rng, tools=json.dumps([{"type": "web_search_20250305", "name": "web_search"}])),
        # broken: a sampling parameter, an unknown role, JSON that is none
        job(115, 100, rng, params=json.dumps({"temperature": 0.2})),
        job(116, 100, rng, messages=json.dumps([{"role": "robot", "content": "beep"}])),
        job(117, 100, rng, messages='[{"role": "user", "content": '),
    ]
    return rows


def first_jobs() -> list[dict[str, object]]:
    """Three jobs of one question each, and one that is larger."""
    rng = random.Random(3)
    questions = [
        "Which is heavier, a pallet of bricks or a pallet of feathers?",
        "Write the rule about axle loads in one sentence.",
        "What does a weighbridge ticket show?",
        f"Sum up these notes: {text(2_500, rng)}",
    ]
    return [
        {"job_id": f"first-{number}", "prompt": f"{question} [[output_tokens=60]]", "max_tokens": 256}
        for number, question in enumerate(questions, 1)
    ]


def write(name: str, table: pa.Table) -> None:
    """Write one sample next to this file."""
    pq.write_table(table, Path(__file__).with_name(name), compression="zstd")
    print(f"{table.num_rows} jobs -> {name}")


if __name__ == "__main__":
    write("jobs.parquet", pa.Table.from_pylist(jobs(), schema=SCHEMA))
    write("first-jobs.parquet", pa.Table.from_pylist(first_jobs()))
