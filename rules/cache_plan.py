"""Whether marking a shared prefix saves money: break-even, the expected saving, and when marking ends.

Price of a token of a prefix at a share h of hits: h x read + (1 - h) x write. It is below the plain price when h is above
(write - plain) / (write - read): 21 to 22 % for five minutes, 51 to 53 % for an hour (read 0.05 to 0.1 of the plain
price, writes 1.25 and 2 times). So the hour is bought once, by the job that writes first, and those that miss write for
five minutes.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_FLOOR, Decimal

from rules.prices import CacheRates
from rules.surcharges import BATCH, ONE
from schemas.money import NANO_PER_TOKEN
from schemas.outcome import Mode
from schemas.payload.payload import CacheTtl
from schemas.shared_prefix import HitRange, PlannedPrefix, SharedPrefix

#: hits of what could hit inside batches (source: Anthropic batch processing page, 2026-10-08). Nothing is published for
#: single messages, whose entries are readable once the first answer has begun: so the same is taken until it is observed
DOCUMENTED_HITS = HitRange(low=300, high=980)
#: marked answers after the first ones before their hits are believed
FEWEST_FOLLOWERS = 30
_THOUSAND = Decimal(1000)


def prime_ttl(mode: Mode) -> CacheTtl:
    """How long the entry of the first job of a prefix lives: what follows it in a batch may come much later."""
    return "1h" if mode is Mode.BATCHES else "5m"


#: how long an entry lives that a later job has to write
FOLLOWER_TTL: CacheTtl = "5m"


def break_even(rates: CacheRates) -> int:
    """The share of hits, in thousandths and rounded up, from which on a mark of five minutes costs no more than none."""
    if rates.write_5m <= rates.plain:
        return 0
    share = (rates.write_5m - rates.plain) / (rates.write_5m - rates.read)
    return -int((-share * _THOUSAND).to_integral_value(ROUND_FLOOR))


def saving(prefix: SharedPrefix, rates: CacheRates, mode: Mode, hits: int) -> int:
    """Nano-USD that marking a prefix saves at a share of hits in thousandths, rounded down; negative: it costs that much.

    The first job writes, at the price of its life; the others read or write for five minutes.
    """
    share = Decimal(hits) / _THOUSAND
    first = rates.plain - rates.write(prime_ttl(mode))
    other = rates.plain - share * rates.read - (1 - share) * rates.write(FOLLOWER_TTL)
    return _nano(first + (prefix.jobs - 1) * other, prefix.tokens, mode)


def prime_surplus(prefix: SharedPrefix, rates: CacheRates, mode: Mode) -> int:
    """Nano-USD by which the first job of a prefix is dearer than without its mark, rounded up."""
    return -_nano(rates.plain - rates.write(prime_ttl(mode)), prefix.tokens, mode)


def _nano(usd_per_million: Decimal, tokens: int, mode: Mode) -> int:
    """Nano-USD of tokens in a mode, rounded down."""
    factor = BATCH.value if mode is Mode.BATCHES else ONE
    return int((usd_per_million * tokens * factor * NANO_PER_TOKEN).to_integral_value(ROUND_FLOOR))


def plan(
    prefix: SharedPrefix, rates: CacheRates, mode: Mode, hits: HitRange, shortest: int
) -> PlannedPrefix | None:
    """How a prefix is marked, or None when it is too short to be cached or the low end of its range loses.

    Args:
        prefix: the prefix, with the jobs that would be marked.
        rates: of its model.
        mode: how the jobs go out.
        hits: the range that the share of hits lies in.
        shortest: fewest tokens that the model caches.
    """
    if prefix.tokens < shortest or prefix.jobs < 2:
        return None
    low, high = (saving(prefix, rates, mode, share) for share in (hits.low, hits.high))
    if low <= 0:
        return None
    surplus = prime_surplus(prefix, rates, mode)
    return PlannedPrefix(prefix, prime_ttl(mode), FOLLOWER_TTL, low, high, surplus)


def best_prefix(
    path: Sequence[SharedPrefix], rates: CacheRates, mode: Mode, hits: HitRange
) -> SharedPrefix | None:
    """Of the prefixes that one job begins with, the one that saves most for each of its jobs at the low end; or None."""
    gains = [(Decimal(saving(one, rates, mode, hits.low)) / one.jobs, one) for one in path if one.jobs > 1]
    gain, best = max(gains, key=lambda item: item[0], default=(Decimal(0), None))
    return best if gain > 0 else None


def hit_range(shares: Iterable[int]) -> HitRange:
    """The range of the share of hits: what runs have measured, in thousandths; without any, what is documented."""
    measured = list(shares)
    if not measured:
        return DOCUMENTED_HITS
    return HitRange(min(measured), max(measured), len(measured))
