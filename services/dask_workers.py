"""The workers of a Dask cluster, on this machine or on others.

A client of `distributed` hands the work out, not prefect-dask: a flow's task runner is fixed before its policy is read,
which is where the runner is named; its tasks report to Prefect from the workers, which then need a way to Prefect's
server besides those to the API and the ledger; and its wait() hides why a task is stuck (PrefectHQ/prefect#21638).

Dask runs a task again when its worker dies, also one that had finished there (PrefectHQ/prefect#15442), and may take a
worker for dead that is not. So nothing is judged by Dask's word: the ledger lets each attempt leave once.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from schemas.delivery import NoWorkers
from schemas.errors import BadInput, RunFailed

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found")
log = logging.getLogger("weighbridge")

#: how long the scheduler may take to answer at first, and how long a cluster may be without workers, seconds
_CONNECT_SECONDS = 20
_WITHOUT_WORKERS_SECONDS = 60
#: how often it is looked whether the cluster is still there, seconds
_LOOK_SECONDS = 2.0
#: how long a worker that Dask took for dead may take to bring its answers, seconds
_PATIENCE_SECONDS = 20.0
_KEPT = "What was sent and settled is in the ledger, and the next run over the same input goes on from there."


class DaskWorkers:
    """The workers of a cluster, as many threads of each as Dask gives it.

    Args:
        address: of the scheduler.
    """

    #: a worker that was taken for dead may still bring answers
    patience = _PATIENCE_SECONDS

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None
        self.count = 0
        self.lanes = 0
        self._turns = asyncio.Semaphore(1)

    async def start(self) -> None:
        """Connect to the cluster, and see how many workers it has.

        Raises:
            BadInput: Dask is not installed.
            RunFailed: no scheduler answers there, or it has no workers.
        """
        try:
            from distributed import Client  # noqa: PLC0415 - an optional part
        except ImportError as error:
            raise BadInput(
                'The runner "dask" needs Dask: pip install "weighbridge[dask]", here and where the workers run. Nothing '
                "was counted or sent."
            ) from error
        try:
            self._client = await Client(  # type: ignore[no-untyped-call]  # its author gave it no types
                self._address, asynchronous=True, timeout=_CONNECT_SECONDS
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise RunFailed(
                f"No Dask scheduler answers at {self._address} ({type(error).__name__}). Nothing was counted or sent; "
                "check the address, and that the cluster runs the same versions."
            ) from error
        threads = await self._threads()
        if not threads:
            await self.close()
            raise RunFailed(
                f"The Dask cluster at {self._address} has no workers. Nothing was counted or sent; start some, such as "
                f"`dask worker {self._address} --nthreads 8`."
            )
        self.count, self.lanes = len(threads), sum(threads)
        self._turns = asyncio.Semaphore(self.lanes)

    async def _threads(self) -> list[int]:
        """The threads of each worker that the cluster has now."""
        with suppress(OSError, TimeoutError):
            identity = await asyncio.wait_for(self._client.scheduler.identity(), _CONNECT_SECONDS)
            return [worker["nthreads"] for worker in identity["workers"].values()]
        return []

    async def call(
        self, function: Callable[Arguments, Found], *args: Arguments.args, **_: Arguments.kwargs
    ) -> Found:
        """What a function returns in one of the workers; Dask calls it again where a worker is lost.

        Raises:
            NoWorkers: the cluster has gone, or has had no workers for a minute.
        """
        async with self._turns:
            future = self._client.submit(function, *args, pure=False, retries=0)
            ended = asyncio.ensure_future(future.result())
            try:
                await self._ended(ended)
                found: Found = ended.result()
            except (NoWorkers, asyncio.CancelledError):
                ended.cancel()
                raise
            except Exception as error:
                # Dask's own: the function itself raises nothing
                raise NoWorkers(
                    f"The Dask cluster at {self._address} gave the work of the run up ({type(error).__name__}). {_KEPT}"
                ) from error
            finally:
                future.release()
            return found

    async def _ended(self, ended: "asyncio.Future[Any]") -> None:
        """Wait until a task has ended, and no longer than there is a cluster."""
        loop = asyncio.get_running_loop()
        seen = loop.time()
        while not (await asyncio.wait({ended}, timeout=_LOOK_SECONDS))[0]:
            if self._client.status == "running" and self._client.scheduler_info().get("n_workers"):
                seen = loop.time()
            elif loop.time() - seen > _WITHOUT_WORKERS_SECONDS:
                raise NoWorkers(
                    f"The Dask cluster at {self._address} has had no workers for {_WITHOUT_WORKERS_SECONDS} seconds. {_KEPT}"
                )

    async def close(self) -> None:
        """Leave the cluster; its workers stay."""
        if self._client is not None:
            with suppress(OSError, TimeoutError):
                await self._client.close()
