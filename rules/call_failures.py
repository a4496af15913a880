"""What a failed call proves about billing: one table, for calls and for the items of a batch.

Only the API's own error object proves that a request was not billed (source: Anthropic errors page, 2026-10). A page of
a proxy, a status without that object, and silence prove nothing, whatever the status.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from schemas.failures import (
    AccessDenied,
    CallFailure,
    EndpointUnusable,
    MayBeBilled,
    Refused,
    SpendLimitReached,
    Transient,
)
from schemas.words import printable


class Proof(Enum):
    """What an error type of the API proves."""

    #: not billed, and the same request may be answered later
    TRANSIENT = auto()
    #: not billed, and the same request will be refused again
    REFUSED = auto()
    #: not billed, and nothing will be until the account has money again
    NO_MONEY = auto()
    #: not billed, and nothing will be with this key
    NO_ACCESS = auto()
    #: the API took the request and gave up on it: it may have been billed
    NOTHING = auto()


#: by the API's error type (source: Anthropic errors page, 2026-10; batch items carry the same types)
PROOFS = {
    "rate_limit_error": Proof.TRANSIENT,
    "overloaded_error": Proof.TRANSIENT,
    "api_error": Proof.TRANSIENT,
    "timeout_error": Proof.NOTHING,
    "billing_error": Proof.NO_MONEY,
    "authentication_error": Proof.NO_ACCESS,
    "permission_error": Proof.NO_ACCESS,
    "invalid_request_error": Proof.REFUSED,
    "not_found_error": Proof.REFUSED,
    "request_too_large": Proof.REFUSED,
    "conflict_error": Proof.REFUSED,
}
#: the API's error codes for money limits, which no retry gets past (source: Anthropic rate limits page)
SPEND_CODES = ("enforced_spend_limit_reached", "contract_spend_limit_reached")
#: how a 400 begins when the account has no money left, or a limit the customer set is reached; only the beginning of
#: the sentence counts, for the rest may quote a payload (source: Anthropic errors page)
SPEND_SENTENCES = ("You have reached your specified", "Your credit balance is too low")
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class ApiError:
    """The API's own error object.

    Attributes:
        kind: its type, such as "rate_limit_error".
        message: its words, which may quote the payload.
        code: its error code, if it has one.
    """

    kind: str
    message: str = ""
    code: str | None = None

    @classmethod
    def in_body(cls, body: object) -> "ApiError | None":
        """The error object of a response body ({"type": "error", "error": {…}}), or None when it has none."""
        if not isinstance(body, dict) or body.get("type") != "error":
            return None
        return cls.of(body.get("error"))

    @classmethod
    def of(cls, error: Any) -> "ApiError | None":
        """The error object itself, or None when it is not one."""
        if not isinstance(error, dict) or not isinstance(error.get("type"), str):
            return None
        message, code = error.get("message"), error.get("code") or error.get("error_code")
        return cls(
            kind=printable(error["type"][:60]),
            message=printable(message[:300]) if isinstance(message, str) else "",
            code=code if isinstance(code, str) else None,
        )


def failure_of_status(
    status: int, error: ApiError | None, *, request_id: str | None = None, retry_after: float | None = None
) -> CallFailure:
    """What an HTTP answer other than 2xx is.

    Args:
        status: the HTTP status.
        error: the API's own error object; None: the answer has none, so it is not the API's.
        request_id: the API's id of the request.
        retry_after: seconds that the answer asks to wait.
    """
    failure = _by_proof(status, error, request_id=request_id, retry_after=retry_after)
    failure.status = status
    return failure


def _by_proof(
    status: int, error: ApiError | None, *, request_id: str | None = None, retry_after: float | None = None
) -> CallFailure:
    if error is None:
        return _without_error_object(status, request_id)
    text = f"HTTP {status} {error.kind}"
    if error.code in SPEND_CODES or error.message.startswith(SPEND_SENTENCES):
        return SpendLimitReached(f"{text}: {_NO_MONEY}", request_id=request_id)
    match PROOFS.get(error.kind, Proof.REFUSED if 400 <= status < 500 else Proof.NOTHING):
        case Proof.TRANSIENT:
            return Transient(
                text,
                request_id=request_id,
                retry_after=retry_after,
                everyone=error.kind == "rate_limit_error",
            )
        case Proof.REFUSED:
            return Refused(text, explanation=error.message, request_id=request_id)
        case Proof.NO_MONEY:
            return SpendLimitReached(f"{text}: {_NO_MONEY}", request_id=request_id)
        case Proof.NO_ACCESS:
            return AccessDenied(f"{text}: {_NO_ACCESS}", request_id=request_id)
        case Proof.NOTHING:
            return MayBeBilled(text, request_id=request_id)


_NO_MONEY = "the account's spend limit is reached, or its credit is used up"
_NO_ACCESS = "the API key is not accepted, or may not do this"


def _without_error_object(status: int, request_id: str | None) -> CallFailure:
    if status in _REDIRECTS:
        return EndpointUnusable(
            f"HTTP {status}: the address redirects elsewhere; set ANTHROPIC_BASE_URL to the address of the API itself",
            request_id=request_id,
        )
    return MayBeBilled(
        f"HTTP {status} that is not the API's own answer (a proxy's page)", request_id=request_id
    )


def failure_of_item(error: ApiError | None) -> CallFailure:
    """What an errored item of a batch is. Only succeeded items are billed (source: batch processing page, 2026-10-08)."""
    error = error or ApiError("error")
    text = f"{error.kind}: {error.message}" if error.message else error.kind
    if error.code in SPEND_CODES or error.message.startswith(SPEND_SENTENCES):
        return SpendLimitReached(text)
    match PROOFS.get(error.kind, Proof.REFUSED):
        case Proof.TRANSIENT | Proof.NOTHING:
            return Transient(text)
        case Proof.REFUSED:
            return Refused(error.kind, explanation=error.message)
        case Proof.NO_MONEY:
            return SpendLimitReached(text)
        case Proof.NO_ACCESS:
            return AccessDenied(text)
