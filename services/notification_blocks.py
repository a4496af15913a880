"""Prefect's own notification blocks: where alerts are sent to. They are kept on the server, their secrets encrypted."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from prefect.blocks.notifications import CustomWebhookNotificationBlock, SendgridEmail, SlackWebhook
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict
from pydantic import SecretStr

from schemas.alert import AlertChannels, AppliedAlerts
from schemas.errors import BadInput

#: the name of each block that is made here
BLOCK_NAME = "weighbridge-alerts"
_Block = CustomWebhookNotificationBlock | SlackWebhook | SendgridEmail
_KINDS: tuple[type[_Block], ...] = (CustomWebhookNotificationBlock, SlackWebhook, SendgridEmail)
_NOTHING = "Nothing was changed."


def blocks_of(channels: AlertChannels) -> list[_Block]:
    """The blocks that channels need; those that are on the server already are not among them.

    Raises:
        BadInput: there is no channel, or one of them cannot be used.
    """
    found = list(_blocks_of(channels))
    if not found and not channels.blocks:
        raise BadInput(
            f"Where do alerts go? Name --webhook URL, --slack URL, --email ADDRESS or --block TYPE/NAME. {_NOTHING}"
        )
    return found


def _blocks_of(channels: AlertChannels) -> Iterator[_Block]:
    if channels.webhook is not None:
        yield CustomWebhookNotificationBlock(
            name=BLOCK_NAME,
            # the address is often a secret by itself: kept as one, the Prefect UI does not show it
            url="{{address}}",
            secrets=SecretDict({"address": _address("--webhook", channels.webhook)}),
            json_data={"subject": "{{subject}}", "body": "{{body}}"},
        )
    if channels.slack is not None:
        yield SlackWebhook(url=SecretStr(_address("--slack", channels.slack)))
    if channels.email:
        yield _sendgrid(channels)


def _address(option: str, url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"{option} wants an address that begins with http:// or https://. {_NOTHING}")
    return url


def _sendgrid(channels: AlertChannels) -> SendgridEmail:
    """Of Prefect's own blocks only this one sends e-mail."""
    if not channels.sendgrid_key or not channels.email_from:
        raise BadInput(
            "Of Prefect's own blocks only the one of SendGrid sends e-mail: set SENDGRID_API_KEY, and name the sender "
            "with --email-from. For a mail server of your own, make a Slack Webhook block in the Prefect UI whose "
            "address is mailtos://USER:PASSWORD@SERVER?to=ADDRESS, and name it: --block slack-webhook/NAME. Nothing "
            "needs to be installed for either. "
            f"{_NOTHING}"
        )
    return SendgridEmail(
        api_key=SecretStr(channels.sendgrid_key),
        sender_email=channels.email_from,
        to_emails=list(channels.email),
    )


async def keep_block(client: PrefectClient, block: _Block, report: AppliedAlerts, *, reset: bool) -> UUID:
    """Have a block on the server; one that says something else stays, unless it is reset. Its id."""
    kind = type(block)
    slug = kind.get_block_type_slug()
    name = f"the block {slug}/{BLOCK_NAME}"
    try:
        document = await client.read_block_document_by_name(BLOCK_NAME, slug)
    except ObjectNotFound:
        report.made.append(name)
        return await block.asave(BLOCK_NAME, client=client)
    theirs = await kind.aload(BLOCK_NAME, client=client)
    if _fields(theirs) == _fields(block):
        return document.id
    if reset:
        report.reset.append(name)
        return await block.asave(BLOCK_NAME, overwrite=True, client=client)
    report.differences.append(f"{name}: it says something else than was given.")
    return document.id


def _fields(block: _Block) -> dict[str, Any]:
    return {name: getattr(block, name) for name in type(block).model_fields}


async def named_block(client: PrefectClient, name: str) -> UUID:
    """The id of a block that an operator made.

    Args:
        client: of the server.
        name: as type/name, such as slack-webhook/ops.

    Raises:
        BadInput: there is none.
    """
    kind, _, own = name.partition("/")
    try:
        document = await client.read_block_document_by_name(own, kind)
    except ObjectNotFound:
        raise BadInput(
            f"The Prefect server has no block {name}; `prefect block ls` lists those that it has, as type/name. "
            f"{_NOTHING}"
        ) from None
    return document.id


async def block_name(client: PrefectClient, block_id: UUID) -> str:
    """A block as type/name; its secrets stay on the server."""
    try:
        document = await client.read_block_document(block_id, include_secrets=False)
    except ObjectNotFound:
        return "a block that is gone"
    kind = document.block_type.slug if document.block_type else document.block_type_name
    return f"{kind}/{document.name}"


async def remove_blocks(client: PrefectClient) -> list[str]:
    """Take away the blocks that were made here; their names."""
    removed = []
    for kind in _KINDS:
        slug = kind.get_block_type_slug()
        try:
            document = await client.read_block_document_by_name(BLOCK_NAME, slug, include_secrets=False)
        except ObjectNotFound:
            continue
        await client.delete_block_document(document.id)
        removed.append(f"{slug}/{BLOCK_NAME}")
    return removed
