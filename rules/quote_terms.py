"""The terms of a quote: whether a run may be held to it, and whether its cost fell inside."""

from collections.abc import Mapping, Sequence

from schemas.budget import Window, WindowCap
from schemas.money import to_usd, usd_text
from schemas.quote import QuoteOnRecord, QuoteTerms
from schemas.report import QuoteFigures


def broken_terms(quote: QuoteOnRecord, now: QuoteTerms) -> list[str]:
    """What changed since a quote was made, each in a few words; empty: it still holds.

    Args:
        quote: as it is on record.
        now: what the run would go by.
    """
    changes = (
        ("the job file has other rows, or another --limit", quote.terms.jobs, now.jobs),
        (
            "the policy, or an option that replaces a part of it, is another one",
            quote.terms.policy,
            now.policy,
        ),
        ("the prices of its models changed", quote.terms.prices, now.prices),
    )
    return [what for what, before, after in changes if before != after]


def caps_below(quote: QuoteOnRecord, caps: Sequence[WindowCap], used: Mapping[Window, int]) -> list[str]:
    """The caps for all jobs that have less room than the quote's 90th percentile, each with its figures.

    Args:
        quote: as it is on record.
        caps: that the run is under.
        used: nano-USD settled and held of each window, before the run.
    """
    found = []
    for cap in caps:
        if cap.nano_usd is None or cap.window.group:
            continue
        free = cap.nano_usd - cap.reserve - used.get(cap.window, 0)
        if free < quote.p90:
            found.append(
                f"the {cap.window.scope} budget has {usd_text(max(0, free))} USD left, {usd_text(quote.p90 - free)} "
                f"less than the quote's 90th percentile of {usd_text(quote.p90)}"
            )
    return found


def quote_outcome(quote: QuoteOnRecord, actual: int) -> QuoteFigures:
    """A quote next to what the run cost.

    Args:
        quote: as it is on record.
        actual: nano-USD that the run paid for.
    """
    return QuoteFigures(
        quote_id=quote.quote_id,
        expected_usd=to_usd(quote.expected),
        p10_usd=to_usd(quote.p10),
        p90_usd=to_usd(quote.p90),
        worst_usd=to_usd(quote.worst_case),
        inside=quote.p10 <= actual <= quote.p90,
    )
