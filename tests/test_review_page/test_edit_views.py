"""An edit keeps what it does not change, and is decided only when it was weighed and saved."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from review_page.edit_views import marked, unmarked
from schemas.errors import BadInput
from schemas.outcome import Method
from schemas.payload.payload import Payload
from schemas.review import EditEstimate
from schemas.review_tables import ReviewPayloadRow
from services.ledger import reviews
from tests.test_review_page.page import browser_of, decide, log_in, park, statuses, token_of

TOOL = {"name": "look_up", "input_schema": {"type": "object"}}
DATA = "QUJD" * 1_000


def payload():
    tool = {"type": "tool_use", "id": "t", "name": "look_up", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "found"}
    source = {"type": "base64", "media_type": "image/png", "data": DATA}
    messages = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "One"}, {"type": "image", "source": source}],
        },
        {"role": "assistant", "content": [tool]},
        {"role": "user", "content": [result]},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three"},
    ]
    request = {"max_tokens": 9, "tools": [TOOL], "messages": messages}
    return Payload.checked(request).text.decode()


def test_a_text_left_as_it_is_is_the_same_payload_and_carries_no_data():
    text = marked(payload())
    assert DATA not in text
    assert Payload.checked(unmarked(text, payload())).text.decode() == payload()


@given(
    st.recursive(st.text() | st.just("QUJD" * 600), lambda inner: st.lists(inner, max_size=3), max_leaves=5)
)
def test_marks_stand_for_what_they_replaced(value):
    stored = json.dumps({"value": value})
    assert unmarked(marked(stored), stored) == {"value": value}


@pytest.mark.parametrize("written", [str(2**63), "1e22", "0.1", "5e-324", "-0.0", '"\\u2028"', "null"])
def test_a_value_stays_as_it_was_written(written):
    assert json.dumps(unmarked(f'{{"value": {written}}}', "{}")["value"]) == json.dumps(json.loads(written))


@pytest.mark.parametrize(
    "written", [str(2**64), "0.12345678901234567891", "NaN", '{"a": 1, "a": 2}', '"\\ud800"']
)
def test_a_value_that_would_change_on_its_way_is_refused(written):
    with pytest.raises(BadInput, match=r"^metadata: "):
        unmarked(f'{{"metadata": {written}}}', "{}")


def test_a_text_too_long_for_a_form_is_not_offered():
    assert marked(json.dumps({"text": "two words " * 30_000})) is None


@pytest.fixture
def editor(ledger):
    """A browser that may edit, and what was weighed for it."""
    park(ledger, 1)
    weighed = []

    async def weigh(review, payload):
        weighed.append((review.id, payload))
        return EditEstimate("claude-haiku-5-5", 7, Method.COUNTED, 1_000, limit_tokens=10, limit=2_000)

    async def prune(review, payload):
        return Payload.checked(
            {**payload.request, "messages": [{"role": "user", "content": "the last turn"}]}
        )

    with browser_of(ledger, weigh=weigh, prune=prune) as browser:
        log_in(browser)
        browser.token = token_of(browser.get("/edit?pk=1"))
        browser.weighed = weighed
        yield browser


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "{"},
        {"text": "[]"},
        {"text": "1"},
        {"text": '{"messages": []}'},
        {"text": '{"max_tokens": 5, "keep": 1}', "keep_turns": "1"},
        {"text": "[" * 100_000},
        {"text": '{"messages": [{"role": "user", "content": "a"}], "max_tokens": 5, "max_tokens": 6}'},
        {
            "text": '{"messages": [{"role": "user", "content": "a"}], "max_tokens": 5, "stop_sequences": [1e999]}'
        },
        {"max_tokens": "0"},
        {"max_tokens": "many"},
        {"keep_turns": "9"},
    ],
)
def test_what_is_no_request_is_neither_weighed_nor_decided(editor, ledger, fields):
    for verb in ("weigh", "save"):
        page = decide(editor, "/edit", id="1", version="1", verb=verb, **fields)
        assert page.status_code == 200
        assert 'role="alert"' in page.text
    assert editor.weighed == []
    assert statuses(ledger) == {1: "pending"}


def test_weighing_shows_both_and_decides_nothing_until_it_is_saved(editor, ledger):
    page = decide(editor, "/edit", id="1", version="1", verb="weigh", max_tokens="5")
    assert "It is within its limits" in page.text
    assert statuses(ledger) == {1: "pending"}
    saved = decide(editor, "/edit", id="1", version="1", verb="save", max_tokens="5")
    # nothing else waits, so the list comes
    assert (saved.status_code, saved.headers["location"]) == (303, "http://127.0.0.1/reviews/list")
    row = reviews.one_review(ledger, 1)
    assert (row.status, row.decided_by, row.input_tokens, row.ceiling_nano_usd) == (
        "edited",
        "Anna",
        7,
        1_000,
    )
    assert json.loads(row.edited_payload) == json.loads(row.payload) | {"max_tokens": 5}
    assert [payload.max_tokens for _, payload in editor.weighed] == [5, 5]


def test_a_conversation_is_pruned_before_it_is_weighed_when_that_is_asked(editor, ledger):
    assert 'name="prune"' in editor.get("/edit?pk=1").text
    page = decide(editor, "/edit", id="1", version="1", verb="weigh", prune="on")
    assert "It is within its limits" in page.text
    assert statuses(ledger) == {1: "pending"}
    assert decide(editor, "/edit", id="1", version="1", verb="save", prune="on").status_code == 303
    [kept] = json.loads(reviews.one_review(ledger, 1).edited_payload)["messages"]
    assert kept["content"] == "the last turn"
    assert all(payload.request["messages"] == [kept] for _, payload in editor.weighed)


def test_who_edits_an_older_version_overwrites_nothing(editor, ledger):
    decide(editor, verb="claim", id="1", version="1")
    answer = decide(editor, "/edit", id="1", version="1", verb="save", max_tokens="5")
    assert answer.headers["location"].endswith("/reviews/detail?pk=1")
    assert "changed since you read it" in editor.get(answer.headers["location"]).text
    assert statuses(ledger) == {1: "claimed"}


@pytest.mark.parametrize("pk", ["", "0", "x", "2", "999999999999999999", "1 OR 1=1"])
def test_a_review_that_is_not_there_cannot_be_edited(editor, pk):
    assert editor.get("/edit", params={"pk": pk}).status_code == 404
    assert decide(editor, "/edit", id=pk, verb="save").status_code == 404


def test_a_review_whose_payload_was_pruned_cannot_be_edited(editor, ledger):
    with ledger.write() as connection:
        connection.execute(update(ReviewPayloadRow).values(payload=None))
    assert editor.get("/edit?pk=1").status_code == 404


def test_what_was_edited_before_is_what_is_edited_again(editor, ledger):
    decide(editor, "/edit", id="1", version="1", verb="save", max_tokens="5")
    decide(editor, verb="reopen", id="1", version="2")
    assert "&#34;max_tokens&#34;: 5" in editor.get("/edit?pk=1").text


def test_a_page_without_a_scale_offers_no_edits(browser):
    assert "Edit it" not in browser.get("/reviews/detail?pk=1").text
    assert browser.get("/edit?pk=1").status_code == 404
