"""Money: whole nano-USD (1e-9 USD) in SQL and in sums, `Decimal` USD where people read it. Never a float."""

from decimal import ROUND_CEILING, Context, Decimal, Inexact, InvalidOperation
from typing import NewType

NanoUsd = NewType("NanoUsd", int)

NANO_PER_USD = 1_000_000_000
#: sums of amounts of any number of digits; what it cannot hold exactly is an error, not a rounding
EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])
_PLACES = 9
_NINE_PLACES = Decimal("0.000000001")


def to_nano(usd: Decimal) -> NanoUsd:
    """USD to whole nano-USD, rounded up: a price is never recorded lower than it is."""
    return NanoUsd(int((usd * NANO_PER_USD).to_integral_value(rounding=ROUND_CEILING)))


def to_usd(nano: int) -> Decimal:
    """Whole nano-USD to USD, exactly, with nine places."""
    return (Decimal(nano) / NANO_PER_USD).quantize(_NINE_PLACES)


def to_usd_or_none(nano: int | None) -> Decimal | None:
    """Whole nano-USD to USD; None of None."""
    return None if nano is None else to_usd(nano)


def usd_text(nano: int) -> str:
    """USD as a plain decimal string ("0.012345678"), for JSON."""
    return f"{to_usd(nano):f}"


def usd_short(nano: int | None) -> str:
    """Nano-USD as USD in a table that people read: cents from one dollar on, more places below; "" of None."""
    return "" if nano is None else usd_rounded(to_usd(nano))


def usd_rounded(usd: Decimal) -> str:
    """USD in a table that people read: cents from one dollar on, more places below."""
    return f"${usd:,.2f}" if abs(usd) >= 1 else f"${usd:.6f}"


def usd_exact(usd: Decimal | None) -> str:
    """USD in a comparison, where nothing may be rounded: nine places, or all it has if those are more; "" of None."""
    if usd is None:
        return ""
    exponent = usd.normalize(EXACT).as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_PLACES:
        return f"{usd.normalize(EXACT):f}"
    return f"{usd.quantize(_NINE_PLACES, context=EXACT):f}"
