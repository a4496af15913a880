"""Advice becomes a filled form by one click, with the ledger's figures and nobody's address."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from review_page.shortcuts import shortcut_of, taken
from schemas.review_tables import ReviewRow
from tests.test_review_page.office import ADVICE
from tests.test_review_page.page import browser_of, log_in, statuses
from tests.test_review_page.served_page import weigh_lightly


@pytest.mark.parametrize(
    ("sentence", "form", "fields"),
    [
        (
            "raise max_input_tokens to 45,036 and max_cost_usd to 2.13",
            "approve",
            {"ceiling_tokens": "45036", "ceiling_usd": "2.13"},
        ),
        (
            "raise max_cost_usd to 0.61 and the job's own max_cost_usd to 0.7",
            "approve",
            {"ceiling_usd": "0.7"},
        ),
        (
            "raise the job's own max_input_tokens to 1,045,036",
            "approve",
            {"ceiling_tokens": "1045036"},
        ),
        (
            "approve it again, up to 0.0012 USD and 7,000 input tokens",
            "approve",
            {"ceiling_usd": "0.0012", "ceiling_tokens": "7000"},
        ),
        ("lower max_tokens to 20,480: worst case 0.499 USD", "edit", {"max_tokens": "20480"}),
        (
            "edit it with max_tokens 4,096: 95 % of 1,200 such answers fitted into it",
            "edit",
            {"max_tokens": "4096"},
        ),
        ("keep the last 6 of 14 turns: about 40 tokens (an estimate)", "edit", {"keep_turns": "6"}),
        ("drop the 3 tool(s): about 90 tokens (an estimate)", "edit", {"drop_tools": "3"}),
    ],
)
def test_each_advice_that_a_form_can_follow_fills_it(sentence, form, fields):
    shortcut = shortcut_of(sentence)
    assert (shortcut.form, shortcut.fields) == (form, fields)


@pytest.mark.parametrize(
    "sentence",
    [
        "raise up_to_input_tokens of the route small to 90,000",
        "claude-haiku-5-5 would cost at most 0.11 USD, within the limit: pin the job to it",
        "approve it: it is sent again, although it may have been billed",
        "reject it: it is not sent again",
    ],
)
def test_advice_that_no_form_can_follow_is_only_read(sentence):
    assert shortcut_of(sentence) is None


@given(st.text() | st.from_regex(r"(raise|lower|keep|drop|approve it again, up to) .*"), st.text(max_size=4))
def test_no_sentence_and_no_address_is_an_error(sentence, index):
    shortcut_of(sentence)
    taken(sentence, "approve", index)


@pytest.fixture
def advised(ledger, browser):
    with ledger.write() as connection:
        connection.execute(update(ReviewRow).values(would_pass=ADVICE))
    return browser


def value_of(page, name):
    return re.search(rf'name="{name}"[^>]*? value="([^"]*)"', page).group(1)


def test_one_click_fills_the_ceilings_and_decides_nothing(advised, ledger):
    page = advised.get("/reviews/detail?pk=1").text
    [address] = re.findall(r'data-review="shortcut" href="[^"]*(/reviews/detail\?[^"#]+)#approve"', page)
    filled = advised.get(address.replace("&amp;", "&")).text
    assert (value_of(filled, "ceiling_usd"), value_of(filled, "ceiling_tokens")) == ("2.13", "45036")
    assert "Nothing is decided yet" in filled
    assert set(statuses(ledger).values()) == {"pending"}


@pytest.mark.parametrize("extra", ["&take=99", "&take=-1", "&take=4", "&take=1", "&ceiling_usd=999"])
def test_an_address_cannot_bring_figures_of_its_own(advised, extra):
    page = advised.get(f"/reviews/detail?pk=1{extra}").text
    assert (value_of(page, "ceiling_usd"), value_of(page, "ceiling_tokens")) == ("1.00", "100")


def test_an_advice_to_edit_leads_to_the_form_with_it_filled_in(ledger, advised):
    with browser_of(ledger, weigh=weigh_lightly) as editor:
        log_in(editor)
        page = editor.get("/reviews/detail?pk=1").text
        addresses = re.findall(r'data-review="shortcut" href="[^"]*(/edit\?[^"]+)"', page)
        pages = [editor.get(address.replace("&amp;", "&")).text for address in addresses]
    assert value_of(pages[0], "max_tokens") == "8192"
    assert value_of(pages[1], "keep_turns") == "1"
    assert re.search(r'name="drop_tools" checked', pages[2])


def test_who_may_not_approve_is_offered_nothing_to_fill_in(advised, ledger):
    with ledger.write() as connection:
        connection.execute(update(ReviewRow).values(status="claimed", claimed_by="Ben"))
    assert 'data-review="shortcut"' not in advised.get("/reviews/detail?pk=1").text
