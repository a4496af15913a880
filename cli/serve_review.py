"""`weighbridge review serve` and `weighbridge review password`."""

import ipaddress
import socket
from typing import Annotated

import typer
import uvicorn

from schemas.errors import BadInput
from schemas.settings import Settings
from services.ledger import open_ledger
from services.review_page.app import make_app
from services.review_page.people import ReviewSettings, clean_name, hashed_password

_LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]"]


def add_to(review: typer.Typer) -> None:
    """Register the commands in the group `review`."""
    review.command("serve")(serve)
    review.command("password")(password)


def serve(
    ledger: Annotated[str | None, typer.Option(help="A SQLAlchemy URL.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8788,
    name: Annotated[
        list[str] | None, typer.Option(help="A host name that browsers reach it by; may be repeated.")
    ] = None,
) -> None:
    """Serve the review page, until interrupted."""
    settings = ReviewSettings()
    if not _is_loopback(host) and not settings.hashes:
        raise BadInput(
            f"Off this machine ({host}) the review page starts only with a log-in: set WEIGHBRIDGE_REVIEW_USERS to "
            "name:hash pairs that `weighbridge review password NAME` makes, or leave --host out."
        )
    app = make_app(
        open_ledger(ledger or Settings().ledger_url), settings, [*_LOOPBACK_NAMES, host, *(name or ())]
    )
    listening = _listening(host, port)
    shown = f"[{host}]" if ":" in host else host
    print(f"Review page: http://{shown}:{listening.getsockname()[1]} (Ctrl-C ends it)", flush=True)
    config = uvicorn.Config(app, access_log=False, log_level="warning", server_header=False)
    uvicorn.Server(config).run(sockets=[listening])


def password(
    name: Annotated[str, typer.Argument(help="The name that stands beside decisions; no blanks.")],
) -> None:
    """Make a name:hash pair for WEIGHBRIDGE_REVIEW_USERS."""
    if clean_name(name) != name or " " in name:
        raise BadInput("A name that logs in has up to 100 printable characters and no blanks.")
    chosen = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if len(chosen) < 12:
        raise BadInput("A password has at least 12 characters. Nothing was made.")
    print(f"{name}:{hashed_password(chosen)}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise BadInput(
            f"The address {host}:{port} cannot be listened on ({error.strerror}); choose another --port or --host."
        ) from error
