"""Whether what a person looked up can have been billed, by the hold of the attempt and its worst case."""

from schemas.money import usd_text


def over_hold(billed: int, held: int, worst_case: int) -> str | None:
    """Why a bill cannot be right, as the beginning of a sentence; None: it can. All in nano-USD.

    A hold at a percentile of the observed output is less than the attempt can cost.

    Args:
        billed: what was looked up.
        held: for the attempt, or for several.
        worst_case: of the same.
    """
    most = max(held, worst_case)
    if billed <= most:
        return None
    return f"{usd_text(billed)} USD is more than the {usd_text(most)} USD that it can have cost at most"
