"""Pages of a list, as every list of the API cuts them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from simulator.http.api_errors import invalid

PAGE_SIZE = 20
MAX_PAGE_SIZE = 1_000

T = TypeVar("T")

_LIMIT = re.compile(r"[0-9]{1,9}")


def page_of(
    everything: Sequence[T], query: Mapping[str, str], id_of: Callable[[T], str], shown: Callable[[T], Any]
) -> dict[str, Any]:
    """One page.

    Args:
        everything: the whole list, newest first.
        query: `limit` (1 to 1,000, 20 by default), `after_id`, `before_id`.
        id_of: the id of one item.
        shown: one item as a JSON object.

    Returns:
        `{"data", "has_more", "first_id", "last_id"}`.

    Raises:
        RefusedError: 400 for a limit out of range or a cursor that is not in the list.
    """
    limit = page_limit(query)
    ids = [id_of(item) for item in everything]
    after_id, before_id = query.get("after_id"), query.get("before_id")
    start = 0 if after_id is None else _position(ids, after_id, "after_id") + 1
    stop = len(ids) if before_id is None else max(start, _position(ids, before_id, "before_id"))
    if before_id is not None and after_id is None:
        first, last = max(start, stop - limit), stop
    else:
        first, last = start, min(stop, start + limit)
    return {
        "data": [shown(item) for item in everything[first:last]],
        "has_more": last - first < stop - start,
        "first_id": ids[first] if first < last else None,
        "last_id": ids[last - 1] if first < last else None,
    }


def page_limit(query: Mapping[str, str]) -> int:
    """The `limit` of a query: 1 to 1,000, 20 by default.

    Raises:
        RefusedError: 400 for any other value.
    """
    limit = query.get("limit", str(PAGE_SIZE))
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_PAGE_SIZE:
        raise invalid("limit", f"Input should be between 1 and {MAX_PAGE_SIZE}")
    return int(limit)


def _position(ids: list[str], wanted: str, where: str) -> int:
    try:
        return ids.index(wanted)
    except ValueError:
        raise invalid(where, "there is no such object") from None
