"""Whether a mark pays: the break-even, what a plan saves at any share of hits, and when there is none."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rules.cache_plan import (
    DOCUMENTED_HITS,
    FOLLOWER_TTL,
    best_prefix,
    break_even,
    hit_range,
    plan,
    prime_surplus,
    prime_ttl,
    saving,
)
from rules.prices import BilledTokens, CacheRates, PriceCard
from schemas.outcome import Mode
from schemas.shared_prefix import HitRange, SharedPrefix

NOW = datetime(2026, 11, 23, tzinfo=UTC)
MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")
LISTED = [PriceCard(model, NOW).cache_rates for model in MODELS]
SONNET = LISTED[1]
SHORTEST = 512


def rates_of(cents, read, short, longer):
    plain = Decimal(cents) / 100
    five = plain * (100 + short) / 100
    return CacheRates(plain, plain * read / 100, five, five + plain * longer / 100)


#: rates of any contract: reads are cheaper than plain input, and writes at least as dear
rates = st.sampled_from(LISTED) | st.builds(
    rates_of, st.integers(1, 5_000), st.integers(0, 99), st.integers(0, 200), st.integers(0, 200)
)
shares = st.integers(0, 1_000)
modes = st.sampled_from(list(Mode))
ranges = st.tuples(shares, shares).map(lambda pair: HitRange(*sorted(pair)))
prefixes = st.builds(
    SharedPrefix,
    key=st.just("k"),
    model=st.just(MODELS[0]),
    where=st.just("system/0"),
    tokens=st.integers(1, 500_000),
    jobs=st.integers(1, 10_000),
)


def shared(tokens=2_000, jobs=10, key="k"):
    return SharedPrefix(key, MODELS[1], "system/0", tokens, jobs)


def test_at_list_prices_a_mark_of_five_minutes_pays_from_about_22_of_100_hits_on():
    # reads at a tenth of the plain price: 0.25 / 1.15; at a twentieth: 0.25 / 1.2
    assert dict(zip(MODELS, map(break_even, LISTED), strict=True)) == dict(
        zip(MODELS, (218, 209, 209), strict=True)
    )


@given(rates)
def test_the_break_even_is_the_smallest_share_at_which_a_follower_costs_no_more_marked_than_plain(terms):
    least = break_even(terms)
    assert 0 <= least <= 1_000

    def marked(share):
        return share * terms.read + (1_000 - share) * terms.write_5m

    assert marked(least) <= 1_000 * terms.plain
    assert least == 0 or marked(least - 1) > 1_000 * terms.plain


@given(prefixes, rates, modes, shares, shares)
def test_a_saving_grows_with_the_share_of_hits(prefix, terms, mode, one, other):
    fewer, more = sorted((one, other))
    assert saving(prefix, terms, mode, fewer) <= saving(prefix, terms, mode, more)


@given(prefixes, rates, modes, ranges, shares)
def test_a_plan_saves_at_every_share_from_the_low_end_up(prefix, terms, mode, hits, share):
    found = plan(prefix, terms, mode, hits, SHORTEST)
    if found is None:
        return
    assert found.prefix == prefix
    assert 0 < found.low_nano_usd <= found.high_nano_usd
    assert saving(prefix, terms, mode, max(hits.low, share)) >= found.low_nano_usd
    assert (found.prime_ttl, found.ttl) == (prime_ttl(mode), FOLLOWER_TTL)


@given(prefixes, rates, modes)
def test_what_first_jobs_add_is_what_a_prefix_of_one_job_loses_and_a_plan_names_it(prefix, terms, mode):
    surplus = prime_surplus(prefix, terms, mode)
    assert surplus == -saving(replace(prefix, jobs=1), terms, mode, 0)
    found = plan(prefix, terms, mode, HitRange(1_000, 1_000), SHORTEST)
    assert found is None or found.prime_nano_usd == surplus


@given(prefixes, rates, modes, ranges)
def test_there_is_a_plan_exactly_where_the_low_end_saves_and_the_prefix_is_long_enough_and_shared(
    prefix, terms, mode, hits
):
    pays = saving(prefix, terms, mode, hits.low) > 0
    is_shared = prefix.tokens >= SHORTEST and prefix.jobs > 1
    assert (plan(prefix, terms, mode, hits, SHORTEST) is not None) is (pays and is_shared)


@given(prefixes, rates, modes, shares)
def test_below_the_break_even_there_is_no_plan_however_many_jobs_share(prefix, terms, mode, high):
    if break_even(terms) > 0:
        hits = HitRange(min(high, break_even(terms) - 1), 1_000)
        assert plan(prefix, terms, mode, hits, SHORTEST) is None


@given(st.sampled_from(MODELS), st.integers(512, 50_000), st.integers(0, 50), st.integers(0, 50), modes)
def test_a_saving_is_the_difference_of_two_bills(model, tokens, reads, writes, mode):
    card, in_batch = PriceCard(model, NOW), mode is Mode.BATCHES
    jobs = 1 + reads + writes

    def bill(**kinds):
        # nothing above a price cliff, whose step is no saving
        return card.price(BilledTokens(output=0, **{"input": 0} | kinds), batch=in_batch)

    tokens = min(tokens, 90_000 // jobs)
    first = {f"cache_write_{prime_ttl(mode)}": tokens}
    marked = bill(**first) + bill(cache_read=reads * tokens) + bill(cache_write_5m=writes * tokens)
    plain = bill(input=jobs * tokens)
    share = reads * 1_000 // (reads + writes) if reads + writes else 0
    found = saving(shared(tokens, jobs), card.cache_rates, mode, share)
    # a share is in thousandths, rounded down; each part of a bill is rounded up
    thousandth = float(card.cache_rates.write_5m) * 1_000 * tokens * jobs / 1_000
    assert found - 1 <= plain - marked + 3
    assert plain - marked <= found + thousandth + 3


def test_the_first_job_of_a_batch_buys_an_hour_and_that_of_single_messages_five_minutes():
    assert prime_ttl(Mode.BATCHES) == "1h"
    assert prime_ttl(Mode.MESSAGES) == "5m"
    one = shared(jobs=1)
    hour, minutes = (saving(one, SONNET, mode, 1_000) for mode in (Mode.BATCHES, Mode.MESSAGES))
    assert hour == -(SONNET.write_1h - SONNET.plain) * one.tokens * 1_000 / 2
    assert minutes == -(SONNET.write_5m - SONNET.plain) * one.tokens * 1_000


@given(st.lists(prefixes, max_size=5), rates, modes, ranges)
def test_of_the_prefixes_of_a_job_the_one_is_best_that_saves_most_a_job(path, terms, mode, hits):
    best = best_prefix(path, terms, mode, hits)
    gains = [Decimal(saving(one, terms, mode, hits.low)) / one.jobs for one in path if one.jobs > 1]
    if best is None:
        assert all(gain <= 0 for gain in gains)
    else:
        assert best in path
        assert Decimal(saving(best, terms, mode, hits.low)) / best.jobs == max(gains) > 0


def test_a_longer_prefix_of_few_jobs_is_weighed_against_a_shorter_one_of_many():
    many = shared(tokens=2_000, jobs=1_000, key="many")
    few = shared(tokens=2_100, jobs=2, key="few")
    assert best_prefix([many, few], SONNET, Mode.MESSAGES, HitRange(900, 980)) == many
    much_longer = shared(tokens=20_000, jobs=2, key="few")
    assert best_prefix([many, much_longer], SONNET, Mode.MESSAGES, HitRange(900, 980)) == much_longer


@given(st.lists(shares, min_size=1))
def test_the_range_of_hits_is_what_was_measured(measured):
    assert hit_range(measured) == HitRange(min(measured), max(measured), len(measured))


def test_without_a_measurement_the_range_is_what_is_documented_and_its_low_end_pays_at_list_prices():
    assert hit_range([]) == DOCUMENTED_HITS
    assert all(DOCUMENTED_HITS.low > break_even(listed) for listed in LISTED)
