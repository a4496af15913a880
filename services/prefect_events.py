"""Prefect's events, sent so that a command does not wait long for a server that is gone.

Prefect reports the states of task runs as events, sends them from a thread, and at exit waits until all have been sent.
Its client tries each of them eleven times, with a second between the later tries, so that after a server has gone away a
command that has four hundred events left would wait for nearly an hour. The first tries follow each other at once, and
what they could not send goes out when a later event finds the server again (source:
`prefect.events.clients.PrefectEventsClient`).
"""

from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker, emit_events_to_cloud, should_emit_events_to_running_server

#: tries beyond the first that follow each other at once
TRIES_AT_ONCE = 2


def send_events_briefly() -> None:
    """Let the events of this process be tried three times each, all at once.

    Where they go to Prefect Cloud, or to no server yet, Prefect chooses its own client.
    """
    if should_emit_events_to_running_server() and not emit_events_to_cloud():
        # of Prefect's own class: it drops what goes to a client of any other (`prefect.events.utilities.emit_event`)
        EventsWorker.set_client_override(PrefectEventsClient, reconnection_attempts=TRIES_AT_ONCE)
