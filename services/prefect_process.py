"""The process of a Prefect server for one command: `python -P -m services.prefect_process DESCRIPTOR`.

It serves on the listening socket that it inherits, and ends when its standard input does, so that it never outlives
the command, however that ended. Prefect is imported without looking for garbage meanwhile, which takes a fifth less.
"""

import gc
import os
import signal
import socket
import sys
import threading


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve until standard input ends."""
    gc.disable()
    listening = socket.socket(fileno=int(sys.argv[1]))
    threading.Thread(target=_end_with_parent, daemon=True).start()

    from services.prefect_home import make_database  # noqa: PLC0415 - only in a process of its own

    make_database(os.environ)
    import uvicorn  # noqa: PLC0415
    from prefect.server.api.server import create_app  # noqa: PLC0415

    app = create_app()
    gc.freeze()
    gc.enable()
    uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on")).run([listening])


if __name__ == "__main__":
    main()
