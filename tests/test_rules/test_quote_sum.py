"""The range of a quote holds what jobs like the observed ones cost, as often as it says."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.job_quote import job_quote
from rules.lesson import LessonKey, Observation, Tally, lesson
from rules.prices import BilledTokens, PriceCard
from rules.quote_sum import QuoteSum
from schemas.job import QueuedJob
from schemas.outcome import Method
from schemas.payload.traits import PayloadClass
from tests.strategies import policy

MODEL = "claude-haiku-5-5"
NOW = datetime(2026, 11, 20, tzinfo=UTC)
RULES = policy()
CARD = PriceCard(MODEL, NOW, RULES)
KEY = LessonKey(MODEL, PayloadClass.TEXT)


def learned(outputs, max_tokens):
    seen = (Observation(counted=500, billed=500, output=one, max_tokens=max_tokens) for one in outputs)
    return lesson(KEY, Tally(seen), RULES.margin)


def quotes_of(jobs, taught):
    sums = QuoteSum()
    for one in jobs:
        sums.add(job_quote(one, RULES, [CARD], taught))
    return sums


def routed(tokens, max_tokens):
    return QueuedJob(
        row_number=0,
        job_id="a",
        fingerprint="f",
        group=None,
        pinned_model=None,
        max_tokens=max_tokens,
        own_max_input_tokens=None,
        own_max_cost=None,
        cache_ttl=None,
        model=MODEL,
        input_tokens=tokens,
        method=Method.COUNTED,
        payload_bytes=1,
    )


SHAPES = {
    "even": lambda chance: chance.randint(1, 400),
    "skewed": lambda chance: min(1_000, int(chance.expovariate(1 / 120)) + 1),
    "two kinds": lambda chance: chance.choice([5, 5, 5, 700]),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("answers", "jobs"), [(60, 40), (400, 300)])
def test_eight_runs_of_ten_lie_in_the_range(shape, answers, jobs):
    chance, draw = random.Random(f"{shape}{answers}"), SHAPES[shape]
    inside = rounds = 0
    for _ in range(100):
        taught = learned([draw(chance) for _ in range(answers)], 1_000)
        tonight = [routed(chance.randint(100, 2_000), 1_000) for _ in range(jobs)]
        sums = quotes_of(tonight, taught)
        actual = sum(CARD.price(BilledTokens(one.input_tokens, draw(chance))) for one in tonight)
        rounds += 1
        inside += sums.p10 <= actual <= sums.p90
    # the error of 100 rounds is 4 points
    assert 0.70 <= inside / rounds <= 0.92


@given(
    st.lists(st.tuples(st.integers(1, 50_000), st.integers(1, 4_000)), min_size=1, max_size=20), st.booleans()
)
def test_the_figures_stand_in_order(jobs, observed):
    taught = learned([10, 20, 300] * 30 if observed else [], 4_000)
    sums = quotes_of([routed(*job) for job in jobs], taught)
    assert 0 <= sums.p10 <= sums.p90
    assert sums.expected <= sums.worst_case
    assert sums.assumed == (0 if observed else len(jobs))
    assert sums.observed == (90 if observed else 0)
    if not observed:
        assert sums.p10 <= sums.expected <= sums.p90 <= sums.worst_case


def test_what_nothing_is_known_of_may_bring_anything_up_to_max_tokens():
    sums = quotes_of([routed(1_000, 500)], learned([], 500))
    assert sums.p10 == CARD.price(BilledTokens(1_000, 1))
    assert sums.p90 == CARD.price(BilledTokens(1_000, 500))
