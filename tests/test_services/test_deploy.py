"""Deployments on a real server: what is missing is made, what an operator changed stays, and a reset takes it back."""

from dataclasses import replace
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import FlowFilter, FlowFilterName

from schemas.deployment import DeploymentSpec, ScheduleSpec
from services.cockpit import is_worked
from services.deploy import FlowForm, deploy
from services.deployments import spec_on_server

pytestmark = pytest.mark.prefect
FORM = FlowForm("deploy-test", {"type": "object", "properties": {"jobs": {"type": "string"}}})
SPEC = DeploymentSpec(
    name="nightly",
    entrypoint="flows.nightly_batch.nightly_batch",
    description="Every night.",
    tags=("weighbridge",),
    parameters={"jobs": "data/incoming"},
    schedules=(ScheduleSpec("at-two", "0 2 * * *", "Europe/Berlin"),),
    work_pool="deploy-test",
)
FOLDER = Path("/srv/night")


@pytest.fixture
async def server(prefect_api):
    """A client of the session's server, on which nothing of the test is left."""
    async with PrefectClient(prefect_api) as client:
        yield client
        for flow in await client.read_flows(flow_filter=FlowFilter(name=FlowFilterName(any_=[FORM.name]))):
            await client.delete_flow(flow.id)
        await client.delete_work_pool(SPEC.work_pool)


async def on_server(client):
    return await client.read_deployment_by_name(f"{FORM.name}/{SPEC.name}")


async def test_what_is_missing_is_made_with_its_pool_and_a_second_time_nothing_is_done(server, prefect_api):
    first = await deploy(prefect_api, [(SPEC, FORM)], FOLDER)
    assert (first.made, first.reset, first.differences) == (["nightly"], [], [])
    found = await on_server(server)
    assert spec_on_server(found) == SPEC
    assert found.parameter_openapi_schema == FORM.parameters
    assert found.pull_steps == [
        {"prefect.deployments.steps.set_working_directory": {"directory": "/srv/night"}}
    ]
    assert (await server.read_work_pool(SPEC.work_pool)).type == "process"
    assert not await is_worked(prefect_api, SPEC.work_pool)
    second = await deploy(prefect_api, [(SPEC, FORM)], FOLDER)
    assert (second.made, second.reset, second.differences) == ([], [], [])
    assert (await on_server(server)).updated == found.updated


async def test_what_an_operator_changed_is_named_and_stays_until_a_reset(server, prefect_api):
    await deploy(prefect_api, [(SPEC, FORM)], FOLDER)
    found = await on_server(server)
    changed = DeploymentUpdate(
        tags=["mine"], parameters={"jobs": "elsewhere"}, description="Mine.", paused=True
    )
    await server.update_deployment(found.id, changed)
    await server.update_deployment_schedule(found.id, found.schedules[0].id, active=False)
    theirs = spec_on_server(await on_server(server))

    again = await deploy(prefect_api, [(SPEC, FORM)], FOLDER)
    assert spec_on_server(await on_server(server)) == theirs
    assert [line.partition(" is ")[0] for line in again.differences] == [
        "nightly: description",
        "nightly: tags",
        "nightly: parameters",
        "nightly: paused",
        "nightly: the schedule at-two",
    ]

    reset = await deploy(prefect_api, [(SPEC, FORM)], FOLDER, reset=True)
    assert (reset.reset, reset.differences) == (["nightly"], [])
    assert spec_on_server(await on_server(server)) == SPEC


async def test_the_form_and_the_entry_point_follow_the_program_and_a_schedule_of_an_operator_stays(
    server, prefect_api
):
    await deploy(prefect_api, [(SPEC, FORM)], FOLDER)
    found = await on_server(server)
    await server.delete_deployment_schedule(found.id, found.schedules[0].id)
    newer = FlowForm(FORM.name, {"type": "object", "properties": {"jobs": {}, "limit": {}}})
    moved = replace(SPEC, entrypoint="flows.quote.quote")
    report = await deploy(prefect_api, [(moved, newer)], Path("/srv/other"))
    [difference] = report.differences
    assert "the schedule at-two is missing on the server" in difference
    after = await on_server(server)
    assert after.parameter_openapi_schema == newer.parameters
    assert after.entrypoint == "flows.quote.quote"
    assert "/srv/other" in str(after.pull_steps)
    assert after.schedules == []
