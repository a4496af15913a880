"""Settling: no token is lost, what the usage does not show is said to be so, and a refusal costs what it costs."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import select

from rules.endings import MOST_TRIES, answered, cut_off_parked, failed, item_failed
from rules.prices import BilledTokens, PriceCard
from rules.usage_cost import BillingTerms, billed, billing_terms, priced
from schemas.attempt import UnsettledAttempt
from schemas.failures import Transient
from schemas.job import AttemptId
from schemas.ledger import AttemptRow, JobRow
from schemas.money import to_nano
from schemas.outcome import AttemptState, Billing, Outcome, Reason
from schemas.payload.payload import Payload
from schemas.payload.traits import PLAIN
from schemas.usage import Answer, Usage
from services.ledger import jobs
from tasks.admit import admit_next
from tasks.report_run import report_on
from tests.fakes import FAILURES
from tests.nights import a_run
from tests.strategies import begin, job, job_update, packed, request, settlement, take, write_down

DAY = datetime(2026, 11, 22, tzinfo=UTC)
CARD = PriceCard("claude-opus-5-5", DAY)
HELD = AttemptId("att_1")

tokens = st.integers(0, 200_000)
maybe = st.none() | tokens
breakdowns = st.none() | st.fixed_dictionaries(
    {}, optional={"ephemeral_5m_input_tokens": tokens, "ephemeral_1h_input_tokens": tokens}
)
usages = st.fixed_dictionaries(
    {"input_tokens": tokens, "output_tokens": tokens},
    optional={
        "cache_creation_input_tokens": maybe,
        "cache_read_input_tokens": maybe,
        "cache_creation": breakdowns,
        "output_tokens_details": st.none() | st.fixed_dictionaries({"thinking_tokens": maybe}),
        "server_tool_use": st.none()
        | st.fixed_dictionaries({"web_search_requests": st.integers(0, 9), "code_execution_requests": maybe}),
        "service_tier": st.sampled_from([None, "standard", "batch", "priority", "odd"]),
        "inference_geo": st.sampled_from([None, "global", "us", "mars", "not_available"]),
        "speed": st.sampled_from([None, "standard", "fast", "odd"]),
        "iterations": st.none() | st.just([]) | st.just([{"type": "message"}]),
        "something_new": st.integers(),
    },
).map(Usage.model_validate)
askeds = st.builds(
    BillingTerms,
    cache_ttl=st.sampled_from([None, "5m", "1h"]),
    batch=st.booleans(),
    container_seconds=st.sampled_from([0, 3_600]),
)


def usage(**more):
    return Usage.model_validate({"input_tokens": 10, "output_tokens": 20} | more)


def answer(content=({"type": "text", "text": "hi"},), stop_reason="end_turn", used=None, **more):
    return Answer.model_validate(
        {
            "id": "msg_1",
            "type": "message",
            "model": CARD.model,
            "content": list(content),
            "stop_reason": stop_reason,
            "usage": used or {"input_tokens": 10, "output_tokens": 20},
            **more,
        }
    )


@given(usages, askeds)
@example(
    usage(cache_creation_input_tokens=3, cache_creation={"ephemeral_5m_input_tokens": 5}), BillingTerms()
)
@example(
    usage(cache_creation_input_tokens=9, cache_creation={"ephemeral_5m_input_tokens": 5}), BillingTerms()
)
def test_settling_loses_no_token(used, asked):
    paid, _ = billed(used, asked)
    by_life = used.cache_creation
    assert paid.input == used.input_tokens
    assert paid.output >= max(used.output_tokens, used.thinking_tokens or 0)
    assert paid.cache_read == used.cache_read_tokens
    written = paid.cache_write_5m + paid.cache_write_1h
    assert written >= (used.cache_creation_input_tokens or 0)
    if by_life:
        assert paid.cache_write_5m == by_life.ephemeral_5m_input_tokens
        assert paid.cache_write_1h >= by_life.ephemeral_1h_input_tokens
    assert paid.total_input == used.input_tokens + used.cache_write_tokens + used.cache_read_tokens
    assert paid.web_searches == used.web_searches


@given(usages, askeds)
def test_no_usage_is_settled_below_the_dearest_reading_that_it_leaves_open(used, asked):
    cost, paid, billing = priced(CARD, used, asked)
    geo = "us" if used.inference_geo not in (None, "global") else None
    speed = "fast" if used.speed not in (None, "standard") else None
    discounted = asked.batch and used.service_tier in (None, "batch")
    factor = 2 if speed else 1
    plain = CARD.price(paid, geo=geo)
    assert cost >= CARD.price(paid, batch=discounted, geo=geo)
    assert cost <= plain * factor
    if billing == Billing.FULL:
        assert used.inference_geo in (None, "global", "us")
        assert used.service_tier in (None, "batch" if asked.batch else "standard")
        assert not used.iterations


@pytest.mark.parametrize(
    ("more", "asked", "paid", "full"),
    [
        ({}, BillingTerms(), BilledTokens(10, 20), True),
        (
            {
                "cache_creation_input_tokens": 12,
                "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 7},
            },
            BillingTerms("1h"),
            BilledTokens(10, 20, 5, 7),
            True,
        ),
        ({"cache_creation_input_tokens": 12}, BillingTerms("5m"), BilledTokens(10, 20, 12, 0), True),
        ({"cache_creation_input_tokens": 12}, BillingTerms("1h"), BilledTokens(10, 20, 0, 12), False),
        ({"cache_creation_input_tokens": 12}, BillingTerms(), BilledTokens(10, 20, 0, 12), False),
        (
            {"cache_creation_input_tokens": 12, "cache_creation": {"ephemeral_5m_input_tokens": 5}},
            BillingTerms("5m"),
            BilledTokens(10, 20, 5, 7),
            False,
        ),
        (
            {"cache_creation_input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 5}},
            BillingTerms("5m"),
            BilledTokens(10, 20, 5, 0),
            False,
        ),
        ({"cache_read_input_tokens": 4}, BillingTerms(), BilledTokens(10, 20, cache_read=4), True),
        ({"output_tokens_details": {"thinking_tokens": 15}}, BillingTerms(), BilledTokens(10, 20), True),
        ({"output_tokens_details": {"thinking_tokens": 25}}, BillingTerms(), BilledTokens(10, 25), False),
        (
            {"server_tool_use": {"web_search_requests": 3}},
            BillingTerms(),
            BilledTokens(10, 20, web_searches=3),
            True,
        ),
        ({"server_tool_use": {"web_fetch_requests": 3}}, BillingTerms(), BilledTokens(10, 20), True),
        (
            {"server_tool_use": {"code_execution_requests": 2}},
            BillingTerms(container_seconds=3_600),
            BilledTokens(10, 20, container_seconds=3_600),
            False,
        ),
        ({"server_tool_use": {"code_execution_requests": 2}}, BillingTerms(), BilledTokens(10, 20), True),
        ({"iterations": [{"type": "compaction"}]}, BillingTerms(), BilledTokens(10, 20), False),
        ({"iterations": []}, BillingTerms(), BilledTokens(10, 20), True),
    ],
)
def test_what_is_billed_and_whether_the_usage_says_all_of_it(more, asked, paid, full):
    assert billed(usage(**more), asked) == (paid, full)


@pytest.mark.parametrize(
    ("more", "asked", "cost", "billing"),
    [
        ({}, BillingTerms(), 440_000, Billing.FULL),
        ({"service_tier": "standard"}, BillingTerms(), 440_000, Billing.FULL),
        ({"service_tier": "priority"}, BillingTerms(), 440_000, Billing.PARTIAL),
        ({"service_tier": "odd"}, BillingTerms(), 440_000, Billing.PARTIAL),
        ({}, BillingTerms(batch=True), 220_000, Billing.FULL),
        ({"service_tier": "batch"}, BillingTerms(batch=True), 220_000, Billing.FULL),
        ({"service_tier": "standard"}, BillingTerms(batch=True), 440_000, Billing.PARTIAL),
        ({"service_tier": "batch"}, BillingTerms(), 440_000, Billing.PARTIAL),
        ({"inference_geo": "us"}, BillingTerms(), 484_000, Billing.FULL),
        ({}, BillingTerms(geo="us"), 484_000, Billing.FULL),
        ({"inference_geo": "global"}, BillingTerms(geo="us"), 440_000, Billing.FULL),
        ({"inference_geo": "mars"}, BillingTerms(), 484_000, Billing.PARTIAL),
        ({"speed": "fast"}, BillingTerms(speed="fast"), 880_000, Billing.FULL),
        ({"speed": "standard"}, BillingTerms(speed="fast"), 440_000, Billing.FULL),
        ({"speed": "ludicrous"}, BillingTerms(), 880_000, Billing.PARTIAL),
        ({"speed": "fast", "inference_geo": "us"}, BillingTerms(), 968_000, Billing.FULL),
    ],
)
def test_the_usage_decides_the_terms_and_an_unknown_term_is_the_dearest(more, asked, cost, billing):
    assert priced(CARD, usage(**more), asked)[::2] == (cost, billing)


def test_a_model_older_than_regional_inference_is_billed_in_full_at_its_price():
    card = PriceCard("claude-haiku-4-5", DAY)
    cost, _, billing = priced(card, usage(inference_geo="not_available"), BillingTerms())
    assert (cost, billing) == (10 * 1_000 + 20 * 5_000, Billing.FULL)


@pytest.mark.parametrize("broken", [{}, {"input_tokens": 1}, {"input_tokens": -1, "output_tokens": 1}])
def test_a_usage_that_cannot_be_read_is_none(broken):
    with pytest.raises(ValidationError):
        Usage.model_validate(broken)


def refusal(category, content=(), **more):
    details = {"type": "refusal", "category": category}
    return answer(content, "refusal", **{"stop_details": details} | more)


@pytest.mark.parametrize(
    ("refused", "billing"),
    [
        *[(refusal(category), Billing.NOT_BILLED) for category in ("cyber", "general_harms", None)],
        *[(refusal(category), Billing.FULL) for category in ("bio", "frontier_llm", "reasoning_extraction")],
        (refusal("cyber", [{"type": "text", "text": "so far"}]), Billing.FULL),
        (refusal("something_new"), Billing.PARTIAL),
        (refusal(["cyber"]), Billing.PARTIAL),
        (refusal("cyber", stop_details=None), Billing.PARTIAL),
        (answer(()), Billing.FULL),
    ],
)
def test_a_refusal_before_any_output_is_billed_by_its_category(refused, billing):
    end = answered(HELD, CARD, refused, "{}")
    assert end.charge.billing == billing
    assert end.charge.cost == (0 if billing == Billing.NOT_BILLED else 440_000)
    assert (end.state, end.ending.outcome) == (AttemptState.SUCCEEDED, Outcome.SUCCEEDED)
    assert (end.charge.input_tokens, end.charge.output_tokens) == (10, 20)


def test_before_the_categories_were_published_every_refusal_is_settled_and_said_to_be_a_bound():
    card = PriceCard(CARD.model, datetime(2026, 9, 23, tzinfo=UTC))
    assert answered(HELD, card, refusal("cyber"), "{}").charge.billing == Billing.PARTIAL


def test_what_a_payload_asks_for_decides_where_its_usage_is_silent():
    marked = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    payload = Payload.checked(request(system=marked))
    assert billing_terms(payload.traits, payload.cache_ttl, batch=True) == BillingTerms("1h", batch=True)


def test_an_attempt_keeps_what_its_usage_said(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0), job(1)], [])
    one, other = take(ledger, [10**9, 10**9]).held
    used = {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_creation_input_tokens": 12,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 7},
        "output_tokens_details": {"thinking_tokens": 15},
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "priority" + "y" * 60,
        "inference_geo": "us",
        "something_new": [1],
    }
    unknown = settlement(
        other.attempt_id, AttemptState.UNKNOWN, Outcome.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME
    )
    write_down(ledger, (), [answered(one.attempt_id, CARD, answer(used=used), "{}"), unknown])
    with ledger.read() as connection:
        rows = {row.attempt_id: row for row in connection.execute(select(AttemptRow.__table__))}
    kept = rows[one.attempt_id]
    assert (kept.actual_input_tokens, kept.cache_write_tokens, kept.cache_write_1h_tokens) == (22, 12, 7)
    assert (kept.thinking_tokens, kept.web_searches, kept.inference_geo) == (15, 2, "us")
    assert kept.service_tier == used["service_tier"][:40]
    assert (kept.billing, kept.usage) == ("partial", used)
    whole = CARD.price(BilledTokens(10, 20, 5, 7, web_searches=2), geo="us")
    assert (kept.actual_nano_usd, kept.held_nano_usd) == (whole, 0)
    assert (rows[other.attempt_id].billing, rows[other.attempt_id].held_nano_usd) == ("partial", 10**9)


def on_largest(ledger, model):
    """The prices of a model, and what a run whose largest it is says that its requests had cost on it."""
    routes = [{"name": "only", "model": model, "up_to_input_tokens": 10_000}]
    return PriceCard(model, DAY), to_nano(report_on(a_run(ledger, routes=routes)).usd.all_on_largest)


def test_the_same_requests_on_the_largest_model_keep_their_mode_place_searches_and_cache_lives(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(number) for number in range(4)], [])
    now, batched, unbilled, fast = (one.attempt_id for one in take(ledger, [10**9] * 4).held)
    packed(ledger, [batched])
    used = {
        "input_tokens": 11,
        "output_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 3},
        "cache_read_input_tokens": 13,
        "server_tool_use": {"web_search_requests": 1},
        "inference_geo": "us",
    }
    ends = [
        answered(now, CARD, answer(used=used), "{}"),
        answered(batched, CARD, answer(used=used), "{}", BillingTerms(batch=True)),
        answered(unbilled, CARD, refusal("cyber"), "{}"),
        answered(fast, CARD, answer(used=used | {"speed": "fast"}), "{}"),
    ]
    write_down(ledger, (), ends)
    # the attempts' own model here is claude-haiku-5-5, so none of them is fast on the largest
    card, total = on_largest(ledger, "claude-opus-5-5")
    whole = BilledTokens(11, 7, 5, 3, 13, web_searches=1)
    assert total == 2 * card.price(whole, geo="us") + card.price(whole, geo="us", batch=True)
    card, total = on_largest(ledger, "claude-haiku-5-5")
    assert total > 2 * card.price(whole, geo="us") + card.price(whole, geo="us", batch=True)


def test_a_job_that_asks_for_what_has_no_price_waits_for_a_person_and_stops_no_other(ledger):
    begin(ledger)
    strange = Payload.restored(orjson.dumps(request(inference_geo="mars")))
    jobs.add(ledger, "run-1", [job(0, payload=strange), job(1), job(2)], [])
    routed = [job_update(0, CARD.model, 10, "counted"), job_update(1, CARD.model, 10, "counted")]
    jobs.record(ledger, "run-1", [*routed, job_update(2, "claude-unheard-of", 10, "counted")])
    admission = admit_next(a_run(ledger), 10, may_defer=True)
    assert [attempt.row_number for attempt in admission.held] == [1]
    with ledger.read() as connection:
        rows = {row.row_number: row for row in connection.execute(select(JobRow.__table__))}
    assert [(rows[n].outcome, rows[n].reason) for n in (0, 2)] == [("review", "unpriced")] * 2
    assert rows[0].detail == (
        "no price is known for claude-opus-5-5 with inference_geo 'mars'; what has no price is not sent"
    )


@given(st.sampled_from(sorted(FAILURES)), st.integers(1, MOST_TRIES))
def test_the_same_failure_ends_a_job_the_same_way_in_both_modes(name, tried):
    """But one that may pass, which a batch tries again."""
    failure = FAILURES[name]().as_failure()
    item = UnsettledAttempt(HELD, "claude-opus-5-5", DAY, None, PLAIN, tried)
    message, in_batch = failed(HELD, failure), item_failed(item, failure)
    if name == "passing" and tried < MOST_TRIES:
        assert in_batch.ending is None
    else:
        assert in_batch == message
    if name == "refused":
        assert message.ending.outcome is Outcome.REJECTED


@pytest.mark.parametrize("stop_reason", ["max_tokens", "end_turn", "refusal", None])
def test_only_an_answer_that_was_cut_off_waits_for_a_person_and_its_money_stays_settled(stop_reason):
    end = replace(answered(HELD, CARD, refusal("cyber"), "{}"), stop_reason=stop_reason)
    waits = cut_off_parked(end)
    if stop_reason != "max_tokens":
        assert waits == end
        return
    assert (waits.ending.outcome, waits.ending.reason) == (Outcome.REVIEW, Reason.CUT_OFF)
    assert waits.ending.detail.endswith(HELD)
    assert replace(waits, ending=end.ending) == end


def test_what_is_not_an_answer_does_not_wait_as_one_that_was_cut_off():
    end = replace(failed(HELD, Transient("overloaded")), stop_reason="max_tokens")
    assert cut_off_parked(end) == end
