"""One request on its way through the simulator."""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from simulator.http.callers import Caller
from simulator.plan import EndpointName, Fault


@dataclass(slots=True)
class ApiCall:
    """One request, and what became of it so far.

    Attributes:
        request: as it came.
        endpoint: what it is counted under.
        ids: (request id, message id).
        raw: its body.
        caller: whose key it came with.
        headers: of the answer, as far as they are settled.
        fault: what strikes it, once that is drawn.
        billed: whether what it asked for is paid for.
        object_id: id of what it made or is about: a message, a batch.
        on_begin: what happens when its answer begins, if anything does.
    """

    request: web.Request
    endpoint: EndpointName
    ids: tuple[str, str]
    raw: bytes
    caller: Caller
    headers: dict[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    billed: bool = False
    object_id: str | None = None
    on_begin: Callable[[], None] | None = None

    def begin(self) -> None:
        """Do what happens when the answer begins."""
        if self.on_begin is not None:
            self.on_begin()

    @property
    def path(self) -> bytes:
        """Path and query: what a fault is matched with where there is no body."""
        return self.request.path_qs.encode()
