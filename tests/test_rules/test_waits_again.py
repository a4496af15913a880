"""Waits again: by figures on record a job waits as it would if it was read, and what they do not tell is not guessed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rules.lesson import LessonKey, Tally, lesson
from rules.models import Models
from rules.scale import Scale, now_utc
from rules.waits_again import waits_again
from schemas.money import NanoUsd
from schemas.outcome import Method, Outcome, Reason
from schemas.payload.traits import PayloadClass, Traits, Uncounted
from tests.fakes import MODELS
from tests.strategies import job, policy

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
PLAIN = job(0).queued()
HEAVY = {HAIKU: 5_000, SONNET: 5_000, OPUS: 6_000}


def a_scale(clock=now_utc, **changes):
    rules = policy(**{"request": {"max_input_tokens": 4_000}} | changes)
    models = Models(rules, MODELS.values())
    for route in rules.routes:
        models.why_not(route.model, MODELS[route.model], now_utc())
    learned = lesson(LessonKey(OPUS, PayloadClass.TEXT), Tally(), rules.margin)
    return Scale(rules, models, lambda _: learned, clock)


def test_what_is_over_the_limit_of_tokens_waits_with_its_figures():
    scale = a_scale()
    found = waits_again(scale, PLAIN, HEAVY)
    estimate = scale.estimate(replace(PLAIN, model=OPUS, input_tokens=6_000, method="counted"))
    assert (found.model, found.input_tokens, found.method) == (OPUS, 6_000, Method.COUNTED)
    assert (found.expected, found.worst_case) == (estimate.expected, estimate.worst_case)
    assert (found.ending.outcome, found.ending.reason) == (Outcome.REVIEW, Reason.OVER_INPUT_LIMIT)
    assert found.ending.detail == "6,000 input tokens counted, limit 4,000"


@pytest.mark.parametrize(
    ("own", "counted", "reason"),
    [
        ({}, HEAVY, Reason.OVER_INPUT_LIMIT),
        ({"own_max_input_tokens": 10}, {HAIKU: 50}, Reason.OVER_INPUT_LIMIT),
        ({"own_max_cost": NanoUsd(1)}, {HAIKU: 50}, Reason.OVER_COST_LIMIT),
        ({}, dict.fromkeys(HEAVY, 50_000), Reason.NO_ROUTE),
        ({"pinned_model": OPUS}, {OPUS: 4_001}, Reason.OVER_INPUT_LIMIT),
    ],
)
def test_what_its_limits_or_its_routes_keep_back_waits(own, counted, reason):
    found = waits_again(a_scale(), replace(PLAIN, **own), counted)
    assert found.ending.reason == reason


def test_it_waits_by_the_price_of_the_day():
    rates = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
    cheap, dear = ({f"{name}_usd_per_mtok": usd for name in rates} for usd in ("0.01", "10"))
    change = datetime(2026, 12, 1, tzinfo=UTC)
    prices = [
        {"model": HAIKU, **cheap, "until": change.date() - timedelta(1)},
        {"model": HAIKU, **dear, "from": change.date()},
    ]
    limited = replace(PLAIN, own_max_cost=NanoUsd(100_000))
    for days, waits in ((-5, False), (-1, True), (5, True)):
        scale = a_scale(lambda days=days: change + timedelta(days), prices=prices)
        assert (waits_again(scale, limited, {HAIKU: 50}) is not None) == waits


@pytest.mark.parametrize(
    ("own", "counted", "changes"),
    [
        ({}, {HAIKU: 50}, {}),
        ({}, HEAVY, {"request": {"max_input_tokens": 6_000}}),
        ({}, HEAVY, {"prune": {"on_over_budget": "prune"}}),
        ({}, HEAVY, {"prune": {"on_over_budget": "downgrade"}}),
        ({}, {}, {}),
        ({}, {HAIKU: 5_000, OPUS: 6_000}, {}),
        ({"payload_bytes": 6_000 * 128 + 1}, HEAVY, {}),
        ({"pinned_model": "claude-haiku-4-5-20251001"}, {"claude-haiku-4-5-20251001": 5_000}, {}),
        ({"traits": Traits(uncounted=Uncounted(parts=("URL image",), images=1))}, HEAVY, {}),
        ({"traits": Traits(uncounted=Uncounted(sampling_calls=None))}, HEAVY, {}),
        ({"traits": Traits(geo="atlantis")}, HEAVY, {}),
    ],
    ids=[
        "within its limits", "limit raised", "pruned", "downgraded", "not counted", "not counted under one model",
        "too light for its bytes", "pin not looked at", "bounded", "unbounded", "unpriced",
    ],
)  # fmt: skip
def test_what_passes_or_what_figures_do_not_tell_is_read(own, counted, changes):
    assert waits_again(a_scale(**changes), replace(PLAIN, **own), counted) is None
