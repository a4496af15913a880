"""The blocks that channels need, without a server."""

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SendgridEmail, SlackWebhook

from schemas.alert import AlertChannels
from schemas.errors import BadInput
from services.notification_blocks import blocks_of
from tests.hooks import mailbox

#: apprise imports a module that Python deprecates
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
MAIL = {"email": ("ops@example.com", "ann@example.com"), "email_from": "night@example.com"}


def test_each_channel_is_one_block_of_prefects_own():
    channels = AlertChannels(
        webhook="https://w.example/x",
        slack="https://hooks.slack.com/services/T1/B1/x1",
        sendgrid_key="SG.key",
        **MAIL,
    )
    webhook, slack, mail = blocks_of(channels)
    assert isinstance(webhook, CustomWebhookNotificationBlock)
    assert isinstance(slack, SlackWebhook)
    assert isinstance(mail, SendgridEmail)
    assert (mail.sender_email, mail.to_emails) == (
        "night@example.com",
        ["ops@example.com", "ann@example.com"],
    )


def test_what_is_posted_to_a_webhook_has_subject_and_body_and_its_address_is_among_the_secrets():
    [block] = blocks_of(AlertChannels(webhook="https://w.example/hidden"))
    assert "hidden" not in repr(block.model_dump())
    request = block._build_request_args('a "body"', "a subject")
    assert request["url"] == "https://w.example/hidden"
    assert request["json"] == {"subject": "a subject", "body": 'a "body"'}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "Where do alerts go"),
        ({"webhook": "secret.example.com"}, "--webhook wants an address"),
        ({"slack": "secret.example.com"}, "--slack wants an address"),
        (MAIL, "SENDGRID_API_KEY"),
        ({"email": ("ops@example.com",), "sendgrid_key": "SG.secret"}, "--email-from"),
    ],
)
def test_what_cannot_be_used_is_refused_without_its_address(values, words):
    with pytest.raises(BadInput, match=words) as refused:
        blocks_of(AlertChannels(**values))
    assert "secret" not in str(refused.value)


def test_a_block_that_is_on_the_server_needs_no_other():
    assert blocks_of(AlertChannels(blocks=("slack-webhook/ops",))) == []


def test_a_slack_webhook_block_with_the_address_of_a_mail_server_sends_mail_as_the_refusal_says():
    with pytest.raises(BadInput, match=r"Slack Webhook block .* mailtos://USER:PASSWORD@SERVER\?to=ADDRESS"):
        blocks_of(AlertChannels(**MAIL))
    with mailbox() as (port, came):
        # without TLS, which a test server has not
        block = SlackWebhook(
            url=f"mailto://ann:secret@127.0.0.1:{port}?to=ops@example.com&from=night@example.com"
        )
        with block.raise_on_failure():
            block.notify("2 jobs wait.", "weighbridge: old reviews")
    assert "Subject: weighbridge: old reviews" in came
    assert "2 jobs wait." in came
    assert any("ops@example.com" in line and line.upper().startswith("RCPT") for line in came)
