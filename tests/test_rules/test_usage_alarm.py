"""Usage that has nothing to do with what was asked: it is bounded, it stops the run, and it is an alarm."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.endings import answered
from rules.lesson import LessonKey, Tally, Taught, drifted, lesson
from rules.prices import PriceCard
from rules.usage_alarm import MOST_OUT_OF_LINE, BillWatch, believed, is_far_off, out_of_line
from schemas.attempt import Expectation
from schemas.money import NanoUsd
from schemas.outcome import Billing, Reason
from schemas.payload.traits import PayloadClass
from schemas.policy_sections import Margin
from schemas.usage import Answer

CARD = PriceCard("claude-opus-5-5", datetime(2026, 11, 22, tzinfo=UTC))
KIND = LessonKey("claude-opus-5-5", PayloadClass.TEXT)
tokens = st.integers(0, 100_000)


def answer(input_tokens, output_tokens, **more):
    return answered(
        "att_1",
        CARD,
        Answer.model_validate(
            {
                "id": "m",
                "type": "message",
                "model": CARD.model,
                "content": [],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
            }
            | more
        ),
        "{}",
    )


def expecting(counted, max_tokens=100, worst_case=10**15, *, is_counted=True):
    return Expectation(counted, is_counted, max_tokens, NanoUsd(worst_case))


@given(tokens, tokens, st.integers(1, 100_000), st.integers(0, 10**12))
def test_usage_without_input_is_settled_at_the_worst_case_and_other_usage_as_it_came(
    billed, output, counted, worst
):
    plain = answer(billed, output)
    found = believed(plain, expecting(counted, worst_case=worst))
    if billed:
        assert found == plain
    else:
        assert found.charge.cost == max(worst, plain.charge.cost)
        assert found.charge.billing is Billing.PARTIAL
        assert (found.response, found.state, found.ending) == (plain.response, plain.state, plain.ending)
    assert believed(plain, None) == plain
    assert believed(plain, expecting(0)) == plain


SAID = [{"type": "text", "text": "yes"}]


@pytest.mark.parametrize(
    ("content", "output", "is_believed"),
    [
        (SAID, 0, False),
        ([{"type": "tool_use", "id": "t", "name": "n", "input": {}}], 0, False),
        (SAID, 1, True),
        ([], 0, True),
        ([{"type": "text", "text": ""}], 0, True),
    ],
)
def test_usage_without_output_is_settled_at_the_worst_case_where_the_answer_says_something(
    content, output, is_believed
):
    plain = answer(10, output, content=content)
    found = believed(plain, expecting(10, worst_case=10**12))
    if is_believed:
        assert found == plain
    else:
        assert (found.charge.cost, found.charge.billing) == (10**12, Billing.PARTIAL)


def test_a_refusal_that_is_not_billed_costs_nothing_whatever_its_usage():
    refusal = {"stop_reason": "refusal", "stop_details": {"category": "cyber"}}
    plain = answer(0, 0, **refusal)
    assert plain.charge.billing is Billing.NOT_BILLED
    assert believed(plain, expecting(1_000)) == plain


@given(tokens, tokens, st.integers(0, 10**10), st.integers(1, 100_000), st.booleans())
def test_a_bill_is_out_of_line_above_its_worst_case_or_above_its_max_tokens(
    billed, output, worst, max_tokens, counted
):
    settlement = answer(billed, output)
    why = out_of_line(settlement, expecting(10, max_tokens, worst, is_counted=counted))
    over = settlement.charge.cost > worst
    assert (why is not None) == (over or (counted and output > max_tokens))
    assert out_of_line(settlement, None) is None


@given(st.lists(st.booleans(), max_size=12))
def test_a_run_stops_at_the_third_bill_out_of_line_and_not_before(bills):
    watch, seen = BillWatch(), 0
    for is_over in bills:
        seen += is_over
        output = 200 if is_over else 50
        reason = watch.reason_to_stop(answer(10, output), expecting(10))
        assert reason == (Reason.BILLS_OVER_HOLDS if seen >= MOST_OUT_OF_LINE else None)


@given(st.integers(1, 100_000), st.integers(0, 300_000), st.integers(0, 1_000))
def test_a_bill_is_far_off_beyond_a_factor_of_two_and_its_margin_both_ways(counted, billed, margin):
    far = is_far_off(counted, billed, counted + margin)
    assert far == (abs(billed - counted) > margin and (billed > 2 * counted or 2 * billed < counted))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (
            {"far_off": 2},
            "2 of 5 were billed for less than half of their count, or for more than twice of it",
        ),
        ({"without_input": 5}, "5 of 5 came with a usage of no input at all"),
        ({"over_output": 1}, "1 of 5 were billed for more output than their max_tokens"),
    ],
)
def test_the_first_night_alarms_on_an_absolute_line(what, words):
    """Nothing was observed before."""
    first = lesson(KIND, Tally(), Margin())
    assert words in drifted(first, Taught(jobs=5, **what))
    assert drifted(first, Taught(jobs=5)) is None
