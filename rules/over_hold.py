"""Whether what a person looked up can have been billed, by the hold that was made for the worst case."""

from schemas.money import usd_text


def over_hold(billed: int, held: int) -> str | None:
    """Why a bill above its hold cannot be right, as the beginning of a sentence; None: it is within. Nano-USD."""
    if billed <= held:
        return None
    return f"{usd_text(billed)} USD is more than the {usd_text(held)} USD held for it, which is the most it can have cost"
