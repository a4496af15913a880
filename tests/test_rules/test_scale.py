"""The scale: what is held is enough on every day, and at every place, that an attempt may be billed at."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.lesson import LessonKey, Tally, lesson
from rules.models import Models
from rules.prices import BilledTokens, MostBilled, PriceCard, Unpriced
from rules.scale import Scale
from schemas.job import QueuedJob
from schemas.outcome import Mode
from schemas.payload.payload import Fingerprint
from schemas.payload.traits import PayloadClass, Traits
from tests.strategies import policy

MODEL = "claude-haiku-4-5-20251001"
NEW = "claude-sonnet-5-5"
NOW = datetime(2026, 11, 26, 23, 50, tzinfo=UTC)
RATES = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")


def job(model=MODEL, geo=None):
    return QueuedJob(
        row_number=0,
        job_id="a",
        fingerprint=Fingerprint("f"),
        group=None,
        pinned_model=None,
        max_tokens=100,
        own_max_input_tokens=None,
        own_max_cost=None,
        cache_ttl=None,
        model=model,
        input_tokens=1_000,
        method="counted",
        payload_bytes=1,
        traits=Traits(geo=geo),
    )


def contract(usd, *, model=MODEL, until=None, since=None):
    rates = {f"{name}_usd_per_mtok": str(usd) for name in RATES}
    return {"model": model, **rates, "until": until, "from": since}


def a_scale(mode, *prices, **changes):
    rules = policy(mode=mode, prices=list(prices), **changes)
    learned = lesson(LessonKey(MODEL, PayloadClass.TEXT), Tally(), rules.margin)
    return Scale(rules, Models(rules), lambda _: learned, lambda: NOW)


@given(st.sampled_from(list(Mode)), st.integers(0, 4), st.integers(0, 9), st.integers(0, 9))
def test_the_hold_covers_the_price_of_each_day_that_it_may_be_billed_on(mode, ends_in, before, after):
    last = NOW.date() + timedelta(ends_in)
    scale = a_scale(mode, contract(before, until=last), contract(after, since=last + timedelta(1)))
    estimate = scale.estimate(job())
    days = 3 if mode is Mode.BATCHES else 2
    bills = [
        PriceCard(MODEL, NOW + timedelta(day), scale.policy).price(
            BilledTokens(estimate.input_bound, 100), batch=mode is Mode.BATCHES
        )
        for day in range(days)
    ]
    assert estimate.worst_case == max(bills)
    # it is expected to cost today's price
    assert estimate.expected == PriceCard(MODEL, NOW, scale.policy).price(
        BilledTokens(1_000, 25), batch=mode is Mode.BATCHES
    )


def test_what_has_no_price_tomorrow_goes_out_today_or_not_at_all_and_in_no_batch():
    ending = contract(1, model="claude-next-9", until=NOW.date())
    assert a_scale(Mode.MESSAGES, ending).estimate(job("claude-next-9")).worst_case > 0
    with pytest.raises(Unpriced):
        a_scale(Mode.BATCHES, ending).estimate(job("claude-next-9"))


@given(
    st.sampled_from([MODEL, NEW]),
    st.sampled_from([None, "global", "us"]),
    st.sampled_from([None, "global", "us"]),
    st.sampled_from(list(Mode)),
)
def test_the_hold_covers_regional_inference_where_nobody_says_where_it_runs(model, asked, home, mode):
    if model == MODEL and "us" in (asked, home):
        return  # too old for a region: the API refuses it
    pricing = {"workspace_geo": home} if home else {}
    worst = a_scale(mode, pricing=pricing).estimate(job(model, asked)).worst_case
    card = PriceCard(model, NOW)
    bound = 1_030
    where = asked or home or ("us" if model == NEW else "global")
    batch = mode is Mode.BATCHES
    assert worst == card.worst_case(MostBilled(bound, 100), batch=batch, geo=where)


def test_a_policy_of_before_says_where_its_workspace_is():
    assert policy(pricing={"workspace_geo": "global"}).pricing.workspace_geo == "global"
    assert policy().pricing.workspace_geo is None
