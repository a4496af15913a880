"""A review as JSON, and the sentence about many of them."""

import json
from decimal import Decimal

import pytest

from cli.review.review_values import as_json_values, totals_sentence
from schemas.review import Totals
from services.ledger import reviews


def test_a_row_becomes_json_without_a_float(ledger, waiting):
    shown = as_json_values(reviews.one_review(ledger, waiting[0]))
    assert json.loads(json.dumps(shown)) == shown
    assert not [name for name, value in shown.items() if isinstance(value, float)]
    assert shown["worst_case_usd"] == "1.000000000"
    assert Decimal(shown["worst_case_usd"]) * 10**9 == shown["worst_case_nano_usd"]
    assert shown["created_at"].startswith("20")
    assert shown["decided_by"] is None


@pytest.mark.parametrize(
    ("unpriced", "words"),
    [(0, "1,200 input tokens."), (2, "1,200 input tokens, 2 of them without a worst case.")],
)
def test_the_total_is_a_sentence_with_the_unpriced_ones_named(unpriced, words):
    total = Totals(count=1_000, worst_case=2_500_000_000, input_tokens=1_200, unpriced=unpriced, changes=1)
    assert totals_sentence(total) == f"1,000 review(s), worst case $2.50 in total, {words}"
