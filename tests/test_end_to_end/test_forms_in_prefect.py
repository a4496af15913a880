"""The form of `on-demand` in both versions of Prefect's UI: what it shows, what it refuses, and what it starts."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient

from flows.nightly_batch import nightly_batch
from schemas.forms.flow_forms import NightlyForm
from services.deploy import FlowForm, deploy
from services.deployments import deployments_of
from tests.browsers import launched_chromium
from tests.processes import fetch, until
from tests.shown_forms import SHOWN, UIS, ShownForm

pytestmark = [pytest.mark.prefect, pytest.mark.slow]
#: names of its own: other tests count what is on the server
NAME = "forms-in-prefect"


@pytest.fixture(scope="module")
def on_demand(prefect_api):
    """The id of the deployment, as `weighbridge up` makes it."""
    form = FlowForm(NAME, nightly_batch.parameters.model_dump_for_openapi())
    [spec] = [replace(one, work_pool=NAME) for one in deployments_of() if one.name == "on-demand"]

    async def made():
        await deploy(prefect_api, [(spec, form)], Path("/srv/weighbridge"))
        async with PrefectClient(prefect_api) as client:
            return str((await client.read_deployment_by_name(f"{NAME}/on-demand")).id)

    async def removed():
        async with PrefectClient(prefect_api) as client:
            await client.delete_flow((await client.read_flow_by_name(NAME)).id)
            await client.delete_work_pool(NAME)

    yield asyncio.run(made())
    asyncio.run(removed())


@pytest.fixture(scope="module")
def chromium(on_demand):
    with launched_chromium() as browser:
        yield browser


@pytest.fixture(params=UIS)
def form(request, chromium, prefect_api, on_demand):
    address = prefect_api.removesuffix("/api")
    context = chromium.new_context(viewport={"width": 1200, "height": 2600})
    context.add_cookies([{"name": "prefect_ui_version", "value": request.param, "url": address}])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{address}{UIS[request.param]}/deployments/deployment/{on_demand}/run")
    page.get_by_text(SHOWN["base_url"]["title"]).first.wait_for()
    yield ShownForm(page, request.param)
    context.close()


def runs_of(api, deployment):
    return fetch(f"{api}/flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}, "limit": 50})


def test_the_form_shows_what_the_run_takes_refuses_what_it_refuses_and_starts_the_run(
    form, prefect_api, on_demand
):
    text = form.page.locator("body").inner_text()
    places = [text.index(f"\n{field['title']}") for field in SHOWN.values()]
    assert places == sorted(places)
    assert [name for name, field in SHOWN.items() if field["description"] not in text] == []
    assert 'Property is type "None"' not in text
    assert (form.box("jobs").input_value(), form.box("seed").input_value()) == ("data/incoming/{date}*", "1")
    form.picture("empty")
    before = {run["id"] for run in runs_of(prefect_api, on_demand)}

    def begun():
        return [run for run in runs_of(prefect_api, on_demand) if run["id"] not in before]

    form.write(run_budget_usd="12,50")
    form.submit()
    form.page.get_by_text("'12,50' does not match").first.wait_for()
    form.picture("wrong_amount")
    form.write(run_budget_usd="12.50", deadline="25:00")
    form.submit()
    form.page.get_by_text("'25:00' does not match").first.wait_for()
    form.picture("wrong_time")
    form.write(deadline="06:30", limit="0", jobs="in.csv")
    form.submit()
    if form.ui == "v1":
        form.page.get_by_text("0 is less than the minimum of 1").first.wait_for()
    else:
        assert form.message_of_the_browser("limit") == "Value must be greater than or equal to 1."
    form.picture("wrong_number")
    assert begun() == []

    form.write(limit="3")
    form.choose("mode", "batches")
    form.choose("effort", "high")
    form.picture("right")
    [run] = form.submit_until(begun)
    asked = {"jobs": "in.csv", "mode": "batches", "run_budget_usd": "12.50", "deadline": "06:30", "limit": 3}
    given = {name: value for name, value in run["parameters"].items() if value != SHOWN[name].get("default")}
    assert given == asked | {"effort": "high"}
    assert NightlyForm.checked(run["parameters"])["effort"] == "high"


def test_a_form_that_is_left_as_it_is_starts_the_run_with_what_the_deployment_says(
    form, prefect_api, on_demand
):
    before = {run["id"] for run in runs_of(prefect_api, on_demand)}
    form.submit()

    def begun():
        return [run for run in runs_of(prefect_api, on_demand) if run["id"] not in before]

    [run] = until(begun, "the flow run")
    asked = NightlyForm.checked(run["parameters"])
    assert asked == NightlyForm.checked({"jobs": "data/incoming/{date}*"})
