"""Pages: how many rows one statement names or brings, where there may be any number."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

#: ids that a statement names at most, and rows that one brings at most
PAGE = 500


def pages(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items in their order, at most `PAGE` at a time; no page of none."""
    for start in range(0, len(items), PAGE):
        yield items[start : start + PAGE]
