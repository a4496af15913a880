"""A quote as people read it: the column of caching."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from rules.quote_text import POLICY_HEADINGS, policy_rows
from schemas.quote import QuotedPolicy

COSTS = dict.fromkeys(("expected_usd", "p10_usd", "p90_usd", "worst_usd"), Decimal(10))


def quoted(**more):
    return QuotedPolicy(
        name="test", review=0, jobs=7, input_tokens=9, observed_answers=0, assumed_jobs=7, **COSTS, **more
    )


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({}, "not seen in a sample"),
        ({"cached_low_usd": Decimal(10), "cached_high_usd": Decimal(10)}, "nothing to save"),
        (
            {"cached_low_usd": Decimal(9), "cached_high_usd": Decimal(4), "cached_prefixes": 2},
            "$4.00 to $9.00",
        ),
        (
            {
                "cached_low_usd": Decimal(9),
                "cached_high_usd": Decimal(4),
                "primes_usd": Decimal("0.03"),
                "cached_prefixes": 2,
            },
            "$4.00 to $9.00, first writes +$0.030000",
        ),
    ],
    ids=["a sample", "nothing shared", "shared", "shared, and what is written first"],
)
def test_the_cost_with_caching_stands_under_its_heading_from_many_hits_to_few(more, shown):
    [row] = policy_rows(SimpleNamespace(policies=[quoted(**more)]))
    assert dict(zip(POLICY_HEADINGS, row, strict=True))["+ caching"] == shown
