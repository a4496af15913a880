"""`weighbridge review serve` and `weighbridge review password`."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from cli.options import LedgerOption, opened_ledger
from cli.review.edit_review import edit_scale, policy_of
from review_page.app import make_app
from review_page.people import ReviewSettings, clean_name, hashed_password
from schemas.errors import BadInput
from schemas.payload.payload import Payload
from schemas.review import EditEstimate, ReviewDetail
from services.ledger import Ledger
from services.policy_file import read_policy
from tasks.weigh_edit import prune_edit, weigh_edit

_LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]"]
_MIN_PASSWORD_CHARACTERS = 12


def serve(
    ledger: LedgerOption = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 chooses a free one.")
    ] = 8788,
    name: Annotated[
        list[str] | None,
        typer.Option(help="A host name under which browsers reach the page; may be repeated."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="The policy that edits are weighed by; when left out, that of the review's run."),
    ] = None,
) -> None:
    """Serve the review page until interrupted."""
    settings = ReviewSettings()
    if not _is_loopback(host) and not settings.hashes:
        raise BadInput(
            f"For other machines ({host}) the review page starts only with a log-in: set WEIGHBRIDGE_REVIEW_USERS to "
            "name:hash pairs, which `weighbridge review password NAME` makes, or leave --host out."
        )
    if policy is not None:
        read_policy(policy)  # one that cannot be used is known before the first edit
    opened = opened_ledger(ledger)
    hosts = [*_LOOPBACK_NAMES, host, *(name or ())]
    app = make_app(opened, settings, hosts, _weighing(opened, policy), _pruning(opened, policy))
    listening = _listening(host, port)
    shown_host = f"[{host}]" if ":" in host else host
    print(f"Review page: http://{shown_host}:{listening.getsockname()[1]} (Ctrl-C ends it)", flush=True)
    config = uvicorn.Config(app, access_log=False, log_level="warning", server_header=False)
    uvicorn.Server(config).run(sockets=[listening])


def password(
    name: Annotated[str, typer.Argument(help="The name that decisions are recorded under; without blanks.")],
) -> None:
    """Make a name:hash pair for WEIGHBRIDGE_REVIEW_USERS."""
    if clean_name(name) != name or " " in name:
        raise BadInput(
            "A name to log in with has at most 100 printable characters and no blanks. Nothing was made."
        )
    chosen = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if len(chosen) < _MIN_PASSWORD_CHARACTERS:
        raise BadInput(f"A password has at least {_MIN_PASSWORD_CHARACTERS} characters. Nothing was made.")
    print(f"{name}:{hashed_password(chosen)}")


def _weighing(
    ledger: Ledger, policy: Path | None
) -> Callable[[ReviewDetail, Payload], Awaitable[EditEstimate]]:
    """What counts and prices an edit on the page, as `weighbridge review edit` does."""

    async def weigh(review: ReviewDetail, payload: Payload) -> EditEstimate:
        async with edit_scale(ledger, review, policy_of(ledger, review, policy)) as on:
            return await weigh_edit(on, review, payload)

    return weigh


def _pruning(ledger: Ledger, policy: Path | None) -> Callable[[ReviewDetail, Payload], Awaitable[Payload]]:
    """What prunes an edit on the page, as `weighbridge review edit --prune` does."""

    async def prune(review: ReviewDetail, payload: Payload) -> Payload:
        async with edit_scale(ledger, review, policy_of(ledger, review, policy)) as on:
            return await prune_edit(on, review, payload)

    return prune


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        BadInput: the address is in use, or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise BadInput(
            f"The review page cannot listen on {host}:{port} ({error.strerror}); choose another --port or --host."
        ) from error
