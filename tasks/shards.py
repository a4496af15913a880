"""Shards: the undecided rows of a run, worked on some at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from schemas.job import Shard
from schemas.policy import Policy
from services.ledger import jobs
from tasks.run import Run

#: shards worked on at once: enough that the next one's jobs fill the gaps of the last one's stragglers
LANES = 4
#: jobs that one task run counts, at least, in a run of too many for one task run each: a task run costs Prefect 5 to 20
#: ms here and as much in its server, which is more than many calls
COUNT_SIZE = 100
#: jobs that one transaction holds the money for, where there are that many
SHARD_SIZE = 500


@dataclass(frozen=True, slots=True)
class Sizes:
    """Jobs a shard of each stage, at most.

    Attributes:
        count: one, for a small run, so that each job shows as a task run; in a large one, so many that there are no more
            shards than the policy's `max_task_runs`.
        admit: what one transaction holds the money for. It does not grow with the run, for its jobs are in memory.
    """

    count: int
    admit: int

    @classmethod
    def of(cls, policy: Policy, waiting: int) -> "Sizes":
        """The sizes for this many jobs that are to be weighed."""
        share = -(-waiting // policy.max_task_runs)
        count = max(COUNT_SIZE, share) if share > 1 else 1
        return cls(count=count, admit=SHARD_SIZE)


async def in_shards(step: Callable[[Run, Shard], Awaitable[Any]], run: Run, size: int) -> None:
    """Run a step over the undecided jobs, some shards at a time.

    Args:
        step: works on one shard.
        run: the run.
        size: jobs a shard, at most.

    Raises:
        Exception: what the step raised first; the other shards are stopped.
    """
    lanes = asyncio.Semaphore(max(LANES, run.policy.limits.max_in_flight // size))

    async def one(shard: Shard) -> None:
        async with lanes:
            await step(run, shard)

    shards = await run.ledger.off_loop(jobs.shards, run.run_id, size)
    try:
        async with asyncio.TaskGroup() as group:
            for shard in shards:
                group.create_task(one(shard))
    except ExceptionGroup as several:
        # one sentence, which says enough
        raise several.exceptions[0] from several
