"""Prefect's events, sent by a client that does not keep a command waiting for a server that is gone.

Prefect reports the states of task runs as events, sends them from a thread, and at exit waits until all have been sent.
Its client tries each of them eleven times, about eight seconds in all, so that after a server has gone away a command
that has four hundred events left would wait for nearly an hour (source: `prefect.events.clients.PrefectEventsClient`).
"""

import time

from prefect.events import Event
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker, emit_events_to_cloud, should_emit_events_to_running_server

#: for how long after a failure events are dropped untried
_PAUSE_SECONDS = 30.0


class BriefEventsClient(PrefectEventsClient):
    """A client that, once an event could not be sent in all its tries, drops the following ones for a while."""

    _silent_until = 0.0

    async def _emit(self, event: Event) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            await super()._emit(event)
        except Exception:
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            raise


def send_events_briefly() -> None:
    """Let the events of this process go out through the client above.

    Where they go to Prefect Cloud, or to no server yet, Prefect chooses its own client.
    """
    if should_emit_events_to_running_server() and not emit_events_to_cloud():
        EventsWorker.set_client_override(BriefEventsClient)
