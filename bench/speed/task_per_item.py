"""The pipeline that Prefect's tutorial suggests: a task run for each item.

    python -m bench.speed.task_per_item JOBS RESULTS.jsonl

The same calls as bench.speed.script, each job in a task run of its own. Prints one JSON line.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from anthropic import AsyncAnthropic, DefaultAioHttpClient
from prefect import flow, task

from bench.speed.script import IN_FLIGHT, one_job

#: what task runs share; Prefect would copy what it is given
STATE: dict[str, Any] = {}


@task
async def send_one(row: dict[str, Any]) -> int:
    return await one_job(STATE["client"], row, STATE["results"])


@flow
async def send_all(jobs: str) -> dict[str, float]:
    rows = pq.read_table(jobs).to_pylist()
    gate = asyncio.Semaphore(IN_FLIGHT)
    began = time.monotonic()
    async with AsyncAnthropic(max_retries=2, http_client=DefaultAioHttpClient()) as client:
        STATE["client"] = client

        async def gated(row: dict[str, Any]) -> int:
            async with gate:
                return await send_one(row)

        calls = sum(await asyncio.gather(*(gated(row) for row in rows)))
    return {"jobs": len(rows), "calls": calls, "seconds": round(time.monotonic() - began, 3)}


if __name__ == "__main__":
    with Path(sys.argv[2]).open("w") as answers:
        STATE["results"] = answers
        print(json.dumps(asyncio.run(send_all(sys.argv[1]))))
