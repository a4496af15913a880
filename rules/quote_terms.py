"""The terms of a quote: what they are, whether a run may be held to them, and whether its cost fell inside."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256

from rules.models import Models
from schemas.budget import Window, WindowCap
from schemas.money import to_usd, usd_text
from schemas.policy import Policy
from schemas.quote import QuoteOnRecord, QuoteTerms
from schemas.report import QuoteFigures

#: where calls are made changes neither what is sent nor what it costs
_WHERE = {"runner", "workers", "dask_address"}


def policy_digest(policy: Policy) -> str:
    """SHA-256 of all that a policy says."""
    return sha256(policy.model_dump_json(exclude={"run": _WHERE}).encode()).hexdigest()


def prices_digest(models: Models, now: datetime) -> str:
    """SHA-256 of the prices, at a moment, of the models that a run may call by its routes."""
    text = "\n".join(models.price_terms(now))
    return sha256(text.encode()).hexdigest()


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
