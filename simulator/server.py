"""Runs the simulator as a process of its own.

From the root of the project:

    python -m simulator --port 8089 --log data/simulator/billed.jsonl --plan plan.toml
"""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from simulator.billing.billing_log import BillingLog
from simulator.http.application import make_app
from simulator.plan import Plan, PlanError, read_plan

#: connections that may wait to be accepted
BACKLOG = 1_024

#: how long open requests may take after the order to stop; hanging ones are dropped
SHUTDOWN_SECONDS = 0.5


def serve(
    port: int,
    log: str | Path,
    plan: str | Path | None = None,
    host: str = "127.0.0.1",
    *,
    stop_at_eof: bool = False,
) -> None:
    """Run the simulator until SIGTERM or SIGINT. Prints one JSON line on stdout when it is ready.

    Args:
        port: TCP port; 0 picks a free one, which the line names.
        log: file that billed messages are appended to.
        plan: TOML file with latencies, limits and faults; None for a run without any.
        host: address to listen on.
        stop_at_eof: also stop when stdin ends, so that a parent's death ends the simulator too.

    Raises:
        PlanError: if the plan does not fit.
        OSError: if the port or the file cannot be opened.
    """
    chosen = read_plan(plan)
    log_path = Path(log).resolve()
    billing_log = BillingLog(log_path)
    try:
        asyncio.run(_run((host, port), chosen, (billing_log, log_path), stop_at_eof=stop_at_eof))
    finally:
        billing_log.close()


async def _run(
    address: tuple[str, int], plan: Plan, log: tuple[BillingLog, Path], *, stop_at_eof: bool
) -> None:
    host, port = address
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if stop_at_eof:
        loop.add_reader(0, _read_stdin, stop)
    runner = web.AppRunner(make_app(plan, log[0]), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        bound = runner.addresses[0][1]
        ready = {"simulator": True, "base_url": f"http://{host}:{bound}", "log": str(log[1])}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        gc.freeze()  # what is there by now stays to the end, and is not to be looked through for garbage, least of all then
        await stop.wait()
    finally:
        await runner.cleanup()


def _read_stdin(stop: asyncio.Event) -> None:
    if not os.read(0, 4_096):
        asyncio.get_running_loop().remove_reader(0)
        stop.set()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of the simulator.

    Args:
        arguments: command-line arguments; None for those of the process.

    Returns:
        exit status: 0 after a stop, 2 if it could not start.
    """
    parser = argparse.ArgumentParser(prog="python -m simulator", description=serve.__doc__)
    parser.add_argument("--port", type=int, default=8089, help="TCP port; 0 picks a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--log", required=True, help="file that billed messages are appended to")
    parser.add_argument("--plan", help="TOML file with latencies, limits and faults")
    parser.add_argument("--stop-at-eof", action="store_true", help="also stop when stdin ends")
    chosen = parser.parse_args(arguments)
    try:
        serve(chosen.port, chosen.log, chosen.plan, chosen.host, stop_at_eof=chosen.stop_at_eof)
    except (PlanError, OSError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    return 0
