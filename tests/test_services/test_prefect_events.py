"""A Prefect server that is gone costs a few seconds at exit, however many events are left."""

import asyncio

import pytest
from prefect.events import Event, Resource
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from services import prefect_events as module
from services.prefect_events import BriefEventsClient, send_events_briefly

GONE = "http://127.0.0.1:9/api"


@pytest.fixture(autouse=True)
def _no_override_is_left():
    before = EventsWorker._client_override
    yield
    EventsWorker._client_override = before


def event() -> Event:
    return Event(event="tried", resource=Resource({"prefect.resource.id": "x"}))


class Clock:
    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def tried(monkeypatch):
    """The events that Prefect's own client was asked to send, all in vain until `tried.clear` is looked at again."""
    tried: list[Event] = []

    async def in_vain(_self, event):
        tried.append(event)
        raise ConnectionRefusedError

    monkeypatch.setattr(PrefectEventsClient, "_emit", in_vain)
    return tried


def test_after_one_event_in_vain_the_next_are_dropped_untried_for_a_while(clock, tried):
    client = BriefEventsClient(GONE)
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(client._emit(event()))
    for _ in range(500):
        asyncio.run(client._emit(event()))
    assert len(tried) == 1
    clock.now += module._PAUSE_SECONDS
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(client._emit(event()))
    assert len(tried) == 2


@pytest.mark.parametrize(
    ("api", "client"),
    [(GONE, BriefEventsClient), (None, None), ("https://api.prefect.cloud/api/accounts/a", None)],
)
def test_only_a_server_of_ones_own_gets_this_client(api, client):
    EventsWorker.set_client_override(None)
    with temporary_settings({PREFECT_API_URL: api}):
        send_events_briefly()
    assert (EventsWorker._client_override or (None,))[0] is client
