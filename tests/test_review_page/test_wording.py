"""Figures, moments and what became of a decision read the same everywhere on the page."""

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review_page import wording
from schemas.money import to_nano
from schemas.review import Decided, RefusedDecision, Totals
from schemas.transitions import Verb


@given(st.integers(0, 10**15))
def test_an_exact_amount_is_the_same_money_when_a_form_sends_it_back(nano):
    assert to_nano(Decimal(wording.usd_exact(nano))) == nano


def test_what_is_not_known_is_shown_as_nothing():
    shown = (wording.usd, wording.usd_most, wording.usd_exact, wording.number, wording.moment, wording.words)
    assert [show(None) for show in shown] == [""] * 6


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (wording.usd(1_234_567_000_000), "$1,234.57"),
        (wording.usd_most(1_234_561_000_000), "$1,234.57"),
        (wording.consequence(Totals(1, 4_000_000, 9, 0, 1)), "1 job, at most 0.004 USD"),
        (wording.number(1_234_567), "1,234,567"),
        (wording.moment(datetime(2026, 11, 1, 9, 5, tzinfo=UTC)), "2026-11-01 09:05 UTC"),
        (wording.words("over_cost_limit"), "over cost limit"),
        (wording.jobs(1), "1 job"),
        (wording.jobs(1_000), "1,000 jobs"),
        (wording.consequence(Totals(2, 3 * 10**9, 9, 0, 2)), "2 jobs, at most 3.00 USD"),
        (
            wording.consequence(Totals(2, 3 * 10**9, 9, 1, 2)),
            "2 jobs, at most 3.00 USD; 1 of them without a worst case, which cannot be approved",
        ),
    ],
)
def test_figures_read_like_this(shown, text):
    assert shown == text


def flashes(monkeypatch, decided):
    found = []
    monkeypatch.setattr(wording, "flash", lambda _request, text, kind: found.append((kind, text)))
    wording.show_outcome(SimpleNamespace(), Verb.APPROVE, decided)
    return found


def test_what_became_of_a_decision_is_shown_with_every_reason_that_fits(monkeypatch):
    refused = tuple(RefusedDecision(number, f"reason {number}") for number in range(1, 6))
    assert flashes(monkeypatch, Decided(2)) == [("success", "2 jobs approved.")]
    assert flashes(monkeypatch, Decided(0, refused[:1])) == [("error", "Left as it was: review 1: reason 1.")]
    assert flashes(monkeypatch, Decided(1, refused)) == [
        ("success", "1 job approved."),
        (
            "warning",
            "5 left as they were: review 1: reason 1; review 2: reason 2; review 3: reason 3; and 2 more.",
        ),
    ]
    [(_, text)] = flashes(monkeypatch, Decided(0, (RefusedDecision(None, "x" * 5_000),)))
    assert len(text) == 1_000


def test_each_thing_that_a_person_does_has_a_word(monkeypatch):
    monkeypatch.setattr(wording, "flash", lambda *_: None)
    for verb in (Verb.APPROVE, Verb.REJECT, Verb.EDIT, Verb.CLAIM, Verb.TAKE_OVER, Verb.RELEASE, Verb.REOPEN):
        wording.show_outcome(SimpleNamespace(), verb, Decided(1))
