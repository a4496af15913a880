"""Whether a run may be held to a quote, and whether its cost fell inside."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.models import Models
from rules.quote_terms import broken_terms, caps_below, policy_digest, prices_digest, quote_outcome
from schemas.budget import Window, WindowCap
from schemas.outcome import Reason, Scope
from schemas.quote import QuoteOnRecord, QuoteTerms
from tests.strategies import policy

NIGHT = datetime(2026, 11, 20, tzinfo=UTC)
TERMS = QuoteTerms(jobs="rows", policy="rules", prices="rates")
QUOTE = QuoteOnRecord(
    quote_id="quote-1",
    created_at=datetime(2026, 11, 27, tzinfo=UTC),
    jobs_path="jobs.parquet",
    terms=TERMS,
    mode="messages",
    simulated=True,
    jobs=3,
    expected=500,
    p10=400,
    p90=700,
    worst_case=900,
    report={},
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"jobs": "x"}, ["rows"]),
        ({"policy": "x"}, ["policy"]),
        ({"prices": "x"}, ["prices"]),
        ({"jobs": "x", "prices": "x"}, ["rows", "prices"]),
    ],
)
def test_each_term_that_changed_is_named(changes, words):
    found = broken_terms(QUOTE, replace(TERMS, **changes))
    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))


def cap(nano, group="", reserve=0):
    window = Window(Scope.DAY, "2026-11-27", group)
    return WindowCap(window=window, nano_usd=nano, reason=Reason.DAY_BUDGET, reserve=reserve)


@given(st.integers(0, 2_000), st.integers(0, 500), st.integers(0, 500))
def test_a_cap_is_in_the_way_exactly_when_less_than_the_90th_percentile_is_left(most, used, reserve):
    one = cap(most, reserve=reserve)
    found = caps_below(QUOTE, [one], {one.window: used})
    assert bool(found) is (most - used - reserve < QUOTE.p90)


def test_no_cap_and_the_cap_of_a_group_stop_nothing():
    assert caps_below(QUOTE, [cap(None), cap(1, group="red")], {}) == []


@given(st.integers(0, 2_000))
def test_a_cost_is_inside_from_the_10th_to_the_90th_percentile(actual):
    found = quote_outcome(QUOTE, actual)
    assert found.inside is (400 <= actual <= 700)
    assert (found.quote_id, f"{found.p90_usd:f}") == ("quote-1", "0.000000700")


def test_a_digest_changes_with_what_is_said_and_with_nothing_else():
    assert policy_digest(policy()) == policy_digest(policy())
    assert policy_digest(policy()) != policy_digest(policy(request={"max_input_tokens": 5}))
    dearer = policy(prices=[{"model": policy().routes[0].model, "input_usd_per_mtok": "9"}])
    one, other = (prices_digest(Models(rules), NIGHT) for rules in (policy(), dearer))
    assert one != other
    assert one == prices_digest(Models(policy(on_unknown="resend")), NIGHT)
    # what all jobs may be pinned to has a price too
    assert one != prices_digest(Models(policy(jobs={"model": "claude-opus-4-8"})), NIGHT)
