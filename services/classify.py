"""Sorts what the API's client raised into the tree of failed calls: may it have been billed?

What an HTTP answer proves is decided in `rules.call_failures`; here it is only taken apart.
"""

import ssl

import aiohttp
import anthropic

from rules.call_failures import ApiError, failure_of_status
from schemas.failures import CallFailure, EndpointUnusable, MayBeBilled, Transient


def classified(error: Exception) -> CallFailure:
    """The API client's exception as one of ours.

    Args:
        error: what the SDK raised, with its retries off.
    """
    if isinstance(error, anthropic.APIStatusError):
        return failure_of_status(
            error.status_code,
            ApiError.in_body(error.body),
            request_id=error.request_id,
            retry_after=_seconds(error.response.headers.get("retry-after")),
        )
    if isinstance(error, TimeoutError | anthropic.APIConnectionError):
        name = type(error.__cause__ or error).__name__
        if _untrusted(error):
            return EndpointUnusable(
                f"the certificate of the endpoint is not trusted ({name}); set SSL_CERT_FILE to the authority that "
                "signed it, or correct the address"
            )
        if never_connected(error):
            return Transient(f"no connection could be made ({name})")
        return MayBeBilled(f"the connection was lost or timed out after the request left ({name})")
    return MayBeBilled(f"the answer could not be read ({type(error).__name__})")


def never_connected(error: BaseException) -> bool:
    """Whether a connection error happened before any byte of the request could leave.

    The SDK's aiohttp transport reports every aiohttp.ClientConnectionError as httpx2.ConnectError, also a server
    that hung up after it had read the request; only the aiohttp exception beneath tells the two apart.
    """
    never = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
    return any(isinstance(cause, never) for cause in _causes(error))


def _untrusted(error: BaseException) -> bool:
    unsafe = (aiohttp.ClientSSLError, ssl.SSLCertVerificationError)
    return any(isinstance(cause, unsafe) for cause in _causes(error))


def _causes(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__
    return found


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
