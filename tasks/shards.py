"""Shards: the undecided rows of a run, worked on some at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from schemas.job import Shard
from services.ledger import jobs
from tasks.run import Run

#: shards worked on at once: enough that the next one's jobs fill the gaps of the last one's stragglers
LANES = 4


def shard_size(run: Run, waiting: int) -> int:
    """Jobs a shard, so that a stage makes at most the policy's `max_task_runs`: one, for a small run."""
    return max(1, -(-waiting // run.policy.max_task_runs))


async def in_shards(step: Callable[[Run, Shard], Awaitable[Any]], run: Run, size: int) -> None:
    """Run a step over the undecided jobs, some shards at a time.

    Args:
        step: works on one shard.
        run: the run.
        size: jobs a shard, at most.
    """
    lanes = asyncio.Semaphore(max(LANES, run.policy.limits.max_in_flight // size))

    async def one(shard: Shard) -> None:
        async with lanes:
            await step(run, shard)

    shards = await run.ledger.off_loop(jobs.shards, run.run_id, size)
    async with asyncio.TaskGroup() as group:
        for shard in shards:
            group.create_task(one(shard))
