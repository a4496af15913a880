"""Prices: exact, the same as three independent sources say, and a worst case that no bill can exceed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal

import pytest
from genai_prices import Usage, calc_price
from hypothesis import example, given
from hypothesis import strategies as st

from rules import surcharges
from rules.prices import BilledTokens, MostBilled, PriceCard, Unpriced
from simulator.billing.billed_usage import BilledUsage as SimulatedUsage
from simulator.billing.billed_usage import cost_nano_usd
from simulator.billing.catalogue import MODELS
from tests.strategies import policy

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


def terms_of(model):
    """Every way that a request on a model may be billed."""
    geos = [None, "global", *(["us"] if model.geo else [])]
    speeds = [None, "standard", *(["fast"] if model.fast else [])]
    return [
        {"batch": batch, "geo": geo, "speed": speed}
        for batch in (False, True)
        for geo in geos
        for speed in speeds
        if not (batch and speed == "fast")
    ]


@given(models, billed())
@example(haiku, BilledTokens(CLIFF, 1))
@example(haiku, BilledTokens(CLIFF + 1, 1))
def test_every_price_is_what_the_simulators_own_table_says(model, tokens):
    card = CARDS[model.id]
    for term in terms_of(model):
        usage = SimulatedUsage(
            tokens.input,
            tokens.output,
            tokens.cache_write_5m,
            tokens.cache_write_1h,
            tokens.cache_read,
            geo=term["geo"] or "global",
            speed=term["speed"] or "standard",
            tier="batch" if term["batch"] else "standard",
        )
        assert card.price(tokens, **term) == cost_nano_usd(usage, model)
        assert card.bill(tokens, **term) == (card.price(tokens, **term), True)


#: USD per million tokens: input, 5m write, 1h write, cache read, output
#: (typed from the Anthropic pricing page of 2026-10-10; Fable 5.2 from the release notes of 2026-11-09)
PAGE = """
claude-fable-5-2   8    10    16 0.20 40
claude-fable-5-1  10    12.50 20 0.25 50
claude-fable-5    10    12.50 20 1.00 50
claude-opus-5-5    4     5     8 0.20 20
claude-opus-5      5     6.25 10 0.50 25
claude-opus-4-8    5     6.25 10 0.50 25
claude-opus-4-7    5     6.25 10 0.50 25
claude-opus-4-6    5     6.25 10 0.50 25
claude-opus-4-5    5     6.25 10 0.50 25
claude-sonnet-5-5  2     2.50  4 0.10 10
claude-sonnet-5    2     2.50  4 0.20 10
claude-sonnet-4-6  3     3.75  6 0.30 15
claude-sonnet-4-5  3     3.75  6 0.30 15
claude-haiku-5-5   0.10  0.125 0.20 0.01 0.50
claude-haiku-4-5   1     1.25  2 0.10  5
"""


@pytest.mark.parametrize("line", PAGE.strip().splitlines())
def test_every_rate_is_the_pricing_pages(line):
    model, *rates = line.split()
    card = PriceCard(model, DAY)
    for name, rate in zip(
        ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output"), rates, strict=True
    ):
        tokens = BilledTokens(**{"input": 0, "output": 0, name: 1_000})
        assert card.price(tokens) == Decimal(rate) * 1_000_000
        assert card.price(tokens, batch=True) == Decimal(rate) * 500_000
        if card.model not in ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"):
            assert card.price(tokens, geo="us") == Decimal(rate) * 1_100_000


@pytest.mark.parametrize(
    ("model", "usd"),
    [("claude-opus-5-5", (8, 40)), ("claude-opus-5", (10, 50)), ("claude-opus-4-8", (10, 50))],
)
def test_fast_mode_costs_what_the_pricing_page_says(model, usd):
    card = PriceCard(model, DAY)
    assert card.price(BilledTokens(1_000_000, 0), speed="fast") == usd[0] * 10**9
    assert card.price(BilledTokens(0, 1_000_000), speed="fast") == usd[1] * 10**9
    assert card.price(BilledTokens(0, 1_000_000), speed="fast", geo="us") == usd[1] * 11 * 10**8


@given(models, billed(), st.integers(0, 50))
def test_a_batch_is_half_rounded_up_once_and_searches_cost_the_same_everywhere(model, tokens, searches):
    card = CARDS[model.id]
    assert card.price(tokens, batch=True) == -(-card.price(tokens) // 2)
    searched = replace(tokens, web_searches=searches)
    for term in terms_of(model):
        assert card.price(searched, **term) == card.price(tokens, **term) + searches * 10_000_000


def test_a_container_costs_five_minutes_at_least():
    card = CARDS["claude-opus-5-5"]
    hour, five_minutes, moment = (
        card.price(BilledTokens(0, 0, container_seconds=seconds)) for seconds in (3_600, 300, 1)
    )
    assert (hour, five_minutes, moment) == (50_000_000, 4_166_667, 4_166_667)


@pytest.mark.parametrize(
    ("tools", "seconds"),
    [
        ([], 0),
        (["server tool web_search_20250305"], 0),
        (["server tool code_execution_20250825"], 3_600),
        (["server tool code_execution_20250825", "server tool web_search_20250305"], 3_600),
        (["server tool code_execution_20250825", "server tool web_search_20260209"], 0),
        (["server tool web_fetch_20260318", "server tool code_execution_20250825"], 0),
    ],
)
def test_a_container_is_free_beside_new_web_tools_only(tools, seconds):
    assert surcharges.container_seconds(tools) == seconds


@pytest.mark.parametrize(
    ("model", "term"),
    [
        ("claude-opus-5-5", {"geo": "eu"}),
        ("claude-opus-5-5", {"geo": "not_available"}),
        ("claude-opus-5-5", {"speed": "slow"}),
        ("claude-opus-5-5", {"speed": "fast", "batch": True}),
        ("claude-opus-4-7", {"speed": "fast"}),
        ("claude-haiku-4-5", {"geo": "us"}),
    ],
)
def test_what_a_request_asks_that_has_no_price_is_unpriced_and_in_a_bill_the_dearest(model, term):
    card = PriceCard(model, DAY)
    tokens = BilledTokens(1_000, 1_000)
    for price in (
        lambda: card.price(tokens, **term),
        lambda: card.worst_case(MostBilled(1_000, 1_000), **term),
    ):
        with pytest.raises(Unpriced, match="no price is known"):
            price()
    cost, known = card.bill(tokens, **term)
    assert not known
    factor = Decimal("1.1") if "geo" in term else 2
    assert cost == card.price(tokens, batch=term.get("batch", False)) * factor


def test_models_take_regional_inference_from_4_6_on():
    takes = {model.id for model in MODELS if surcharges.takes_geo(model.id)}
    assert takes == {model.id for model in MODELS if model.geo}


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
    less, more = MostBilled(bound, most, ttl), MostBilled(bound + more_bound, most + more_most, ttl)
    assert card.worst_case(less) <= card.worst_case(more)


@given(models, billed(), inputs, outputs, st.integers(1, 5), st.integers(0, 9))
@example(haiku, BilledTokens(CLIFF, 7, cache_write_5m=1), 0, 0, 1, 0)
def test_no_bill_within_its_bounds_costs_more_than_the_worst_case(
    model, tokens, slack, more_output, calls, searches
):
    card = CARDS[model.id]
    dearest = "1h" if tokens.cache_write_1h else "5m" if tokens.cache_write_5m or tokens.cache_read else None
    paid = replace(tokens, web_searches=searches)
    most = MostBilled(
        tokens.total_input + slack,
        -(-tokens.output // calls) + more_output,
        dearest,
        sampling_calls=calls,
        web_searches=searches,
    )
    for term in terms_of(model):
        assert card.bill(paid, **term)[0] <= card.worst_case(most, **term)


prices = st.decimals(0, 9_999, places=6)
bands = st.lists(
    st.tuples(st.sampled_from([None, 500, CLIFF, 150_000]), st.lists(prices, min_size=5, max_size=5)),
    min_size=1,
    max_size=4,
    unique_by=lambda band: band[0],
)
RATES = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")


def contract(*entries):
    return policy(prices=list(entries))


def rated(rates, **more):
    return {f"{name}_usd_per_mtok": str(rate) for name, rate in zip(RATES, rates, strict=True)} | more


@given(bands, billed(), inputs, st.booleans(), st.sampled_from([None, "us"]))
def test_no_bill_exceeds_the_worst_case_under_any_contract_also_one_with_discounts_for_volume(
    entries, tokens, slack, batch, geo
):
    entries = [rated(rates, model=haiku.id, above_input_tokens=above) for above, rates in entries]
    card = PriceCard(haiku.id, DAY, contract(*entries))
    most = MostBilled(tokens.total_input + slack, tokens.output, "1h")
    worst = card.worst_case(most, batch=batch, geo=geo)
    assert card.price(tokens, batch=batch, geo=geo) <= worst


def test_a_contract_price_replaces_its_rate_and_leaves_the_others():
    card = PriceCard(haiku.id, DAY, contract({"model": haiku.id, "input_usd_per_mtok": "0.08"}))
    assert card.price(BilledTokens(1_000, 0)) == 80_000
    assert card.price(BilledTokens(0, 1_000)) == 500_000
    assert card.price(BilledTokens(CLIFF + 1_000, 0)) == 500 * (CLIFF + 1_000)


def test_a_contract_band_holds_above_its_tokens():
    entry = {"model": "claude-opus-5-5", "input_usd_per_mtok": "1", "above_input_tokens": 500}
    card = PriceCard("claude-opus-5-5", DAY, contract(entry))
    assert card.price(BilledTokens(500, 0)) == 500 * 4_000
    assert card.price(BilledTokens(501, 1)) == 501 * 1_000 + 20_000
    assert card.worst_case(MostBilled(501, 0), geo="global") == 500 * 4_000


@pytest.mark.parametrize(
    ("first", "last", "applies"),
    [
        (None, None, True),
        ("2026-11-22", "2026-11-22", True),
        ("2026-11-23", None, False),
        (None, "2026-11-21", False),
    ],
)
def test_a_price_holds_from_its_first_day_to_its_last(first, last, applies):
    entry = {"model": "*", "discount_percent": "10", "from": first, "until": last}
    card = PriceCard("claude-opus-5-5", DAY, contract(entry))
    assert card.price(BilledTokens(1_000, 0)) == (3_600_000 if applies else 4_000_000)


def test_a_models_own_discount_goes_before_the_one_for_all_and_rates_are_final():
    entries = [
        {"model": "*", "discount_percent": "50"},
        {"model": "claude-opus-5-5", "discount_percent": "10"},
        {"model": "claude-opus-5-5", "output_usd_per_mtok": "19"},
    ]
    own = PriceCard("claude-opus-5-5", DAY, contract(*entries))
    assert own.price(BilledTokens(1_000, 0)) == 3_600_000
    assert own.price(BilledTokens(0, 1_000)) == 19_000_000
    assert PriceCard("claude-opus-5", DAY, contract(*entries)).price(BilledTokens(1_000, 0)) == 2_500_000


def test_five_rates_price_a_model_that_the_list_does_not_know():
    card = PriceCard("claude-next-9", DAY, contract(rated((1, 2, 3, 4, 5), model="claude-next-9")))
    assert card.price(BilledTokens(1, 1, 1, 1, 1)) == 15_000
    with pytest.raises(Unpriced, match="lacks cache_read_usd_per_mtok"):
        PriceCard(
            "claude-next-9",
            DAY,
            contract(
                {k: v for k, v in rated((1, 2, 3, 4, 5), model="claude-next-9").items() if "read" not in k}
            ),
        )
    with pytest.raises(Unpriced, match="no price is known"):
        PriceCard("claude-next-9", DAY, contract({"model": "*", "discount_percent": "10"}))


@given(models, billed(), st.booleans())
def test_a_workspace_in_the_us_is_priced_so_unless_the_request_says_otherwise(model, tokens, batch):
    home = PriceCard(model.id, DAY, policy(pricing={"workspace_geo": "us"}))
    card = CARDS[model.id]
    assert home.price(tokens, batch=batch, geo="global") == card.price(tokens, batch=batch)
    assert home.price(tokens, batch=batch) >= card.price(tokens, batch=batch)
    if model.geo:
        assert home.price(tokens, batch=batch) == card.price(tokens, batch=batch, geo="us")
        most = MostBilled(tokens.total_input, tokens.output, "1h")
        assert home.worst_case(most) == card.worst_case(most, geo="us")


def test_the_day_of_the_call_decides():
    day = datetime(2026, 3, 12, 23, 59, tzinfo=UTC)
    long = BilledTokens(300_000, 0)
    assert PriceCard("claude-opus-4-6", day).price(long) == 2 * PriceCard(
        "claude-opus-4-6", day + timedelta(minutes=1)
    ).price(long)


@pytest.mark.parametrize("model", ["claude-imaginary-9", "gpt-4o", ""])
def test_what_has_no_price_is_unpriced(model):
    with pytest.raises(Unpriced, match="no price is known"):
        PriceCard(model, DAY)
