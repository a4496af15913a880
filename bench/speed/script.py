"""The script that somebody writes in an hour: count, route, send; no ledger, no budget, no Prefect.

    python -m bench.speed.script JOBS RESULTS.jsonl

It is what Weighbridge is measured against. Prints one JSON line: jobs, calls and seconds of the work itself.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import orjson
import pyarrow.parquet as pq
from anthropic import AsyncAnthropic, DefaultAioHttpClient

#: the routes of bench.speed.files
ROUTES = (("claude-haiku-5-5", 1_500), ("claude-sonnet-5-5", 8_000), ("claude-opus-5-5", 200_000))
MOST_INPUT_TOKENS = 4_000
IN_FLIGHT = 64


async def one_job(client: AsyncAnthropic, row: dict[str, Any], results: TextIO) -> int:
    """Count a job until a model takes it, and send it; how many calls it took."""
    messages = orjson.loads(row["messages"])
    calls = 0
    for model, limit in ROUTES:
        counted = await client.messages.count_tokens(model=model, messages=messages)
        calls += 1
        if counted.input_tokens > MOST_INPUT_TOKENS:
            return calls
        if counted.input_tokens <= limit:
            break
    answer = await client.messages.create(model=model, messages=messages, max_tokens=row["max_tokens"])
    results.write(
        json.dumps(
            {
                "job_id": row["job_id"],
                "model": model,
                "text": answer.content[0].text,
                "usage": answer.usage.model_dump(),
            }
        )
        + "\n"
    )
    return calls + 1


async def all_jobs(jobs: str, path: Path) -> dict[str, float]:
    rows = pq.read_table(jobs).to_pylist()
    gate = asyncio.Semaphore(IN_FLIGHT)
    began = time.monotonic()
    async with AsyncAnthropic(max_retries=2, http_client=DefaultAioHttpClient()) as client:
        with path.open("w") as results:

            async def gated(row: dict[str, Any]) -> int:
                async with gate:
                    return await one_job(client, row, results)

            calls = sum(await asyncio.gather(*(gated(row) for row in rows)))
    return {"jobs": len(rows), "calls": calls, "seconds": round(time.monotonic() - began, 3)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(all_jobs(sys.argv[1], Path(sys.argv[2])))))
