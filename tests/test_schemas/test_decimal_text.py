"""Exact decimals as text."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas.decimal_text import UsdText


class Priced(BaseModel):
    usd: UsdText


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=9))
def test_an_amount_is_printed_in_full_and_reads_back_as_it_was(amount):
    text = Priced(usd=amount).model_dump(mode="json")["usd"]
    assert "e" not in text.casefold()
    assert Decimal(text) == amount
    assert Priced.model_validate({"usd": text}).usd == amount
