"""A Prefect server that is gone costs next to nothing at exit, however many events are left."""

import asyncio

import pytest
from prefect.events import Event, Resource
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from services.prefect_events import TRIES_AT_ONCE, send_events_briefly
from tests.processes import free_port

GONE = "http://127.0.0.1:9/api"


@pytest.fixture(autouse=True)
def _no_override_is_left():
    before = EventsWorker._client_override
    yield
    EventsWorker._client_override = before


@pytest.fixture
def slept(monkeypatch):
    """How often Prefect's client slept between its tries."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("prefect.events.clients.asyncio.sleep", sleep)
    return slept


def event() -> Event:
    return Event(event="tried", resource=Resource({"prefect.resource.id": "x"}))


@pytest.mark.parametrize(("tries", "sleeps"), [(TRIES_AT_ONCE, 0), (10, 7)])
def test_an_event_for_a_server_that_is_gone_waits_for_nothing_in_our_tries(slept, tries, sleeps):
    api = f"http://127.0.0.1:{free_port()}/api"
    client = PrefectEventsClient(api_url=api, reconnection_attempts=tries)
    with pytest.raises(OSError):
        asyncio.run(client._emit(event()))
    assert len(slept) == sleeps


@pytest.mark.parametrize(
    ("api", "override"),
    [
        (GONE, (PrefectEventsClient, (("reconnection_attempts", TRIES_AT_ONCE),))),
        (None, None),
        ("https://api.prefect.cloud/api/accounts/a", None),
    ],
)
def test_only_a_server_of_ones_own_is_tried_so(api, override):
    EventsWorker.set_client_override(None)
    with temporary_settings({PREFECT_API_URL: api}):
        send_events_briefly()
    assert EventsWorker._client_override == override
