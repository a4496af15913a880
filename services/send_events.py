"""Events of ours on a Prefect server, which automations listen to."""

import logging
from collections.abc import Iterable

from prefect.events import emit_event

from schemas.alert import AlertEvent

log = logging.getLogger("weighbridge")


def send_events(events: Iterable[AlertEvent], run_id: str, flow_run: str | None) -> None:
    """Send events about a run. They go out from a thread of Prefect's, so that nobody waits for a server.

    Args:
        events: to be sent.
        run_id: whose they are.
        flow_run: the id of the flow run that shows it; None: there is none, and nothing is sent.
    """
    if flow_run is None:
        return
    resource = {"prefect.resource.id": f"prefect.flow-run.{flow_run}", "prefect.resource.name": run_id}
    for event in events:
        emit_event(event.name, resource, payload={"sentence": event.sentence, "run_id": run_id})
