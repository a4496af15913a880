"""`weighbridge review serve` and `weighbridge review password`."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import LedgerOption
from schemas.errors import BadInput
from schemas.payload.payload import Payload
from schemas.review import EditEstimate
from schemas.settings import Settings
from services.ledger import Ledger, open_ledger

_LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]"]


def add_to(review: typer.Typer) -> None:
    """Register the commands in the group `review`."""
    review.command("serve")(serve)
    review.command("password")(password)


def serve(
    ledger: LedgerOption = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8788,
    name: Annotated[
        list[str] | None, typer.Option(help="A host name that browsers reach it by; may be repeated.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="What edits are weighed by; left out: the policy of the review's run.")
    ] = None,
) -> None:
    """Serve the review page, until interrupted."""
    import uvicorn  # noqa: PLC0415 - the other commands of the group need neither it nor the page

    from review_page.app import make_app  # noqa: PLC0415
    from review_page.people import ReviewSettings  # noqa: PLC0415

    settings = ReviewSettings()
    if not _is_loopback(host) and not settings.hashes:
        raise BadInput(
            f"Off this machine ({host}) the review page starts only with a log-in: set WEIGHBRIDGE_REVIEW_USERS to "
            "name:hash pairs that `weighbridge review password NAME` makes, or leave --host out."
        )
    opened = open_ledger(ledger or Settings().ledger_url)
    app = make_app(opened, settings, [*_LOOPBACK_NAMES, host, *(name or ())], _weighing(opened, policy))
    listening = _listening(host, port)
    shown = f"[{host}]" if ":" in host else host
    print(f"Review page: http://{shown}:{listening.getsockname()[1]} (Ctrl-C ends it)", flush=True)
    config = uvicorn.Config(app, access_log=False, log_level="warning", server_header=False)
    uvicorn.Server(config).run(sockets=[listening])


def password(
    name: Annotated[str, typer.Argument(help="The name that stands beside decisions; no blanks.")],
) -> None:
    """Make a name:hash pair for WEIGHBRIDGE_REVIEW_USERS."""
    from review_page.people import clean_name, hashed_password  # noqa: PLC0415 - as above

    if clean_name(name) != name or " " in name:
        raise BadInput("A name that logs in has up to 100 printable characters and no blanks.")
    chosen = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if len(chosen) < 12:
        raise BadInput("A password has at least 12 characters. Nothing was made.")
    print(f"{name}:{hashed_password(chosen)}")


def _weighing(ledger: Ledger, policy: Path | None) -> Callable[[Any, Payload], Awaitable[EditEstimate]]:
    """What counts and prices an edit on the page, as `weighbridge review edit` does."""
    from cli.edit_review import edit_scale, policy_of  # noqa: PLC0415 - it takes its options from the group

    async def weigh(review: Any, payload: Payload) -> EditEstimate:
        from tasks.weigh_edit import weigh_edit  # noqa: PLC0415 - Prefect is imported after its settings

        async with edit_scale(ledger, review, policy_of(ledger, review, policy)) as on:
            return await weigh_edit(on, review, payload)

    return weigh


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
