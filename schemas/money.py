"""Money: whole nano-USD (1e-9 USD) in SQL and in sums, `Decimal` USD where people read it. Never a float."""

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from typing import NewType

NanoUsd = NewType("NanoUsd", int)

NANO_PER_USD = 1_000_000_000
#: one USD per million tokens is this many nano-USD a token
NANO_PER_TOKEN = Decimal(1000)
#: sums of amounts of any number of digits; what it cannot hold exactly is an error, not a rounding
EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])
#: sums of amounts of any number of digits, rounded to where people stop reading
_LONG = Context(prec=200)
_PLACES = 9
#: of an amount below one dollar in a table
_TABLE_PLACES = 6
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
    """Nano-USD as USD in a table that people read, see `usd_rounded`; "" of None."""
    return "" if nano is None else usd_rounded(to_usd(nano))


def usd_short_most(nano: int | None) -> str:
    """Nano-USD that are the most it can be, as USD in a table that people read, see `usd_most`; "" of None."""
    return "" if nano is None else usd_most(to_usd(nano))


def usd_rounded(usd: Decimal) -> str:
    """USD in a table that people read: cents from one dollar on, more places below; what is not zero never reads zero."""
    return f"${_in_table(usd, ROUND_HALF_EVEN)}"


def usd_most(usd: Decimal) -> str:
    """As `usd_rounded`, of an amount that is an upper bound: it never reads lower than it is."""
    return f"${_in_table(usd, ROUND_CEILING)}"


def usd_at_most(nano: int) -> str:
    """Nano-USD as USD after the words "at most" in a sentence, without a sign: "0.004", "0.013", "1,234.57".

    Cents, or two digits of an amount below ten cents, rounded up. `review.js` writes the same.
    """
    usd = to_usd(nano)
    shown = _quantized(usd, max(2, _places_of(usd)), ROUND_CEILING)
    whole, _, places = f"{shown:,f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def _in_table(usd: Decimal, rounding: str) -> str:
    shown = _quantized(usd, 2 if abs(usd) >= 1 else _TABLE_PLACES, rounding)
    if usd and not shown:
        shown = _quantized(usd, _places_of(usd), rounding).normalize(_LONG)
    return f"{shown:,f}"


def _places_of(usd: Decimal) -> int:
    """How many decimal places it takes to show the first two digits of an amount that are not zero."""
    return 1 - usd.adjusted() if usd else 0


def _quantized(usd: Decimal, places: int, rounding: str) -> Decimal:
    return usd.quantize(Decimal(1).scaleb(-places), rounding=rounding, context=_LONG)


def usd_exact(usd: Decimal | None) -> str:
    """USD in a comparison, where nothing may be rounded: nine places, or all it has if those are more; "" of None."""
    if usd is None:
        return ""
    exponent = usd.normalize(EXACT).as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_PLACES:
        return f"{usd.normalize(EXACT):f}"
    return f"{usd.quantize(_NINE_PLACES, context=EXACT):f}"
