"""What cache markers came to: tokens written and read, the share of hits, and money saved or lost."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from rules.surcharges import BATCH, ONE
from schemas.money import NANO_PER_TOKEN, to_usd, usd_rounded
from schemas.outcome import Mode
from schemas.saving_figures import CacheFigures, PrefixFigures

if TYPE_CHECKING:  # a report is shown without prices, and without the time they take to import
    from rules.prices import CacheRates
    from schemas.shared_prefix import PrefixSums

#: prefixes that a report names
PREFIXES_SHOWN = 20
#: characters of a key that a report shows
_KEY_SHOWN = 12


def saved_nano(sums: "PrefixSums", rates: "CacheRates") -> int:
    """Nano-USD that marks saved against the plain price of the same tokens; negative: lost."""
    short = sums.written - sums.written_1h
    usd_per_million = (
        sums.read * (rates.plain - rates.read)
        + short * (rates.plain - rates.write_5m)
        + sums.written_1h * (rates.plain - rates.write_1h)
    )
    factor = BATCH.value if sums.batch else ONE
    return int((usd_per_million * factor * NANO_PER_TOKEN).to_integral_value(ROUND_HALF_EVEN))


def cache_figures(sums: "Sequence[PrefixSums]", rates: "Mapping[str, CacheRates]") -> CacheFigures:
    """The figures of a run.

    Args:
        sums: by prefix, those with most tokens first.
        rates: by model; what one without rates saved is not known, and counts as nothing.
    """
    saved = [saved_nano(one, rates[one.prefix.model]) if one.prefix.model in rates else 0 for one in sums]
    return CacheFigures(
        written_tokens=sum(one.written for one in sums),
        read_tokens=sum(one.read for one in sums),
        hit_share=_share(sum(one.follower_read for one in sums), sum(one.follower_tokens for one in sums)),
        saved_usd=to_usd(sum(saved)),
        prefixes=[_prefix(one, nano) for one, nano in zip(sums[:PREFIXES_SHOWN], saved, strict=False)],
    )


def _prefix(sums: "PrefixSums", saved: int) -> PrefixFigures:
    mode = Mode.BATCHES if sums.batch else Mode.MESSAGES
    return PrefixFigures(
        prefix=sums.prefix.key[:_KEY_SHOWN],
        model=sums.prefix.model,
        mode=mode.value,
        ends_at=sums.prefix.where,
        input_tokens=sums.prefix.tokens,
        jobs=sums.jobs,
        written_tokens=sums.written,
        read_tokens=sums.read,
        hit_share=_share(sums.follower_read, sums.follower_tokens),
        saved_usd=to_usd(saved),
    )


def _share(part: int, whole: int) -> Decimal | None:
    return (Decimal(part) / whole).quantize(Decimal("0.001")) if whole else None


def prefix_rows(cache: CacheFigures) -> list[tuple[str, ...]]:
    """Where each prefix ends, its model and mode, tokens, jobs, what was written and read, the hits, USD saved."""
    return [
        (
            f"{one.prefix} up to {one.ends_at}",
            one.model,
            one.mode,
            f"{one.input_tokens:,}",
            f"{one.jobs:,}",
            f"{one.written_tokens:,}",
            f"{one.read_tokens:,}",
            hits(one.hit_share),
            usd_rounded(one.saved_usd),
        )
        for one in cache.prefixes
    ]


def hits(share: Decimal | None) -> str:
    """A share of hits as people read it."""
    return "none could" if share is None else f"{share:.1%}"
