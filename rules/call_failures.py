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
from schemas.words import masked_url, printable


class Call(Enum):
    """What a call costs, and so what its failure can have cost."""

    #: nothing: whatever became of it, it may be made again
    FREE = auto()
    #: a message: the API's own error object proves that it was not billed
    PAID = auto()
    #: a batch: an error within the API may come after the batch was made
    CREATION = auto()


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
#: error types that are given before a batch is made, also with a 5xx status
CREATION_NOT_REACHED = ("rate_limit_error", "overloaded_error")
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
        code: its error code (`details.error_code`), if it has one.
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
        message, details = error.get("message"), error.get("details")
        codes = details if isinstance(details, dict) else error
        code = codes.get("error_code") or codes.get("code")
        return cls(
            kind=printable(error["type"][:60]),
            message=printable(message[:300]) if isinstance(message, str) else "",
            code=code if isinstance(code, str) else None,
        )


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An HTTP answer other than 2xx, as far as it matters.

    Attributes:
        status: the HTTP status.
        error: the API's own error object; None: the answer has none, so it is not the API's.
        request_id: the API's id of the request.
        retry_after: seconds that the answer asks to wait.
        location: where a redirect leads.
    """

    status: int
    error: ApiError | None = None
    request_id: str | None = None
    retry_after: float | None = None
    location: str | None = None


def failure_of(answer: HttpAnswer, call: Call = Call.PAID) -> CallFailure:
    """What an HTTP answer other than 2xx proves about a call."""
    failure = _without_error_object(answer)
    if answer.error is not None:
        failure = _by_proof(answer, answer.error, call)
    failure.status = answer.status
    return failure


def of_call(failure: CallFailure, call: Call) -> CallFailure:
    """A failure as it is for this kind of call: one that costs nothing may be made again."""
    if call is not Call.FREE or not isinstance(failure, MayBeBilled):
        return failure
    free = Transient(str(failure), request_id=failure.request_id)
    free.status = failure.status
    return free


def without_batches(request_id: str | None, endpoint: str) -> EndpointUnusable:
    """The failure of a batch's creation at an address that has no batches: no job can be blamed for it."""
    failure = EndpointUnusable(
        f"HTTP 404: {endpoint} has no Message Batches, so nothing was made there; run with --mode messages, or set "
        "ANTHROPIC_BASE_URL to an address that has them",
        request_id=request_id,
    )
    failure.status = 404
    return failure


def _by_proof(answer: HttpAnswer, error: ApiError, call: Call) -> CallFailure:
    text, request_id = f"HTTP {answer.status} {error.kind}", answer.request_id
    if error.code in SPEND_CODES or error.message.startswith(SPEND_SENTENCES):
        return SpendLimitReached(f"{text}: {_NO_MONEY}", request_id=request_id)
    proof = PROOFS.get(error.kind, Proof.REFUSED if 400 <= answer.status < 500 else Proof.NOTHING)
    if call is Call.CREATION and answer.status >= 500 and error.kind not in CREATION_NOT_REACHED:
        proof = Proof.NOTHING
    match proof:
        case Proof.TRANSIENT:
            return Transient(
                text,
                request_id=request_id,
                retry_after=answer.retry_after,
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


def _without_error_object(answer: HttpAnswer) -> CallFailure:
    if answer.status in _REDIRECTS:
        where = masked_url(answer.location[:300]) if answer.location else "elsewhere"
        return EndpointUnusable(
            f"HTTP {answer.status}: the address redirects to {where}, and a paid request is not sent twice; set "
            "ANTHROPIC_BASE_URL to the address of the API itself",
            request_id=answer.request_id,
        )
    return MayBeBilled(
        f"HTTP {answer.status} that is not the API's own answer (a proxy's page)",
        request_id=answer.request_id,
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
