"""A picture of a payload is shown at an address of its own, as a picture and nothing else."""

import base64
import json
import re

import pytest
from sqlalchemy import update

from review_page.conversation import picture_mark
from schemas.review_tables import ReviewPayloadRow
from tests.test_review_page.office import PIXEL
from tests.test_review_page.page import browser_of


def with_block(ledger, media="image/png", data=PIXEL):
    source = {"type": "base64", "media_type": media, "data": data}
    content = [{"type": "tool_result", "content": [{"type": "image", "source": source}]}]
    payload = {"max_tokens": 9, "messages": [{"role": "user", "content": content}]}
    with ledger.write() as connection:
        connection.execute(update(ReviewPayloadRow).values(payload=json.dumps(payload)))


def test_a_picture_is_linked_and_its_address_has_its_very_bytes(browser, ledger):
    with_block(ledger)
    page = browser.get("/reviews/detail?pk=1").text
    assert "<img" not in page
    assert PIXEL not in page
    address = re.search(r'href="[^"]*(/picture\?[^"]+)"', page).group(1).replace("&amp;", "&")
    answer = browser.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content == base64.b64decode(PIXEL)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    with browser_of(ledger) as stranger:
        assert stranger.get(address).status_code == 303


@pytest.mark.parametrize(
    ("media", "data"),
    [("image/svg+xml", PIXEL), ("text/html", PIXEL), ("image/png", 'x" onerror="'), ("image/png", "A")],
)
def test_what_is_no_picture_has_no_address(browser, ledger, media, data):

    with_block(ledger, media, data)
    answer = browser.get("/picture", params={"pk": "1", "of": picture_mark(data)})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("pk", ["", "x", "99", "9" * 30])
def test_a_review_that_is_not_there_has_no_pictures(browser, pk):
    assert browser.get("/picture", params={"pk": pk, "of": "0" * 32}).status_code == 404
