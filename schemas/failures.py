"""How a call to the API can fail, sorted by the one thing that matters: may it have been billed?

CallFailed
├── NotBilled            surely not billed
│   ├── Passing          worth another try: 429, 529, 5xx but 504, a connection that was never made
│   ├── Refused          the API will refuse it again: 400, 404, 413 …
│   └── SpendLimitReached   the account's own money is used up: stop the run
├── AccessDenied         the key is not accepted: stop the run
└── MayBeBilled          a time-out, a 504, a connection lost after the request left, an unreadable answer
"""


class CallFailed(Exception):  # noqa: N818 - the family name
    """A call that brought no answer. Its text has the status and the API's error type, never payload text."""

    def __init__(self, text: str, *, request_id: str | None = None, tries: int = 1) -> None:
        super().__init__(text)
        self.request_id = request_id
        self.tries = tries


class NotBilled(CallFailed):
    """Surely not billed."""


class Transient(NotBilled):
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
