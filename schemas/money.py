"""Money: whole nano-USD (1e-9 USD) in SQL and in sums, `Decimal` USD where people read it. Never a float."""

from decimal import ROUND_CEILING, Decimal
from typing import NewType

NanoUsd = NewType("NanoUsd", int)

NANO_PER_USD = 1_000_000_000
_NINE_PLACES = Decimal("0.000000001")


def to_nano(usd: Decimal) -> NanoUsd:
    """USD to whole nano-USD, rounded up: a price is never recorded lower than it is."""
    return NanoUsd(int((usd * NANO_PER_USD).to_integral_value(rounding=ROUND_CEILING)))


def to_usd(nano: int) -> Decimal:
    """Whole nano-USD to USD, exactly, with nine places."""
    return (Decimal(nano) / NANO_PER_USD).quantize(_NINE_PLACES)


def usd_text(nano: int) -> str:
    """USD as a plain decimal string ("0.012345678"), for JSON."""
    return f"{to_usd(nano):f}"


def usd_short(nano: int) -> str:
    """USD for a table that people read: cents from one dollar on, more places below."""
    usd = to_usd(nano)
    return f"${usd:,.2f}" if abs(usd) >= 1 else f"${usd:.6f}"
