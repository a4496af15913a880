"""How a call to the API can fail, sorted by the one thing that matters: may it have been billed?

CallFailed
├── NotBilled            surely not billed
│   ├── Passing          worth another try: 429, 529, 5xx but 504, a connection that was never made
│   ├── Refused          the API will refuse it again: 400, 404, 413 …
│   └── SpendLimitReached   the account's own money is used up: stop the run
├── AccessDenied         the key is not accepted: stop the run
└── MayBeBilled          a time-out, a 504, a connection lost after the request left, an unreadable answer
"""

import aiohttp
import anthropic

from schemas.payload import printable

#: the API's error codes for money limits, which no retry gets past (source: Anthropic rate limits page)
_SPEND_CODES = ("enforced_spend_limit_reached", "contract_spend_limit_reached")
#: how a 400 begins when a limit the customer set is reached (source: Anthropic errors page)
_SPEND_SENTENCE = "You have reached your specified"


class CallFailed(Exception):  # noqa: N818 - the family name
    """A call that brought no answer. Its text has the status and the API's error type, never payload text."""

    def __init__(self, text: str, *, request_id: str | None = None, tries: int = 1) -> None:
        super().__init__(text)
        self.request_id = request_id
        self.tries = tries


class NotBilled(CallFailed):
    """Surely not billed."""


class Passing(NotBilled):
    """Not billed, and worth another try.

    Attributes:
        retry_after: seconds the API asks to wait, if it does.
        everyone: the API asks every caller of the endpoint to wait, not this one only.
    """

    def __init__(
        self,
        text: str,
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
        everyone: bool = False,
    ) -> None:
        super().__init__(text, request_id=request_id)
        self.retry_after = retry_after
        self.everyone = everyone


class Refused(NotBilled):
    """Not billed, and the API would refuse it again.

    Attributes:
        status: the HTTP status.
        explanation: the API's own words. They may quote the payload, so they go to the ledger, never to a log.
    """

    def __init__(self, text: str, *, status: int, explanation: str, request_id: str | None = None) -> None:
        super().__init__(text, request_id=request_id)
        self.status = status
        self.explanation = explanation


class SpendLimitReached(NotBilled):
    """The account's spend limit is reached: no job can be paid for until it is raised or the month ends."""


class AccessDenied(CallFailed):
    """The key is missing, wrong or revoked."""


class MayBeBilled(CallFailed):
    """The request left and no readable answer came back: it may have been billed."""


def sorted_failure(error: Exception) -> CallFailed:
    """The API client's exception as one of ours.

    Args:
        error: what the SDK raised, with its retries off.
    """
    if isinstance(error, anthropic.APIStatusError):
        return _by_status(error)
    if isinstance(error, TimeoutError | anthropic.APIConnectionError):
        name = type(error.__cause__ or error).__name__
        if never_connected(error):
            return Passing(f"no connection could be made ({name})")
        return MayBeBilled(f"the connection was lost or timed out after the request left ({name})")
    return MayBeBilled(f"the answer could not be read ({type(error).__name__})")


def never_connected(error: BaseException) -> bool:
    """Whether a connection error happened before any byte of the request could leave.

    The SDK's aiohttp transport reports every aiohttp.ClientConnectionError as httpx2.ConnectError, also a server
    that hung up after it had read the request; only the aiohttp exception beneath tells the two apart.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(
            cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL
        ):
            return True
        cause = cause.__cause__
    return False


def _by_status(error: anthropic.APIStatusError) -> CallFailed:
    status, request_id = error.status_code, error.request_id
    text = f"HTTP {status} {error.type or 'error'}"
    explanation = printable(str(getattr(error, "api_message", None) or "")[:300])
    if getattr(error, "error_code", None) in _SPEND_CODES or status == 402 or _SPEND_SENTENCE in explanation:
        return SpendLimitReached(f"{text}: the account's spend limit is reached", request_id=request_id)
    if status == 401:
        return AccessDenied(f"{text}: the API key is not accepted", request_id=request_id)
    if status in (408, 504):
        return MayBeBilled(text, request_id=request_id)
    if status == 429 or status >= 500:
        wait = _seconds(error.response.headers.get("retry-after"))
        return Passing(text, request_id=request_id, retry_after=wait, everyone=status == 429)
    return Refused(text, status=status, explanation=explanation, request_id=request_id)


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
