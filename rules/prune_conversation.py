"""Prune a conversation: which of its oldest turns go so that the rest is within a budget, in few counts.

A cut starts at a plain message of the user, so that no call of a tool loses its result; system, tools and thinking are
never touched, and what is kept is kept as it is. The one exception are citations, which name their source by its place
in the request: where that moved, the number follows, and where the source is gone, the citation goes with it. A message
with thinking is never edited: a cut that would need that is not made.

Sources: Messages API, "Citations" (`document_index` and `search_result_index` count the documents and the search
results of the whole request from 0); "Extended thinking" (messages with thinking are sent back as they came).
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import orjson

from schemas.payload.edit import turn_starts
from schemas.payload.traits import blocks_of

Request = Mapping[str, Any]
#: the field of a citation that says where its source stands, and the kind of block that is counted
_PLACES = {"document_index": "document", "search_result_index": "search_result"}
_THINKING = ("thinking", "redacted_thinking")
#: a picture or a file is not weighed by its characters; the share of a cut is only where its search starts
_DATA_WEIGHS = 6_000


@dataclass(frozen=True, slots=True)
class TurnCut:
    """A conversation without its oldest turns.

    Attributes:
        source: the whole request.
        start: the first of its messages that is kept.
        turns: how many turns are left.
        dropped: how many are not.
        weight: its size in characters, roughly: comparable among cuts of one request.
    """

    source: Request
    start: int
    turns: int
    dropped: int
    weight: int

    def request(self) -> dict[str, Any]:
        """The request as it is sent after the cut."""
        kept = _kept(self.source["messages"], self.start)
        return {**self.source, "messages": [after for _, after in kept]}

    def edits_thinking(self) -> bool:
        """Whether a message with thinking would be sent otherwise than it came."""
        return any(
            after is not before and any(block.get("type") in _THINKING for block in before["content"])
            for before, after in _kept(self.source["messages"], self.start)
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """What the scale says of a cut.

    Attributes:
        tokens: its input tokens.
        fits: whether it is within its budget.
    """

    tokens: int
    fits: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """What a search goes by.

    Attributes:
        whole_tokens: input tokens of the whole request, which is over the budget.
        whole_weight: its size, as `weight_of` says.
        allowed_tokens: about how many input tokens are within the budget.
    """

    whole_tokens: int
    whole_weight: int
    allowed_tokens: int


CutSearch = Generator[TurnCut, Counted, tuple[TurnCut, Counted] | None]


def most_counts(turns: int) -> int:
    """The most counts that a search over a conversation of this many turns takes: 2 + ceil(log2 turns)."""
    return 2 + (max(1, turns) - 1).bit_length()


def cuts_of(request: Request, min_turns: int) -> list[TurnCut]:
    """Every cut that may be made of a request, the one that keeps most first.

    Args:
        request: a checked Messages request without a model.
        min_turns: how many of the newest turns are kept, at least 1.
    """
    messages = request["messages"]
    starts = turn_starts(messages)
    rest = weight_of({key: value for key, value in request.items() if key != "messages"})
    before = [0, *accumulate(weight_of(message) for message in messages)]
    cuts = [
        TurnCut(
            request,
            starts[dropped],
            len(starts) - dropped,
            dropped,
            rest + before[-1] - before[starts[dropped]],
        )
        for dropped in range(1, len(starts) - max(1, min_turns) + 1)
    ]
    if any(_thinks_and_cites(message) for message in messages):
        return [cut for cut in cuts if not cut.edits_thinking()]
    return cuts


def weight_of(value: object) -> int:
    """The size of a part of a request in characters, roughly; its pictures and files count as what they weigh."""
    if isinstance(value, Mapping):
        if value.get("type") == "base64":
            return _DATA_WEIGHS
        return sum(len(str(key)) + 4 + weight_of(inner) for key, inner in value.items())
    if isinstance(value, list):
        return sum(weight_of(inner) for inner in value) + 2
    return len(value) if isinstance(value, str) else len(orjson.dumps(value))


def cut_search(cuts: Sequence[TurnCut], budget: Budget) -> CutSearch:
    """Look for the cut that keeps most and fits: it yields cuts to be counted, takes the counts, and returns the cut.

    Tokens fall with the turns that go, so the cuts are halved; the first two looks go where the sizes point. It takes
    at most `most_counts` counts, and what it returns was counted and fits, or is None.

    Args:
        cuts: as `cuts_of` gives them.
        budget: what it goes by.
    """
    low, high = 0, len(cuts)
    over = (budget.whole_weight, budget.whole_tokens)
    under = (0, 0)
    found: tuple[TurnCut, Counted] | None = None
    looks = 0
    while low < high:
        at = (low + high) // 2
        if looks < 2:
            at = _pointed_at(cuts[low:high], budget.allowed_tokens, under, over) + low
        counted = yield cuts[at]
        looks += 1
        if counted.fits:
            found, high, under = (cuts[at], counted), at, (cuts[at].weight, counted.tokens)
        else:
            low, over = at + 1, (cuts[at].weight, counted.tokens)
    return found


def _pointed_at(cuts: Sequence[TurnCut], allowed: int, under: tuple[int, int], over: tuple[int, int]) -> int:
    """The first of these cuts that fits by its size, between what was counted; the last when none does."""
    (low_weight, low_tokens), (high_weight, high_tokens) = under, over
    width = max(1, high_weight - low_weight)
    for index, cut in enumerate(cuts):
        tokens = low_tokens + (high_tokens - low_tokens) * (cut.weight - low_weight) // width
        if tokens <= allowed:
            return index
    return len(cuts) - 1


def _thinks_and_cites(message: Mapping[str, Any]) -> bool:
    content = message["content"]
    if not isinstance(content, list):
        return False
    return any(block.get("citations") for block in content) and any(
        block.get("type") in _THINKING for block in content
    )


def _kept(
    messages: Sequence[Mapping[str, Any]], start: int
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The messages from a place on, each as it came and as it is after the cut: the same object, or one with other citations."""
    gone = {kind: _number_of(messages[:start], kind) for kind in _PLACES.values()}
    pages = _result_pages(messages[start:])
    kept: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    for message in messages[start:]:
        after = message
        if message["role"] == "assistant" and isinstance(message["content"], list):
            blocks = [_block_after_cut(block, gone, pages) for block in message["content"]]
            if blocks != message["content"]:
                after = {**message, "content": blocks}
        kept.append((message, after))
    return kept


def _number_of(messages: Sequence[Mapping[str, Any]], kind: str) -> int:
    return sum(block.get("type") == kind for _, block in blocks_of({"messages": messages}))


def _result_pages(messages: Sequence[Mapping[str, Any]]) -> set[str]:
    """The addresses of the web pages that results in these messages bring."""
    found = [block for _, block in blocks_of({"messages": messages})]
    results = [block for block in found if block.get("type") == "web_search_result"]
    return {str(result.get("url")) for result in results}


def _block_after_cut(block: dict[str, Any], gone: Mapping[str, int], pages: set[str]) -> dict[str, Any]:
    """A block whose citations name their sources where they stand after a cut."""
    citations = block.get("citations")
    if block.get("type") != "text" or not isinstance(citations, list):
        return block
    moved = [_citation_after_cut(citation, gone, pages) for citation in citations]
    left = [citation for citation in moved if citation is not None]
    if left:
        return {**block, "citations": left}
    return {key: value for key, value in block.items() if key != "citations"}


def _citation_after_cut(
    citation: Mapping[str, Any], gone: Mapping[str, int], pages: set[str]
) -> Mapping[str, Any] | None:
    """A citation after a cut, or None when its source is gone."""
    if citation.get("type") == "web_search_result_location":
        return citation if citation.get("url") in pages else None
    for name, kind in _PLACES.items():
        if isinstance(place := citation.get(name), int):
            return {**citation, name: place - gone[kind]} if place >= gone[kind] else None
    return citation
