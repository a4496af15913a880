"""What is read of a Prefect server, in the words of prefect.yaml."""

from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import DeploymentSchedule, WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings

from schemas.deployment import ScheduleSpec
from services import cockpit, early_server
from services.cockpit import flow_run_address, read_cockpit


def deployment(name, *schedules, **more):
    return DeploymentResponse(name=name, flow_id=uuid4(), schedules=list(schedules), **more)


class Server:
    """A Prefect server, as far as it is asked here."""

    def __init__(self, pool=None, workers=(), deployments=()):
        self.pool, self.workers, self.deployments = pool, workers, deployments

    async def api_version(self):
        return "3.8.8"

    async def read_deployments(self):
        return list(self.deployments)

    async def read_work_pool(self, name):
        if self.pool is None:
            raise ObjectNotFound(http_exc=None)
        return self.pool

    async def read_workers_for_work_pool(self, name):
        return self.workers


@pytest.fixture
def read(monkeypatch):
    async def of(server):
        @asynccontextmanager
        async def client():
            yield server

        monkeypatch.setattr(cockpit, "get_client", client)
        return await read_cockpit("weighbridge")

    return of


async def test_a_server_that_knows_nothing_of_the_project_has_no_pool(read):
    found = await read(Server())
    assert (found.version, found.pool_type, found.workers, found.deployments) == ("3.8.8", None, (), {})


async def test_only_workers_that_are_online_count(read):
    workers = [
        SimpleNamespace(name="ana", status=WorkerStatus.ONLINE),
        SimpleNamespace(name="bob", status=WorkerStatus.OFFLINE),
    ]
    found = await read(Server(SimpleNamespace(type="process", is_paused=True), workers))
    assert (found.pool_type, found.pool_paused, found.workers) == ("process", True, ("ana",))


async def test_schedules_are_read_with_their_pauses_and_a_foreign_kind_by_its_name(read):
    cron = DeploymentSchedule(
        slug="at-two", schedule=CronSchedule(cron="0 2 * * *", timezone="Europe/Berlin"), active=False
    )
    other = DeploymentSchedule(schedule=IntervalSchedule(interval=timedelta(hours=1)))
    found = await read(Server(deployments=[deployment("nightly", cron, other, tags=["a"], paused=True)]))
    spec = found.deployments["nightly"]
    assert (spec.tags, spec.paused) == (("a",), True)
    assert spec.schedules[0] == ScheduleSpec("at-two", "0 2 * * *", "Europe/Berlin", active=False)
    assert spec.schedules[1].cron == "IntervalSchedule"


@pytest.mark.parametrize(
    ("api", "page", "address"),
    [
        ("http://127.0.0.1:4200/api", None, "http://127.0.0.1:4200/runs/flow-run/7"),
        ("http://inside:4200/api", "https://prefect.example", "https://prefect.example/runs/flow-run/7"),
        ("http://ana:secret@host:4200/api", None, "http://***@host:4200/runs/flow-run/7"),
    ],
)
def test_a_flow_run_has_the_address_that_the_settings_lead_to(api, page, address):
    with temporary_settings({PREFECT_API_URL: api, PREFECT_UI_URL: page}):
        found = flow_run_address("7")
        assert flow_run_address(None) is None
    assert found == address


def test_a_flow_run_of_a_server_that_does_not_stay_has_no_address():
    with temporary_settings(restore_defaults={PREFECT_API_URL, PREFECT_UI_URL}):
        assert flow_run_address("7") is None


def test_a_server_that_ends_with_the_command_has_no_page_to_go_to(monkeypatch):
    api = "http://127.0.0.1:40123/api"
    monkeypatch.setattr(early_server, "_started", [SimpleNamespace(api=api)])
    with temporary_settings({PREFECT_API_URL: api}, restore_defaults={PREFECT_UI_URL}):
        assert flow_run_address("7") is None
