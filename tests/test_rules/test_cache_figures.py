"""What cache markers came to: money saved or lost to the nano, shares of hits, and how people read them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.cache_figures import PREFIXES_SHOWN, cache_figures, hits, prefix_rows, saved_nano
from rules.prices import BilledTokens, PriceCard
from schemas.money import to_usd
from schemas.shared_prefix import PrefixSums, SharedPrefix

MODEL = "claude-sonnet-5-5"
CARD = PriceCard(MODEL, datetime(2026, 11, 23, tzinfo=UTC))
RATES = {MODEL: CARD.cache_rates}
tokens = st.integers(0, 10**9)


def sums(key="k" * 64, model=MODEL, batch=False, written=0, written_1h=0, read=0, could=0, did=0):
    prefix = SharedPrefix(key, model, "system/0", 2_000, 9)
    return PrefixSums(prefix, batch, 8, written, written_1h, read, could, did)


@st.composite
def any_sums(draw):
    written, read = draw(tokens), draw(tokens)
    did = draw(st.integers(0, read))
    return sums(
        key=draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        model=draw(st.sampled_from([MODEL, "claude-of-no-price"])),
        batch=draw(st.booleans()),
        written=written,
        written_1h=draw(st.integers(0, written)),
        read=read,
        could=did + draw(tokens),
        did=did,
    )


@given(any_sums())
def test_what_was_saved_is_the_difference_of_two_bills(one):
    short = one.written - one.written_1h
    marked = CARD.price(
        BilledTokens(0, 0, cache_write_5m=short, cache_write_1h=one.written_1h, cache_read=one.read),
        batch=one.batch,
    )
    plain = CARD.price(BilledTokens(one.written + one.read, 0), batch=one.batch)
    assert abs(saved_nano(one, CARD.cache_rates) - (plain - marked)) <= 1  # bills are rounded up


@given(any_sums())
def test_a_batch_saves_and_loses_half(one):
    whole = saved_nano(PrefixSums(one.prefix, False, *figures(one)), CARD.cache_rates)
    half = saved_nano(PrefixSums(one.prefix, True, *figures(one)), CARD.cache_rates)
    assert abs(2 * half - whole) <= 1


def figures(one):
    return one.jobs, one.written, one.written_1h, one.read, one.follower_tokens, one.follower_read


def test_reads_save_and_writes_lose_and_those_of_an_hour_lose_more():
    reads, short, hour = (
        saved_nano(one, CARD.cache_rates)
        for one in (sums(read=1_000), sums(written=1_000), sums(written=1_000, written_1h=1_000))
    )
    assert reads > 0 > short > hour


@given(st.lists(any_sums(), max_size=PREFIXES_SHOWN + 5))
def test_the_figures_of_a_run_are_the_sums_over_all_its_prefixes_also_those_not_shown(found):
    report = cache_figures(found, RATES)
    assert report.written_tokens == sum(one.written for one in found)
    assert report.read_tokens == sum(one.read for one in found)
    priced = [one for one in found if one.prefix.model in RATES]
    assert report.saved_usd == to_usd(sum(saved_nano(one, CARD.cache_rates) for one in priced))
    assert len(report.prefixes) == min(len(found), PREFIXES_SHOWN)
    could = sum(one.follower_tokens for one in found)
    if could:
        share = Decimal(sum(one.follower_read for one in found)) / could
        assert abs(report.hit_share - share) <= Decimal("0.0005")
        assert 0 <= report.hit_share <= 1
    else:
        assert report.hit_share is None


@given(any_sums())
def test_each_prefix_is_named_with_its_own_figures(one):
    [found] = cache_figures([one], RATES).prefixes
    assert one.prefix.key.startswith(found.prefix)
    assert found.mode == ("batches" if one.batch else "messages")
    assert (found.jobs, found.written_tokens, found.read_tokens) == (8, one.written, one.read)
    if one.prefix.model not in RATES:
        assert found.saved_usd == 0


def test_a_run_without_marks_has_figures_of_nothing():
    report = cache_figures([], RATES)
    assert (report.written_tokens, report.read_tokens, report.saved_usd) == (0, 0, 0)
    assert report.hit_share is None
    assert not prefix_rows(report)


@pytest.mark.parametrize(
    ("share", "shown"), [(None, "none could"), (Decimal("0.983"), "98.3%"), (Decimal(0), "0.0%")]
)
def test_a_share_is_read_as_percent_or_says_that_nothing_could_be_read(share, shown):
    assert hits(share) == shown


def test_a_row_says_where_the_prefix_ends_and_what_it_saved():
    one = sums(
        key="ab" * 32, batch=True, written=2_000, written_1h=2_000, read=14_000, could=14_000, did=14_000
    )
    [row] = prefix_rows(cache_figures([one], RATES))
    assert len(row) == 9
    assert row[:8] == (
        "abababababab up to system/0", MODEL, "batches", "2,000", "8", "2,000", "14,000", "100.0%",
    )  # fmt: skip
