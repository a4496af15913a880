"""What a person typed into a form, read as what was asked for; what cannot be read is refused with a sentence."""

import re
from datetime import timedelta
from decimal import Decimal

from starlette.datastructures import FormData, QueryParams

from review_page.wording import words
from schemas.errors import BadInput
from schemas.money import NanoUsd, to_nano
from schemas.outcome import ReviewStatus
from schemas.review import APPROVAL_HOLDS, MAX_APPROVAL_HOLDS, Filter, Totals
from schemas.transitions import Verb

#: digits, or groups of three of them parted by commas
_WHOLE = r"[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+"
_MOST_DIGITS = 18
_MOST_ID_DIGITS = 9


def text_of(form: FormData, name: str) -> str:
    """A field's text, without blanks around it."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def whole_of(form: FormData, name: str) -> int | None:
    """A whole number, or None where the field is left empty.

    Raises:
        BadInput: it is something else.
    """
    text = text_of(form, name)
    if not text:
        return None
    digits = text.replace(",", "")
    if not re.fullmatch(_WHOLE, text) or len(digits) > _MOST_DIGITS:
        raise BadInput(f"The field {words(name)} needs a whole number; nothing was decided.")
    return int(digits)


def review_id_of(text: str | None) -> int | None:
    """The id of a review that an address names; None when no review can have it."""
    return int(text) if text and text.isdecimal() and len(text) <= _MOST_ID_DIGITS else None


def amount(text: str) -> Decimal | None:
    """An amount of USD, or None when the text is not one.

    A comma only parts thousands: one in place of a decimal point would make 5 of "0,5".
    """
    if not re.fullmatch(rf"[$]?(({_WHOLE})([.][0-9]*)?|[.][0-9]+)", text.strip()):
        return None
    value = Decimal(text.strip().lstrip("$").replace(",", ""))
    return value if value < 10**9 else None


def asked(query: QueryParams) -> Filter:
    """The filter that a list's address names. What cannot be read asks nothing."""
    status = query.get("status", ReviewStatus.PENDING)
    return Filter(
        status=status if status in tuple(ReviewStatus) else None,
        reason=query.get("reason") or None,
        group=query.get("group") or None,
        model=query.get("model") or None,
        over_usd=amount(query.get("over", "")),
        search=query.get("q") or None,
    )


def usd_of(form: FormData, name: str) -> Decimal | None:
    """An amount of USD, or None where the field is left empty.

    Raises:
        BadInput: it is something else.
    """
    text = text_of(form, name)
    value = amount(text)
    if text and value is None:
        raise BadInput("A ceiling is an amount in USD, like 0.25; nothing was decided.")
    return value


def billed_of(form: FormData) -> NanoUsd:
    """What a person looked up that the provider billed; 0: nothing.

    Raises:
        BadInput: the field is empty, or has something else.
    """
    value = amount(text_of(form, "billed"))
    if value is None:
        raise BadInput(
            "What was billed is an amount in USD, like 0.0123, or 0 where it was surely not billed; nothing was accepted."
        )
    return to_nano(value)


def days_of(form: FormData, name: str) -> timedelta:
    """For how many days an approval is to hold; where the field is left empty, as long as any.

    Raises:
        BadInput: it is something else.
    """
    days = whole_of(form, name)
    if days is None:
        return APPROVAL_HOLDS
    if not 1 <= days <= MAX_APPROVAL_HOLDS.days:
        raise BadInput(f"An approval holds from 1 to {MAX_APPROVAL_HOLDS.days:,} days; nothing was decided.")
    return timedelta(days=days)


def verb_of(form: FormData) -> Verb:
    """What is to be done.

    Raises:
        BadInput: it is nothing that a person can do.
    """
    try:
        return Verb(text_of(form, "verb"))
    except ValueError:
        raise BadInput("There is no such decision; nothing was decided.") from None


def versions_of(form: FormData) -> dict[int, int]:
    """What was read of each selected review, by id, from "id:version id:version".

    Raises:
        BadInput: it is something else.
    """
    pairs = [pair.partition(":")[::2] for pair in text_of(form, "versions").split()]
    if not all(part.isascii() and part.isdecimal() and len(part) < 16 for pair in pairs for part in pair):
        raise BadInput("The selection cannot be read; select again. Nothing was decided.")
    return {int(review_id): int(version) for review_id, version in pairs}


def confirmed_of(form: FormData) -> Totals:
    """The figures that a person saw and confirmed.

    Raises:
        BadInput: one is missing.
    """
    names = ("count", "worst_case", "input_tokens", "unpriced", "changes")
    figures = [figure for name in names if (figure := whole_of(form, name)) is not None]
    if len(figures) < len(names):
        raise BadInput("The confirmed figures are missing; select again. Nothing was decided.")
    count, worst_case, tokens, unpriced, changes = figures
    return Totals(count, NanoUsd(worst_case), tokens, unpriced, changes)
