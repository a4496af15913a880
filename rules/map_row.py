"""A row of anybody's file becomes a row with the columns of a job: names, template, and what is kept for the results."""

import math
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from schemas.payload.exact_json import HALF_A_PAIR, NOT_UTF8, Unfit
from schemas.policy_sections import JobColumns
from schemas.prompt_template import PromptTemplate
from schemas.row import Row

#: under this name a mapped row has the texts of its kept columns, by the name of the column
KEPT = "kept"
#: a kept value is written into the ledger with each change of its job, so it is not for long texts
MAX_KEPT_CHARACTERS = 1_000
_TOO_LONG = Unfit(
    f"is kept for the results and longer than {MAX_KEPT_CHARACTERS:,} characters; take it out of results.keep, and join "
    "the results with your file by job_id"
)
_NO_TEXT = Unfit(
    "is not text, a number, a boolean, a date or a time, which is what a template and results.keep take"
)
_EMPTY = Unfit("has no text: every column that the template names is empty in this row")


def mapped_row(found: Row, columns: JobColumns, keep: Sequence[str], extra: Collection[str]) -> Row:
    """The row of a job file that a row of a file stands for.

    A template is filled where the row has no messages of its own; a column without a value is put in as no text, and a
    row without a value in any of them has no prompt.

    Args:
        found: the row, with its columns under their own names.
        columns: where a job stands in them.
        keep: the columns that are kept for the results.
        extra: columns that are read for the template, the results, the id or the prompt alone.

    Returns:
        The row. What cannot be used is an `Unfit` under the name of its column.
    """
    row: dict[str, Any] = {name: value for name, value in found.items() if name not in extra}
    if columns.id is not None:
        row["job_id"] = found.get(columns.id)
    if columns.template is not None:
        row.pop("prompt", None)
        if row.get("messages") is None:
            row |= _prompt(found, columns.template)
    elif columns.prompt is not None:
        row["prompt"] = found.get(columns.prompt)
    return row | _kept(found, keep)


def _prompt(found: Row, template: PromptTemplate) -> dict[str, Any]:
    texts = {name: _text(found.get(name)) for name in template.columns}
    unfit: dict[str, Any] = {name: value for name, value in texts.items() if isinstance(value, Unfit)}
    if unfit:
        return unfit
    given = {name: value for name, value in texts.items() if isinstance(value, str)}
    if not any(value.strip() for value in given.values()):
        return {"prompt": _EMPTY}
    return {"prompt": template.filled(dict.fromkeys(texts, "") | given)}


def _kept(found: Row, keep: Sequence[str]) -> dict[str, Any]:
    texts = {name: _text(found.get(name)) for name in keep}
    if not texts:
        return {}
    for name, value in texts.items():
        if isinstance(value, Unfit):
            return {name: value}
        if value is not None and len(value) > MAX_KEPT_CHARACTERS:
            return {name: _TOO_LONG}
    return {KEPT: texts}


def _text(value: Any) -> str | Unfit | None:
    """A value as text, exactly as it is; None: there is none, which is also what pandas writes as NaN."""
    match value:
        case None | Unfit():
            return value
        case str():
            return HALF_A_PAIR if _has_half_a_pair(value) else value
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return None if math.isnan(value) else repr(value)
        case Decimal():
            return f"{value:f}"
        case bytes():
            return NOT_UTF8
    return _NO_TEXT


def _has_half_a_pair(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
