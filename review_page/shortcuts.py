"""What advice about a review fills into a form, so that a person need not type it. The person still decides."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from review_page.forms import amount

#: the query parameter that names a sentence of the advice; the form takes its figures from the ledger, never from an address
TAKE = "take"
_TOKENS = r"(\d[\d,]*)"


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What one sentence of advice fills in.

    Attributes:
        text: what the button says.
        form: approve or edit.
        fields: the form's fields, each with its text.
    """

    text: str
    form: str
    fields: Mapping[str, str]


def sentences(would_pass: str | None) -> list[str]:
    """A review's advice, sentence by sentence."""
    return [line.strip() for line in (would_pass or "").splitlines() if line.strip()]


def shortcut_of(sentence: str) -> Shortcut | None:
    """What a sentence of `rules.advice` fills in, or None when that is nothing that a form of the page has."""
    found = (read(sentence) for read in _READERS)
    return next((shortcut for shortcut in found if shortcut is not None), None)


def taken(would_pass: str | None, form: str, index: str | None) -> Shortcut | None:
    """The shortcut that an address names by the number of its sentence, if it is one for this form.

    Args:
        would_pass: the review's advice.
        form: approve or edit.
        index: what the address says.
    """
    lines = sentences(would_pass)
    if index is None or not re.fullmatch(r"[0-9]{1,2}", index) or int(index) >= len(lines):
        return None
    shortcut = shortcut_of(lines[int(index)])
    return shortcut if shortcut is not None and shortcut.form == form else None


def _approve(sentence: str) -> Shortcut | None:
    """Of an advice to raise limits, or to approve again: the ceilings."""
    if sentence.startswith("raise "):
        tokens = re.findall(rf"max_input_tokens to {_TOKENS}", sentence)
        usd = re.findall(r"max_cost_usd to (\d+(?:\.\d+)?)", sentence)
    elif again := re.fullmatch(
        rf"approve it again, up to (\d+(?:\.\d+)?) USD and {_TOKENS} input tokens", sentence
    ):
        usd, tokens = [again[1]], [again[2]]
    else:
        return None
    fields, named = {}, []
    if tokens:
        most = max(int(text.replace(",", "")) for text in tokens)
        fields["ceiling_tokens"] = str(most)
        named.append(f"{most:,} tokens")
    if amounts := [value for text in usd if (value := amount(text)) is not None]:
        fields["ceiling_usd"] = f"{max(amounts):f}"
        named.append(f"{max(amounts):f} USD")
    return Shortcut(f"Approve up to {' and '.join(named)} …", "approve", fields) if fields else None


def _edit(pattern: str, field: str, text: str) -> Callable[[str], Shortcut | None]:
    """A reader of advice that an edit follows.

    Args:
        pattern: how the advice begins; its group is what the field gets.
        field: the field of the form.
        text: what the button says, with a place for the figure.
    """

    def read(sentence: str) -> Shortcut | None:
        found = re.match(pattern, sentence)
        if found is None:
            return None
        return Shortcut(text.format(found[1]), "edit", {field: found[1].replace(",", "")})

    return read


_READERS = (
    _approve,
    _edit(
        rf"(?:lower max_tokens to|edit it with max_tokens) {_TOKENS}", "max_tokens", "Edit: max_tokens {} …"
    ),
    _edit(rf"keep the last {_TOKENS} of", "keep_turns", "Edit: last turns {} …"),
    _edit(rf"drop the {_TOKENS} tool\(s\)", "drop_tools", "Edit: without its {} tool(s) …"),
)
