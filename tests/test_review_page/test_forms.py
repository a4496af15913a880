"""What a person typed is read as what it says, or refused with a sentence."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData

from review_page.forms import (
    amount,
    confirmed_of,
    days_of,
    text_of,
    usd_of,
    verb_of,
    versions_of,
    whole_of,
)
from schemas.errors import BadInput
from schemas.review import APPROVAL_HOLDS, MAX_APPROVAL_HOLDS, Totals
from schemas.transitions import Verb


def form(**fields):
    return FormData(fields)


def refusal(read):
    """Why a text was refused; of one that was read, what any refusal says."""
    try:
        read()
    except BadInput as refused:
        return str(refused)
    return "nothing was decided"


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_with_a_sentence_by_every_reader(text):
    for read in (whole_of, usd_of, days_of):
        assert "nothing was decided" in refusal(lambda read=read: read(form(field=text), "field"))
    for read in (versions_of, confirmed_of, verb_of):
        fields = form(versions=text, count=text, verb=text)
        assert "othing was decided" in refusal(lambda read=read, fields=fields: read(fields))


@given(st.integers(0, 10**18 - 1))
def test_whole_numbers_are_read_with_and_without_commas(number):
    assert whole_of(form(n=f" {number:,} "), "n") == whole_of(form(n=str(number)), "n") == number


@given(st.decimals(0, 10**9 - 1, places=9))
def test_amounts_are_read_exactly(usd):
    assert amount(f"${usd:,f}") == usd
    assert usd_of(form(n=f"{usd:f}"), "n") == usd


@pytest.mark.parametrize(
    "text",
    ["1e999", "NaN", "sNaN", "Infinity", "-1", "1000000000", "1.2.3", "much", "1_0", "1e-9", "\uff11", "$"],
)
def test_what_money_cannot_be_is_not_an_amount(text):
    assert amount(text) is None


@given(st.integers(0, 999_999), st.text("0123456789", min_size=1, max_size=5))
def test_a_comma_in_place_of_a_decimal_point_never_makes_another_amount(whole, places):
    """A comma parts thousands and nothing else: what is read is what an English reader reads, or it is refused."""
    text = f"{whole},{places}"
    parts_thousands = len(places) == 3 and 0 < whole < 1_000
    read = 1_000 * whole + int(places) if parts_thousands else None
    assert amount(text) == read
    if read is None:
        with pytest.raises(BadInput, match="nothing was decided"):
            whole_of(form(n=text), "n")
    else:
        assert whole_of(form(n=text), "n") == read


@given(st.integers(-(10**17), 10**17))
def test_days_are_bounded(days):
    if 1 <= days <= MAX_APPROVAL_HOLDS.days:
        assert days_of(form(days=str(days)), "days") == timedelta(days=days)
    else:
        with pytest.raises(BadInput):
            days_of(form(days=str(days)), "days")


def test_what_is_left_empty_is_as_usual():
    assert days_of(form(days=" "), "days") == APPROVAL_HOLDS
    assert (whole_of(form(), "n"), usd_of(form(n=""), "n"), text_of(form(), "n")) == (None, None, "")


@given(st.dictionaries(st.integers(0, 10**15 - 1), st.integers(0, 10**15 - 1)))
def test_versions_are_read_as_the_confirmation_page_writes_them(versions):
    written = "".join(f"{review_id}:{version} " for review_id, version in versions.items())
    assert versions_of(form(versions=written)) == versions


def test_confirmed_figures_are_read_whole_or_not_at_all():
    figures = {"count": "1", "worst_case": "2", "input_tokens": "3", "unpriced": "0", "changes": "4"}
    assert confirmed_of(form(**figures)) == Totals(1, 2, 3, 0, 4)
    for name in figures:
        with pytest.raises(BadInput, match="missing"):
            confirmed_of(form(**{key: value for key, value in figures.items() if key != name}))


@pytest.mark.parametrize("verb", list(Verb))
def test_each_verb_is_read_as_itself(verb):
    assert verb_of(form(verb=verb.value)) is verb


def test_an_amount_is_a_decimal_and_never_a_float():
    assert isinstance(amount("0.1"), Decimal)
