"""Sorts what the API's client raised into the tree of failed calls: may it have been billed?"""

import aiohttp
import anthropic

from schemas.failures import AccessDenied, CallFailed, MayBeBilled, Refused, SpendLimitReached, Transient
from schemas.words import printable

#: the API's error codes for money limits, which no retry gets past (source: Anthropic rate limits page)
_SPEND_CODES = ("enforced_spend_limit_reached", "contract_spend_limit_reached")


#: how a 400 begins when a limit the customer set is reached (source: Anthropic errors page)
_SPEND_SENTENCE = "You have reached your specified"


def classified(error: Exception) -> CallFailed:
    """The API client's exception as one of ours.

    Args:
        error: what the SDK raised, with its retries off.
    """
    if isinstance(error, anthropic.APIStatusError):
        return _by_status(error)
    if isinstance(error, TimeoutError | anthropic.APIConnectionError):
        name = type(error.__cause__ or error).__name__
        if never_connected(error):
            return Transient(f"no connection could be made ({name})")
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
        return Transient(text, request_id=request_id, retry_after=wait, everyone=status == 429)
    return Refused(text, status=status, explanation=explanation, request_id=request_id)


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
