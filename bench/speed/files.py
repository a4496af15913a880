"""The files of a measurement: jobs whose sizes are spread as those of a night, and the policy that runs them."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.three_routes import THREE_ROUTES

#: characters of a prompt at the quantiles of a night: most are short, some are long
SIZES = (400, 800, 1_400, 2_400, 3_600, 5_000, 7_200, 9_600, 14_000, 24_000)
ROWS_A_GROUP = 10_000
WORDS = ("order", "was", "sent", "on", "the", "day", "and", "not", "seen", "again", "by", "anyone", "there")
POLICY = (
    """
name = "speed"
on_unknown = "review"
"""
    + THREE_ROUTES
    + """[request]
max_input_tokens = 4_000
max_cost_usd = "10"
[limits]
messages_per_minute = 6_000_000
count_per_minute = 6_000_000
max_in_flight = 64
"""
)


def make_jobs(path: Path, rows: int, seed: int = 1) -> Path:
    """A job file; the same rows for the same seed.

    Args:
        path: where it goes.
        rows: how many.
        seed: draws the sizes and the words.
    """
    drawn = random.Random(seed)
    schema = pa.schema([("job_id", pa.string()), ("messages", pa.string()), ("max_tokens", pa.int64())])
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, ROWS_A_GROUP):
            numbers = range(first, min(first + ROWS_A_GROUP, rows))
            prompts = [_prompt(drawn, number) for number in numbers]
            writer.write_table(
                pa.table(
                    {
                        "job_id": [f"job-{number}" for number in numbers],
                        "messages": ['[{"role":"user","content":"' + text + '"}]' for text in prompts],
                        "max_tokens": [256] * len(prompts),
                    },
                    schema=schema,
                )
            )
    return path


def _prompt(drawn: random.Random, number: int) -> str:
    low = drawn.randrange(len(SIZES) - 1)
    size = drawn.randint(SIZES[low], SIZES[low + 1])
    words = " ".join(drawn.choices(WORDS, k=12))
    return f"{number} " + (words + " ") * (size // len(words))
