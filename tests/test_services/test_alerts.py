"""Alerts on a real server: what is missing is made, what an operator changed stays, a reset takes it back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.events import emit_event
from prefect.events.schemas.automations import AutomationCore
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Pending, Running, Scheduled

from rules.watched_alerts import NIGHTLY, alerts
from schemas.alert import AlertChannels
from schemas.errors import BadInput
from services.alerts import alerts_on_server, apply_alerts, remove_alerts
from services.notification_blocks import BLOCK_NAME
from tests.hooks import hook
from tests.processes import until

pytestmark = pytest.mark.prefect
SPECS = alerts(2)
NAMES = [spec.name for spec in SPECS]


@pytest.fixture
async def server(prefect_api):
    """A client of the session's server, on which no alert is left."""
    async with PrefectClient(prefect_api) as client:
        yield client
        await remove_alerts(prefect_api, SPECS)


@pytest.fixture
def listening():
    with hook() as found:
        yield found


async def automation(client, name=NAMES[0]):
    [found] = await client.read_automations_by_name(name)
    return found


async def test_what_is_missing_is_made_and_a_second_time_nothing_is_done(server, prefect_api):
    channels = AlertChannels(webhook="http://127.0.0.1:9/secret-path")
    first = await apply_alerts(prefect_api, SPECS, channels)
    assert first.made == [f"the block custom-webhook/{BLOCK_NAME}", *NAMES]
    made = await automation(server)
    second = await apply_alerts(prefect_api, SPECS, channels)
    assert (second.made, second.reset, second.differences, second.kept) == ([], [], [], len(SPECS))
    assert await automation(server) == made
    listed = await alerts_on_server(prefect_api, SPECS)
    assert [(one.name, one.on, one.sends_to) for one in listed] == [
        (name, True, (f"custom-webhook/{BLOCK_NAME}",)) for name in NAMES
    ]


@pytest.mark.slow
async def test_what_an_operator_changed_is_named_and_stays_until_a_reset(server, prefect_api):
    channels = AlertChannels(webhook="http://127.0.0.1:9/first")
    await apply_alerts(prefect_api, SPECS, channels)
    made = await automation(server)
    theirs = made.model_copy(update={"description": "Mine.", "enabled": False})
    await server.update_automation(
        made.id, AutomationCore.model_validate(theirs.model_dump(exclude={"owner_resource"}))
    )

    elsewhere = AlertChannels(webhook="http://127.0.0.1:9/second")
    again = await apply_alerts(prefect_api, SPECS, elsewhere)
    assert (await automation(server)).description == "Mine."
    assert again.made == again.reset == []
    assert again.kept == len(SPECS) - 1
    assert again.differences == [
        f"the block custom-webhook/{BLOCK_NAME}: it says something else than was given.",
        f"{NAMES[0]}: whether it is on and its description differs on the server.",
    ]
    assert await webhook_of(server) == "http://127.0.0.1:9/first"
    assert [one.on for one in await alerts_on_server(prefect_api, SPECS)][:2] == [False, True]

    reset = await apply_alerts(prefect_api, SPECS, elsewhere, reset=True)
    assert (reset.reset, reset.differences) == ([f"the block custom-webhook/{BLOCK_NAME}", NAMES[0]], [])
    after = await automation(server)
    assert (after.enabled, after.description, after.id) == (True, made.description, made.id)
    assert await webhook_of(server) == "http://127.0.0.1:9/second"


async def webhook_of(client):
    document = await client.read_block_document_by_name(BLOCK_NAME, "custom-webhook")
    return document.data["secrets"]["address"]


async def test_an_address_is_not_shown_in_the_prefect_ui(server, prefect_api):
    await apply_alerts(prefect_api, SPECS, AlertChannels(webhook="http://127.0.0.1:9/secret-path"))
    shown = await server.read_block_document_by_name(BLOCK_NAME, "custom-webhook", include_secrets=False)
    assert "secret-path" not in shown.model_dump_json()
    assert "secret-path" not in repr(AlertChannels(webhook="http://127.0.0.1:9/secret-path"))


async def test_removing_takes_away_alerts_and_blocks_and_nothing_else(server, prefect_api):
    await apply_alerts(prefect_api, SPECS, AlertChannels(webhook="http://127.0.0.1:9/x"))
    made = await automation(server)
    theirs = made.model_copy(update={"name": "mine"})
    mine = await server.create_automation(
        AutomationCore.model_validate(theirs.model_dump(exclude={"owner_resource"}))
    )
    removed = await remove_alerts(prefect_api, SPECS)
    assert removed == [*NAMES, f"custom-webhook/{BLOCK_NAME}"]
    assert [one.id for one in await server.read_automations()] == [mine]
    await server.delete_automation(mine)
    assert await remove_alerts(prefect_api, SPECS) == []
    assert {one.on for one in await alerts_on_server(prefect_api, SPECS)} == {None}


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise imports it
async def test_several_channels_are_used_together_also_a_block_that_is_there(server, prefect_api):
    await apply_alerts(prefect_api, SPECS, AlertChannels(webhook="http://127.0.0.1:9/x"))
    channels = AlertChannels(
        slack="https://hooks.slack.com/services/T1/B1/x1",
        email=("ops@example.com",),
        email_from="night@example.com",
        sendgrid_key="SG.key",
        blocks=(f"custom-webhook/{BLOCK_NAME}",),
    )
    report = await apply_alerts(prefect_api, SPECS, channels, reset=True)
    assert report.reset == NAMES
    [first, *_] = await alerts_on_server(prefect_api, SPECS)
    assert set(first.sends_to) == {
        f"{kind}/{BLOCK_NAME}" for kind in ("custom-webhook", "slack-webhook", "sendgrid-email")
    }


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        (AlertChannels(), "Where do alerts go"),
        (AlertChannels(webhook="hooks.example.com"), "--webhook wants an address"),
        (AlertChannels(email=("ops@example.com",)), "SENDGRID_API_KEY"),
        (AlertChannels(blocks=("slack-webhook/none",)), "no block slack-webhook/none"),
    ],
    ids=["none", "no address", "no key", "no block"],
)
async def test_a_channel_that_cannot_be_used_is_refused_with_a_sentence_and_nothing_is_changed(
    server, prefect_api, channels, words
):
    with pytest.raises(BadInput, match=words) as refused:
        await apply_alerts(prefect_api, SPECS, channels)
    assert str(refused.value).endswith("Nothing was changed.")
    assert await server.read_automations() == []


async def test_an_event_of_what_lasts_is_sent_on_once_a_day_with_its_sentence(server, prefect_api, listening):
    await apply_alerts(prefect_api, SPECS, AlertChannels(webhook=listening.url))
    resource = {"prefect.resource.id": "prefect.flow-run.00000000-0000-0000-0000-000000000001"}

    def a_run_ends(run_id):
        sentence = {"sentence": f"{run_id}: 2 jobs wait."}
        emit_event("weighbridge.old-reviews", resource, payload=sentence)
        emit_event("weighbridge.drift", resource, payload=sentence)

    with temporary_settings({PREFECT_API_URL: prefect_api}):
        a_run_ends("run-1")
        # the server takes events of one moment in any order
        until(lambda: len(listening.came) >= 2, "the notifications of the first run")
        a_run_ends("run-2")
        until(lambda: len(listening.came) >= 3, "the notification of the second run")
    assert listening.about("weighbridge: old reviews") == ["run-1: 2 jobs wait."]
    assert sorted(listening.about("weighbridge: drift")) == ["run-1: 2 jobs wait.", "run-2: 2 jobs wait."]


@pytest.mark.slow
async def test_a_night_that_nobody_takes_is_heard_of_and_one_that_runs_is_not(server, prefect_api, listening):
    [night] = [replace(spec, within_seconds=12) for spec in SPECS if spec.absent]
    await apply_alerts(prefect_api, [night], AlertChannels(webhook=listening.url))
    flow = await server.create_flow_from_name("alerts-test")
    deployment = await server.create_deployment(flow_id=flow, name=NIGHTLY)
    other = await server.create_deployment(flow_id=flow, name="another")
    earlier = datetime.now(UTC) - timedelta(minutes=5)
    try:
        taken = await server.create_flow_run_from_deployment(
            deployment, state=Scheduled(scheduled_time=earlier)
        )
        missed = await server.create_flow_run_from_deployment(
            deployment, state=Scheduled(scheduled_time=earlier)
        )
        await server.create_flow_run_from_deployment(other, state=Scheduled(scheduled_time=earlier))
        await server.set_flow_run_state(taken.id, Pending())
        await server.set_flow_run_state(taken.id, Running())
        until(lambda: listening.came, "the notification")
        [body] = listening.about("weighbridge: night not started")
        assert body.startswith(f"{missed.name} did not start within ")
    finally:
        for found in await server.read_flows(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["alerts-test"]))
        ):
            await server.delete_flow(found.id)
