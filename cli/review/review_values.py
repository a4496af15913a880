"""A review as JSON, and what many reviews add up to, for the commands that show them."""

from dataclasses import asdict
from typing import Any

from cli.screen import shown_most
from schemas.review import Totals


def as_json_values(row: Any) -> dict[str, Any]:
    """A row as JSON values: money as decimal text, moments as ISO 8601."""
    return {name: _json_value(name, value) for name, value in asdict(row).items()}


def _json_value(name: str, value: Any) -> str | int | None:
    if value is None or isinstance(value, int | str):
        return value
    return f"{value:.9f}" if name.endswith("_usd") else str(value.isoformat())


def totals_sentence(total: Totals) -> str:
    """What the reviews that match add up to."""
    unpriced = f", {total.unpriced:,} of them without a worst case" if total.unpriced else ""
    return (
        f"{total.count:,} review(s), worst case {shown_most(total.worst_case)} in total, "
        f"{total.input_tokens:,} input tokens{unpriced}."
    )
