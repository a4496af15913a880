"""What an answer comes to that another model than the one that was asked has made, or several have."""

from datetime import UTC, datetime

import pytest

from rules.prices import BilledTokens, PriceCard
from rules.usage_cost import BillingTerms, charge_of
from schemas.outcome import Billing
from schemas.usage import Answer
from tests.strategies import policy

DAY = datetime(2026, 11, 22, tzinfo=UTC)
HAIKU, OPUS = "claude-haiku-5-5", "claude-opus-5-5"
CARD = PriceCard(HAIKU, DAY)


def answer(model, **usage):
    return Answer.model_validate(
        {
            "id": "msg_1",
            "type": "message",
            "model": model,
            "content": [{"type": "text", "text": "hello"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1_000, "output_tokens": 100} | usage,
        }
    )


def charged(model, card=CARD, **usage):
    charge = charge_of(card, answer(model, **usage), BillingTerms())
    return charge.cost, charge.billing


def price(model, tokens=(1_000, 100)):
    return PriceCard(model, DAY).price(BilledTokens(*tokens))


@pytest.mark.parametrize(
    ("asked", "answering"),
    [
        (HAIKU, HAIKU),
        (HAIKU, "claude-haiku-5-5-20260901"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
        (HAIKU, "us.anthropic.claude-haiku-5-5-20260901-v1:0"),
        (HAIKU, "claude-haiku-5-5@20260901"),
        ("claude-opus-4-0", "claude-opus-4-20250514"),
    ],
)
def test_another_name_of_the_model_that_was_asked_does_not_lose_its_contract_price(asked, answering):
    card = PriceCard(asked, DAY, policy(prices=[{"model": asked, "discount_percent": "50"}]))
    assert charged(answering, card) == (price(asked) // 2, Billing.FULL)


@pytest.mark.parametrize("name", [OPUS, f"anthropic/{OPUS}", f"us.anthropic.{OPUS}-v1:0", f"{OPUS}@default"])
def test_an_answer_of_a_dearer_model_is_settled_at_its_price_and_is_not_sure(name):
    assert charged(name) == (price(OPUS), Billing.PARTIAL)
    assert price(OPUS) > price(HAIKU)


def test_an_answer_of_a_cheaper_model_is_settled_at_the_price_that_was_asked_for():
    assert charged(HAIKU, PriceCard(OPUS, DAY)) == (price(OPUS), Billing.FULL)


def test_a_name_that_no_price_is_known_for_changes_nothing():
    assert charged("a gateway's own name") == (price(HAIKU), Billing.FULL)


def test_the_contract_for_an_alias_holds_for_its_dated_id():
    rules = policy(prices=[{"model": HAIKU, "discount_percent": "50"}])
    cost, billing = charged("claude-haiku-5-5-20260901", PriceCard(HAIKU, DAY, rules))
    assert (cost * 2, billing) == (price(HAIKU), Billing.FULL)


def test_an_answer_in_parts_is_settled_at_the_sum_of_them_each_at_its_own_models_price():
    parts = [
        {"type": "message", "model": HAIKU, "input_tokens": 1_000, "output_tokens": 100},
        {"type": "fallback_message", "model": OPUS, "input_tokens": 2_000, "output_tokens": 50},
        {"type": "of another shape"},
        "no part at all",
    ]
    searches = {"web_search_requests": 2}
    cost, billing = charged(HAIKU, iterations=parts, server_tool_use=searches)
    assert cost == price(HAIKU) + price(OPUS, (2_000, 50)) + 2 * 10**7
    assert billing is Billing.PARTIAL


def test_parts_that_come_to_less_than_the_whole_are_not_believed():
    parts = [{"type": "message", "input_tokens": 1, "output_tokens": 1}]
    assert charged(HAIKU, iterations=parts) == (price(HAIKU), Billing.PARTIAL)
