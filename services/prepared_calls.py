"""Messages and counts, whose head the SDK makes once: the same request as its own call, at a fifth of its work.

Of the thousands of calls of a night only the body differs. So the first call to a path goes through the SDK, its head is
kept, and the next ones send that head with their own body on the aiohttp session beneath. What is no success goes back
through the SDK, which makes its error of it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.request import getproxies

from aiohttp import ClientResponse, ClientSession, ClientTimeout, TCPConnector
from anthropic import AsyncAnthropic, Timeout
from httpx2 import Request, Response
from multidict import CIMultiDict
from yarl import URL

from services.api_client import (
    BUILT,
    GIVEN_ANSWER,
    HANDED_OVER,
    MAX_CONNECTIONS,
    NOT_BY_PROXY,
    Heard,
    kept_seconds,
    trusted,
)

#: how long a connection may take to be made
CONNECT_SECONDS = 10
#: what the head of a request states of its own body
_OF_THE_BODY = "content-length"


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """A successful answer: its headers, whose names are not case-sensitive, and its body, decoded."""

    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class _Head:
    """All of a request but its body."""

    url: URL
    headers: CIMultiDict[str]

    @classmethod
    def of(cls, request: Request) -> "_Head":
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        kept = CIMultiDict((name, value) for name, value in pairs if name.lower() != _OF_THE_BODY)
        return cls(URL(str(request.url), encoded=True), kept)


class PreparedCalls:
    """POSTs of one client to few paths, many times.

    A key that changes and a proxy are left to the SDK, call by call.

    Args:
        client: the SDK's client, its retries off, on connections of `api_client.http_client`.
        heard: takes note of what the answers state.
        paid: whether each call is to have a connection of its own; see `http_client`.
        seconds: how long a call may wait for its next byte.
    """

    def __init__(self, client: AsyncAnthropic, heard: Heard, *, paid: bool, seconds: float) -> None:
        self._client = client
        self._heard = heard
        self._paid = paid
        self._timeout = Timeout(seconds, connect=CONNECT_SECONDS)
        self._session_timeout = ClientTimeout(
            connect=seconds, sock_connect=CONNECT_SECONDS, sock_read=seconds
        )
        self._session: ClientSession | None = None
        #: None: each call of that path is left to the SDK
        self._heads: dict[str, _Head | None] = {}
        #: paths whose first call is being built by the SDK
        self._built: dict[str, asyncio.Event] = {}

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, path: str, content: bytes) -> ApiAnswer:
        """The answer to a JSON body.

        Args:
            path: such as "/v1/messages".
            content: the body, UTF-8.

        Raises:
            anthropic.APIError: the answer is no success, as the SDK raises it, or there is none.
            aiohttp.ClientError: there is no answer.
            TimeoutError: there was none in time.
        """
        if path not in self._heads:
            if path not in self._built:
                return await self._first(path, content)
            # the head is there before the first call is answered, and much cheaper than to have another one built
            await self._built[path].wait()
        head = self._heads.get(path)
        if head is not None:
            return await self._prepared(head, path, content)
        response = await self._by_the_sdk(path, content)
        return ApiAnswer(response.headers, response.content)

    async def _first(self, path: str, content: bytes) -> ApiAnswer:
        """The answer to a call that the SDK makes, whose head the next ones send."""
        built = self._built[path] = asyncio.Event()

        def keep(request: Request) -> None:
            is_lasting = self._client.credentials is None and not _by_proxy(request)
            self._heads[path] = _Head.of(request) if is_lasting else None
            built.set()

        seen = BUILT.set(keep)
        try:
            response = await self._by_the_sdk(path, content)
        finally:
            BUILT.reset(seen)
            # a call that could not be built is no reason for others to wait
            built.set()
            del self._built[path]
        return ApiAnswer(response.headers, response.content)

    async def _by_the_sdk(self, path: str, content: bytes) -> Response:
        return await self._client.post(
            path,
            content=content,
            cast_to=Response,
            options={"timeout": self._timeout, "headers": {"content-type": "application/json"}},
        )

    async def _prepared(self, head: _Head, path: str, content: bytes) -> ApiAnswer:
        HANDED_OVER.set(True)
        async with self._connections().post(
            head.url,
            data=content,
            headers=head.headers,
            timeout=self._session_timeout,
            allow_redirects=False,
        ) as answer:
            body = await answer.read()
        self._heard.hear(answer.headers)
        if answer.status < 300 and "content-encoding" not in answer.headers:
            return ApiAnswer(answer.headers, body)
        decoded = _as_response(answer, body)
        if not decoded.is_success:
            decoded = await self._judged_by_the_sdk(decoded, path, content)
        return ApiAnswer(decoded.headers, decoded.content)

    async def _judged_by_the_sdk(self, answer: Response, path: str, content: bytes) -> Response:
        """What the SDK makes of an answer that is here already; nothing is sent."""
        given = GIVEN_ANSWER.set(answer)
        try:
            return await self._by_the_sdk(path, content)
        finally:
            GIVEN_ANSWER.reset(given)

    def _connections(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(
                    limit=MAX_CONNECTIONS,
                    keepalive_timeout=kept_seconds(paid=self._paid),
                    ssl=trusted(),
                ),
                # the SDK's own library decodes what its own head asks for
                auto_decompress=False,
            )
        return self._session


def _by_proxy(request: Request) -> bool:
    """Whether the environment may name a proxy for a request."""
    is_own = f"all://{request.url.host}" in NOT_BY_PROXY
    return not is_own and not getproxies().keys().isdisjoint({"http", "https", "all"})


def _as_response(answer: ClientResponse, body: bytes) -> Response:
    return Response(answer.status, headers=answer.raw_headers, content=body)
