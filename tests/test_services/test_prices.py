"""Prices: exact, the same as two independent sources say, and a worst case that no bill can exceed."""

from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal

import pytest
from genai_prices import Usage, calc_price
from hypothesis import example, given
from hypothesis import strategies as st

from services.prices import BilledTokens, PriceCard, Unpriced
from services.simulator.catalogue import MODELS
from services.simulator.usage import Usage as SimulatedUsage
from services.simulator.usage import cost_nano_usd

DAY = datetime(2026, 11, 22, tzinfo=UTC)
CLIFF = 100_000
CARDS = {}
for _model in MODELS:
    try:
        CARDS[_model.id] = PriceCard(_model.id, DAY)
    except Unpriced:
        CARDS[_model.id] = None

models = st.sampled_from([model for model in MODELS if CARDS[model.id]])
#: tokens, often near the cliff of claude-haiku-5-5
inputs = st.integers(0, 300) | st.integers(CLIFF - 3, CLIFF + 3) | st.integers(0, 1_000_000)
outputs = st.integers(0, 128_000)


@st.composite
def billed(draw):
    parts = draw(st.lists(inputs, min_size=4, max_size=4))
    total = draw(inputs)
    scale = [min(part, total) for part in parts]
    write_5m = min(scale[0], total)
    write_1h = min(scale[1], total - write_5m)
    read = min(scale[2], total - write_5m - write_1h)
    return BilledTokens(total - write_5m - write_1h - read, draw(outputs), write_5m, write_1h, read)


haiku = next(model for model in MODELS if model.id == "claude-haiku-5-5")


@given(models, billed())
@example(haiku, BilledTokens(CLIFF, 1))
@example(haiku, BilledTokens(CLIFF + 1, 1))
@example(haiku, BilledTokens(0, 1, cache_write_5m=1, cache_read=CLIFF))
def test_the_price_is_what_genai_prices_calculates_rounded_up(model, tokens):
    usage = Usage(
        input_tokens=tokens.total_input,
        output_tokens=tokens.output,
        cache_write_tokens=tokens.cache_write_5m + tokens.cache_write_1h,
        cache_write_1h_tokens=tokens.cache_write_1h,
        cache_read_tokens=tokens.cache_read,
    )
    theirs = calc_price(
        usage, model_ref=model.id, provider_id="anthropic", genai_request_timestamp=DAY
    ).total_price
    rounded = int((theirs * 10**9).quantize(Decimal("0.0001")).to_integral_value(rounding=ROUND_CEILING))
    assert CARDS[model.id].price(tokens) == rounded


@given(models, billed())
@example(haiku, BilledTokens(CLIFF, 1))
@example(haiku, BilledTokens(CLIFF + 1, 1))
def test_the_price_is_what_the_simulators_own_table_says(model, tokens):
    usage = SimulatedUsage(
        tokens.input, tokens.output, tokens.cache_write_5m, tokens.cache_write_1h, tokens.cache_read
    )
    assert CARDS[model.id].price(tokens) == cost_nano_usd(usage, model)


def test_every_model_that_is_open_to_all_has_a_price():
    callable_models = [model for model in MODELS if model.lifecycle != "retired" and model.line != "mythos"]
    assert [model.id for model in callable_models if not CARDS[model.id]] == []


def test_one_token_over_the_cliff_makes_every_token_dearer():
    card = CARDS["claude-haiku-5-5"]
    assert card.price(BilledTokens(CLIFF, 0)) == 10_000_000
    assert card.price(BilledTokens(CLIFF + 1, 0)) == 50_000_500


ttls = st.sampled_from([None, "5m", "1h"])


@given(models, inputs, inputs, outputs, outputs, ttls)
def test_the_worst_case_grows_with_tokens(model, bound, more_bound, most, more_most, ttl):
    card = CARDS[model.id]
    assert card.worst_case(bound, most, ttl) <= card.worst_case(bound + more_bound, most + more_most, ttl)


@given(models, billed(), inputs, outputs)
@example(haiku, BilledTokens(CLIFF, 7, cache_write_5m=1), 0, 0)
def test_no_bill_within_its_bounds_costs_more_than_the_worst_case(model, tokens, slack, more_output):
    card = CARDS[model.id]
    dearest = "1h" if tokens.cache_write_1h else "5m" if tokens.cache_write_5m else None
    worst = card.worst_case(tokens.total_input + slack, tokens.output + more_output, dearest)
    assert card.price(tokens) <= worst
    assert card.worst_case(tokens.total_input, tokens.output, "1h") >= card.price(tokens)


@pytest.mark.parametrize("model", ["claude-imaginary-9", "gpt-4o", ""])
def test_what_has_no_price_is_unpriced(model):
    with pytest.raises(Unpriced, match="no price is known"):
        PriceCard(model, DAY)
