"""A Dask cluster of real processes on this machine, each of which can be killed by itself."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from distributed import Client

from tests.processes import BIN, free_port, process, until


@dataclass
class Cluster:
    """A scheduler, and workers that nothing starts again."""

    address: str
    workers: list[Popen]


@contextmanager
def dask_cluster(folder: Path, env: dict[str, str], workers: int = 2) -> Iterator[Cluster]:
    """A cluster whose workers have four threads each and this environment."""
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    quiet = ("--host", "127.0.0.1", "--no-dashboard")
    with ExitStack() as running:
        scheduler = [BIN / "dask", "scheduler", "--port", str(port), *quiet]
        running.enter_context(process(scheduler, env, folder / "scheduler.log", folder))
        worker = [BIN / "dask", "worker", address, "--nthreads", "4", "--no-nanny", *quiet]
        children = [
            running.enter_context(
                process([*worker, "--name", f"worker-{n}"], env, folder / f"worker-{n}.log", folder)
            )
            for n in range(workers)
        ]
        with Client(address, timeout=60) as client:
            client.wait_for_workers(workers, timeout=60)
        yield Cluster(address, children)


def address_of(client: Client, name: str) -> str:
    """The address of the worker of this name."""

    def found():
        workers = client.scheduler_info()["workers"]
        return next((address for address, worker in workers.items() if worker["name"] == name), None)

    return until(found, name)
