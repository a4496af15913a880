"""The refusals of the API: a status, an error type and a message, in the API's JSON shape.

Source: Anthropic docs, "Errors" (2026-08-21).
"""

from typing import Any

#: the error type that belongs to each status
ERROR_TYPES: dict[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

#: `error.details.error_code` of the 429 that says the month's spend cap of the API tier is reached
SPEND_CAP_CODE = "enforced_spend_limit_reached"


class RefusedError(Exception):
    """A request that the API refuses.

    Args:
        status: HTTP status, a key of `ERROR_TYPES`.
        message: what is wrong, by field name and position; never any text of the payload.
        error_code: optional `error.details.error_code`.
        retry_after: optional value of the `retry-after` header, seconds.
    """

    def __init__(
        self, status: int, message: str, *, error_code: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_code = error_code
        self.retry_after = retry_after

    def body(self, request_id: str) -> dict[str, Any]:
        """The error as the API's JSON object.

        Args:
            request_id: id of the refused request.

        Returns:
            `{"type": "error", "error": {"type", "message"[, "details"]}, "request_id"}`.
        """
        error: dict[str, Any] = {"type": ERROR_TYPES[self.status], "message": self.message}
        if self.error_code is not None:
            error["details"] = {"error_code": self.error_code}
        return {"type": "error", "error": error, "request_id": request_id}


def invalid(where: str, problem: str) -> RefusedError:
    """A 400 that names the field at fault.

    Args:
        where: path of the field, such as `messages.0.content`; never a value from the payload.
        problem: what is wrong with it.

    Returns:
        the error, to be raised by the caller.
    """
    return RefusedError(400, f"{where}: {problem}")
