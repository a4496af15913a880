"""How a call to the API can fail, sorted by the one thing that matters: may it have been billed?

CallFailed
├── NotBilled            surely not billed: the API itself said so, or no byte of the request left
│   ├── Transient        worth another try: 429, 529, 500, a connection that was never made
│   ├── Refused          the API will refuse it again: 400, 404, 413 …
│   ├── SpendLimitReached   the account's own money is used up: stop the run
│   └── EndpointUnusable    what answers at this address is not the API, or cannot be talked to: stop the run
├── AccessDenied         the key is not accepted: stop the run
└── MayBeBilled          silence, a time-out, a proxy's page, an unreadable answer: nothing proves that it was not
"""


class CallFailed(Exception):  # noqa: N818 - the family name
    """A call that brought no answer. Its text has the status and the API's error type, never payload text.

    Attributes:
        request_id: the API's id of the request, if it gave one.
        tries: HTTP tries made.
        status: the HTTP status; None: there was no answer.
    """

    status: int | None = None

    def __init__(self, text: str, *, request_id: str | None = None, tries: int = 1) -> None:
        super().__init__(text)
        self.request_id = request_id
        self.tries = tries

    def as_failure(self) -> "CallFailure":
        """Itself, as one of the kinds that there are."""
        if not isinstance(self, CallFailure):
            raise TypeError(f"{type(self).__name__} is a family of failures, not one of them")
        return self


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
        explanation: the API's own words. They may quote the payload, so they go to the ledger, never to a log.
    """

    def __init__(self, text: str, *, explanation: str, request_id: str | None = None) -> None:
        super().__init__(text, request_id=request_id)
        self.explanation = explanation


class SpendLimitReached(NotBilled):
    """The account's spend limit is reached: no job can be paid for until it is raised or the month ends."""


class EndpointUnusable(NotBilled):
    """The address does not lead to the API: a redirect, a certificate that is not trusted. No request was read."""


class AccessDenied(CallFailed):
    """The key is missing, wrong, revoked, or may not do this."""


class MayBeBilled(CallFailed):
    """The request left, and nothing the API itself said shows that it was not billed."""


#: every failure that a call can end with; a `match` over it is closed with `assert_never`
CallFailure = Transient | Refused | SpendLimitReached | EndpointUnusable | AccessDenied | MayBeBilled
