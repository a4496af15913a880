"""The review page, served by a thread for a real browser."""

import contextlib
import threading

import uvicorn

from review_page.app import make_app
from review_page.people import ReviewSettings
from schemas.outcome import Method
from schemas.review import EditEstimate
from tests.processes import SECONDS, until


async def weigh_lightly(*_):
    """What counts an edit: always 7 tokens and a thousandth of a cent."""
    return EditEstimate("claude-haiku-5-5", 7, Method.COUNTED, 1_000)


@contextlib.contextmanager
def served(ledger, weigh=weigh_lightly, **settings):
    """The page's address."""
    app = make_app(ledger, ReviewSettings(**settings), ["127.0.0.1"], weigh)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "the page")
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(SECONDS)
