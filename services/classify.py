"""Sorts what the API's client raised into the tree of failed calls: may it have been billed?

What an HTTP answer proves is decided in `rules.call_failures`; here it is only taken apart.
"""

import ssl
from datetime import UTC, datetime
from typing import TypeVar

import aiohttp
import anthropic
import httpx2
from aiohttp.http_exceptions import LineTooLong

from rules.call_failures import ApiError, Call, HttpAnswer, failure_of, of_call
from rules.retry_after import retry_seconds
from schemas.failures import CallFailure, EndpointUnusable, MayBeBilled, Transient

_E = TypeVar("_E", bound=BaseException)
#: these are raised before a byte of the request could leave. The SDK's aiohttp transport reports every
#: aiohttp.ClientConnectionError as httpx2.ConnectError, also a server that hung up after it had read the request; only
#: the aiohttp exception beneath tells the two apart. An HTTP proxy that refuses to CONNECT has seen the host's name only
_NEVER_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
)
_NO_ADDRESS = (aiohttp.InvalidURL, httpx2.UnsupportedProtocol, httpx2.InvalidURL)


def classified(error: Exception, call: Call, *, handed_over: bool = True) -> CallFailure:
    """The API client's exception as one of our failures.

    Args:
        error: what the SDK raised, with its retries off.
        call: what the call costs.
        handed_over: the request was complete and given to the transport; until then nothing can have left.
    """
    if isinstance(error, anthropic.APIStatusError):
        return of_call(failure_of(_taken_apart(error), call), call)
    return of_call(_without_answer(error, call, handed_over=handed_over), call)


def _taken_apart(error: anthropic.APIStatusError) -> HttpAnswer:
    headers = error.response.headers
    return HttpAnswer(
        status=error.status_code,
        error=ApiError.in_body(error.body),
        request_id=error.request_id,
        retry_after=retry_seconds(headers.get("retry-after"), headers.get("date"), datetime.now(UTC)),
        location=headers.get("location"),
    )


def _without_answer(error: Exception, call: Call, *, handed_over: bool) -> CallFailure:
    """What an error is that brought no HTTP status, or came while an answer was read."""
    name = type(error.__cause__ or error).__name__
    if _beneath(error, _NO_ADDRESS):
        return EndpointUnusable(
            f"the address of the endpoint is none that can be called ({name}); correct ANTHROPIC_BASE_URL"
        )
    if untrusted := _beneath(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return _unsafe(untrusted)
    if never := _beneath(error, _NEVER_CONNECTED):
        return Transient(f"no connection could be made ({_why_not(never)})")
    if not handed_over:
        return Transient(f"the request could not be put together on this side, and nothing left ({name})")
    if _beneath(error, (LineTooLong,)):
        return _large_headers(call)
    undecoded = _beneath(error, (httpx2.DecodingError,))
    if undecoded is None and isinstance(error, anthropic.APIConnectionError | aiohttp.ClientError | OSError):
        return MayBeBilled(f"the connection was lost or timed out after the request left ({name})")
    return MayBeBilled(f"the answer could not be read ({type(undecoded or error).__name__})")


def _unsafe(error: BaseException) -> CallFailure:
    """A failed TLS handshake: the request is written after it, so that none was read."""
    certificate = getattr(error, "certificate_error", error)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        reason = getattr(certificate, "verify_message", None) or type(certificate).__name__
        return EndpointUnusable(
            f"the certificate of the endpoint is not trusted ({reason}); set SSL_CERT_FILE to a "
            "file with the authority that signed it, or correct the address"
        )
    if isinstance(error, aiohttp.ClientSSLError):
        reason = getattr(error.os_error, "reason", None) or type(error).__name__
        return EndpointUnusable(
            f"no TLS connection could be made ({reason}); correct ANTHROPIC_BASE_URL: does the address speak https?"
        )
    return MayBeBilled(f"the TLS connection broke after the request left ({type(error).__name__})")


def _large_headers(call: Call) -> CallFailure:
    text = (
        "the headers of the answer are larger than the 8 KB that are read; something between here and the API adds "
        "them: set ANTHROPIC_BASE_URL to reach the API without it"
    )
    return EndpointUnusable(text) if call is Call.FREE else MayBeBilled(text)


def _why_not(error: BaseException) -> str:
    """Why no connection was made: the kind of error, and the system's word for it."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered HTTP {error.status}; correct HTTPS_PROXY, or name the host in NO_PROXY"
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"{name}: the proxy does not answer; correct HTTPS_PROXY, or name the host in NO_PROXY"
    system = getattr(error, "os_error", None)
    return f"{name}: {system.strerror}" if isinstance(system, OSError) and system.strerror else name


def _beneath(error: BaseException | None, kinds: tuple[type[_E], ...]) -> _E | None:
    """The first error of these kinds among an error and what it was raised from."""
    while error is not None:
        if isinstance(error, kinds):
            return error
        error = error.__cause__
    return None
