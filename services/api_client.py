"""The SDK's client as the gateway uses it: which connections calls go over, which key, and what every answer states."""

import hashlib
import logging
import os
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache, partial
from statistics import median
from typing import Any

import httpx2
from anthropic import AsyncAnthropic, DefaultAioHttpClient

from schemas.errors import BadInput
from schemas.words import masked_url

log = logging.getLogger("weighbridge")

#: the limit of `limits.max_in_flight`, so that no call waits for a connection
MAX_CONNECTIONS = 1_000
#: how long a connection of free calls is kept, seconds: shorter than servers keep idle ones
_FREE_KEPT_SECONDS = 2.0
#: servers of one's own are reached directly, also where the environment names a proxy for everything
NOT_BY_PROXY = ("all://localhost", "all://127.0.0.1", "all://[::1]")
_WORKSPACE_HEADER = "anthropic-workspace-id"
#: as long as the ledger keeps the id of a workspace
_MOST_OF_WORKSPACE = 200
#: answers that the skew is the median of
_SKEWS = 9
_SKEW_TO_WARN = timedelta(minutes=5)
#: whether the call under way has been given to the transport; before, no byte of it can have left
HANDED_OVER: ContextVar[bool] = ContextVar("HANDED_OVER", default=False)
#: an answer that has come already, for the SDK to judge in place of sending the request of the call under way
GIVEN_ANSWER: ContextVar[httpx2.Response | None] = ContextVar("GIVEN_ANSWER", default=None)
#: what is to see the request of the call under way, as the SDK has built it, before it leaves
BUILT: ContextVar[Callable[[httpx2.Request], None] | None] = ContextVar("BUILT", default=None)


class Heard:
    """What the answers of an endpoint state, whatever was asked.

    Attributes:
        workspace: the id of the workspace that calls are charged to; None: no answer named one.
        clock_skew: how far this machine's clock is ahead of the API's; None: not known.
    """

    def __init__(self) -> None:
        self.workspace: str | None = None
        self.clock_skew: timedelta | None = None
        self._skews: deque[float] = deque(maxlen=_SKEWS)
        self._date = ""
        self._warned = False

    def hear(self, headers: Mapping[str, str]) -> None:
        """Take note of one answer's headers, whose names are not case-sensitive."""
        self.workspace = headers.get(_WORKSPACE_HEADER, "")[:_MOST_OF_WORKSPACE] or self.workspace
        date = headers.get("date", "")
        if date != self._date:  # the same second again says nothing new
            self._date = date
            self._compare_clocks(date)

    def _compare_clocks(self, date: str) -> None:
        try:
            theirs = parsedate_to_datetime(date)
        except (ValueError, OverflowError):
            return
        if theirs.tzinfo is None:
            return
        self._skews.append((datetime.now(UTC) - theirs).total_seconds())
        self.clock_skew = timedelta(seconds=median(self._skews))
        if abs(self.clock_skew) > _SKEW_TO_WARN and not self._warned:
            self._warned = True
            log.warning(
                "The clock of this machine is %s the API's by %s. Days, prices and batches go by it; correct it "
                "(NTP). The run goes on.",
                "ahead of" if self.clock_skew > timedelta(0) else "behind",
                timedelta(seconds=round(abs(self.clock_skew).total_seconds())),
            )


class _HttpClient(DefaultAioHttpClient):
    """The SDK's connections; an answer that is given is not asked for again."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if (given := GIVEN_ANSWER.get()) is None:
            return await super().send(request, **options)
        given.request = request
        return given


def kept_seconds(*, paid: bool) -> float:
    """How long a connection is kept after its call, seconds; see `http_client`."""
    return 0.0 if paid else _FREE_KEPT_SECONDS


def http_client(heard: Heard, *, paid: bool) -> httpx2.AsyncClient:
    """The connections of free calls, or of paid ones.

    Every paid call has a connection of its own: a server may close one that it kept just as the next request leaves,
    and nobody could tell afterwards whether that request was read. It costs a connection's set-up, which is little
    against an answer. Redirects are not followed, since a paid request would be sent twice.
    """

    async def hear(response: httpx2.Response) -> None:
        heard.hear(response.headers)

    return _HttpClient(
        follow_redirects=False,
        limits=httpx2.Limits(
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=kept_seconds(paid=paid),
        ),
        mounts=dict.fromkeys(NOT_BY_PROXY),
        verify=trusted(),
        event_hooks={"request": [_handed_over], "response": [hear]},
    )


async def _handed_over(request: httpx2.Request) -> None:
    HANDED_OVER.set(True)
    see = BUILT.get()
    if see is not None:
        see(request)


def trusted() -> ssl.SSLContext:
    """The authorities that are trusted. They are read once for all connections: that takes as long as many calls."""
    return _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _trusted(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def client_for(base_url: str | None = None, heard: Heard | None = None) -> AsyncAnthropic:
    """The SDK's client for free calls, its retries off; the environment says the rest, as the SDK does.

    Args:
        base_url: the endpoint; None leaves it to ANTHROPIC_BASE_URL and the SDK's default.
        heard: takes note of what the answers state.

    Raises:
        BadInput: there is neither a key nor an address, or the key is none that can be sent.
    """
    transport = http_client(heard or Heard(), paid=False)
    own = partial(
        AsyncAnthropic, base_url=base_url, max_retries=0, http_client=transport, open_telemetry=False
    )
    client = _with_usable_key(own())
    if client.api_key or client.auth_token or client.credentials:
        return client
    if base_url or os.environ.get("ANTHROPIC_BASE_URL"):
        # an endpoint of one's own may need no key; the client wants one
        return own(api_key="none")
    raise BadInput(
        "There is no API key. Set ANTHROPIC_API_KEY to use the real API, or ANTHROPIC_BASE_URL to use another endpoint, "
        "such as that of `weighbridge simulate`. `run`, `quote`, `audit-tools` and `resubmit-approved` need neither with "
        "--simulate. Nothing was counted or sent."
    )


def account_of(client: AsyncAnthropic) -> str:
    """What tells the account of a client from others: the endpoint, and a digest that the key cannot be found from."""
    endpoint = masked_url(str(client.base_url))
    key = client.api_key or client.auth_token or ""
    digest = hashlib.sha256(f"{endpoint}\n{key}".encode()).hexdigest()
    return f"{endpoint} {digest[:16]}"


def _with_usable_key(client: AsyncAnthropic) -> AsyncAnthropic:
    """The client, its key without the white space that files and pipes leave around one.

    Raises:
        BadInput: a key or a header of one's own has a character that no HTTP header takes.
    """
    client.api_key = _usable("ANTHROPIC_API_KEY", client.api_key)
    client.auth_token = _usable("ANTHROPIC_AUTH_TOKEN", client.auth_token)
    return client


def _usable(name: str, value: str | None) -> str | None:
    stripped = (value or "").strip()
    wrong = [place for place, one in enumerate(stripped, 1) if not "!" <= one <= "~"]
    if wrong:
        raise BadInput(
            f"The key in {name} cannot be sent: its character {wrong[0]} of {len(stripped)} is one that no HTTP header "
            "takes. Copy the key again, without quotes and line breaks. Nothing was counted or sent."
        )
    return stripped or None
