"""Bringing alerts to a Prefect server: what is missing is made, and what an operator changed stays as it is."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from rules.alert_differences import alert_difference, differing_alert_fields
from schemas.alert import AlertChannels, AlertOnServer, AlertSpec, AppliedAlerts
from services.notification_blocks import (
    block_name,
    blocks_of,
    keep_block,
    named_block,
    remove_blocks,
)


async def apply_alerts(
    api: str, specs: Sequence[AlertSpec], channels: AlertChannels, *, reset: bool = False
) -> AppliedAlerts:
    """Bring alerts to a server, and the notification blocks that they use.

    Args:
        api: the server's API.
        specs: the alerts.
        channels: where they go.
        reset: also take back what was changed on the server.

    Raises:
        BadInput: a channel cannot be used.
        Exception: whatever Prefect's client raises when the server does not take it.
    """
    ours = blocks_of(channels)
    report = AppliedAlerts()
    async with PrefectClient(api) as client:
        named = [await named_block(client, name) for name in channels.blocks]
        made = [await keep_block(client, block, report, reset=reset) for block in ours]
        for spec in specs:
            await _apply_one(client, _automation(spec, [*named, *made]), report, reset=reset)
    return report


async def _apply_one(
    client: PrefectClient, ours: AutomationCore, report: AppliedAlerts, *, reset: bool
) -> None:
    found = await client.read_automations_by_name(ours.name)
    if not found:
        await client.create_automation(ours)
        report.made.append(ours.name)
        return
    theirs = found[0]
    fields = differing_alert_fields(_fields(ours), _fields(theirs))
    if not fields:
        report.kept += 1
    elif reset:
        await client.update_automation(theirs.id, ours)
        report.reset.append(ours.name)
    else:
        report.differences.append(alert_difference(ours.name, fields))


async def remove_alerts(api: str, specs: Sequence[AlertSpec]) -> list[str]:
    """Take alerts away, whoever changed them, and the blocks that were made for them; the names of what was removed."""
    removed = []
    async with PrefectClient(api) as client:
        for spec in specs:
            for found in await client.read_automations_by_name(spec.name):
                await client.delete_automation(found.id)
                removed.append(spec.name)
        return removed + await remove_blocks(client)


async def alerts_on_server(api: str, specs: Sequence[AlertSpec]) -> list[AlertOnServer]:
    """What a server has of alerts; read only."""
    async with PrefectClient(api) as client:
        return [await _on_server(client, spec) for spec in specs]


async def _on_server(client: PrefectClient, spec: AlertSpec) -> AlertOnServer:
    automations = await client.read_automations_by_name(spec.name)
    if not automations:
        return AlertOnServer(spec.name, spec.watches, None)
    found = automations[0]
    sends_to = [
        await block_name(client, action.block_document_id)
        for action in found.actions
        if isinstance(action, SendNotification)
    ]
    return AlertOnServer(spec.name, found.description or spec.watches, found.enabled, tuple(sends_to))


def _automation(spec: AlertSpec, blocks: Sequence[UUID]) -> AutomationCore:
    """An alert as Prefect has it."""
    whose = {"prefect.resource.role": [spec.of_role], "prefect.resource.name": list(spec.of)}
    posture = Posture.Proactive if spec.absent else Posture.Reactive
    trigger = EventTrigger(
        expect=set(spec.events),
        after=set(spec.after),
        for_each={"prefect.resource.id"} if spec.absent else set(),
        match_related=ResourceSpecification(whose if spec.of else {}),
        posture=posture,
        within=timedelta(seconds=spec.within_seconds),
    )
    actions = [
        SendNotification(block_document_id=block, subject=spec.subject, body=spec.body) for block in blocks
    ]
    return AutomationCore(
        name=spec.name,
        description=spec.watches,
        enabled=True,
        tags=["weighbridge"],
        trigger=trigger,
        actions=actions,
    )


def _fields(automation: Automation | AutomationCore) -> dict[str, Any]:
    """What an operator may change of an alert, in a form that can be compared."""
    values = automation.model_dump(mode="json", include={"enabled", "trigger", "actions", "description"})
    return {name: _sorted(value) for name, value in values.items()}


def _sorted(value: Any) -> Any:
    """A value whose lists are in order, for Prefect keeps most of them as sets."""
    if isinstance(value, dict):
        return {name: _sorted(one) for name, one in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(one) for one in value), key=repr)
    return value
