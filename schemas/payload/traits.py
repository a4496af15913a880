"""Traits: what rules, prices and history ask about a payload, so that nobody parses it again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class PayloadClass(StrEnum):
    """What kind of payload it is, for comparing estimates with bills. The first that applies, from the top."""

    PDF = "pdf"
    IMAGE = "image"
    THINKING = "thinking"
    TOOLS = "tools"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Uncounted:
    """What the provider does not count in a payload.

    Attributes:
        parts: each part, named.
        images: how many of them are at most an image each.
        documents: how many of them are bounded by the context window only.
        sampling_calls: how often the model samples at most, or None when nothing bounds that beforehand.
        web_searches: how many searches are billed at most.
    """

    parts: tuple[str, ...] = ()
    images: int = 0
    documents: int = 0
    sampling_calls: int | None = 1
    web_searches: int = 0


@dataclass(frozen=True, slots=True)
class Traits:
    """What is asked about one payload.

    Attributes:
        payload_class: its kind.
        thinking: the `thinking.type` it asks for, if any.
        thinking_budget: the tokens of `thinking.budget_tokens`, if any.
        effort: `output_config.effort`, if any.
        output_format: whether it asks for structured output.
        prefill: whether it ends with an assistant message.
        forced_tool: whether `tool_choice` forces a tool.
        images: whether it has an image.
        pdfs: whether it has a document that is not plain text.
        geo: `inference_geo`, if any.
        speed: `speed`, if any.
        uncounted: what the provider does not count in it.
    """

    payload_class: PayloadClass = PayloadClass.TEXT
    thinking: str | None = None
    thinking_budget: int | None = None
    effort: str | None = None
    output_format: bool = False
    prefill: bool = False
    forced_tool: bool = False
    images: bool = False
    pdfs: bool = False
    geo: str | None = None
    speed: str | None = None
    uncounted: Uncounted = Uncounted()

    def as_json(self) -> dict[str, Any]:
        """The traits that differ from a plain text payload's, as JSON."""
        if self == PLAIN:  # most are, and taking one apart costs more than all else of writing its job down
            return {}
        return {name: value for name, value in _flat(self).items() if value != _PLAIN_FIGURES[name]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "Traits":
        """The traits in a JSON object that `as_json` made."""
        if not stored:
            return cls()
        given = dict(stored)
        kind = PayloadClass(given.pop("payload_class", PayloadClass.TEXT))
        inside = {own: given.pop(name) for name, own in _STORED_NAMES.items() if name in given}
        inside["parts"] = tuple(inside.get("parts", ()))
        return cls(payload_class=kind, uncounted=Uncounted(**inside), **given)


#: what the fields of `Uncounted` are called in a stored JSON object, which has no objects inside
_STORED_NAMES = {
    "uncountable": "parts",
    "uncounted_images": "images",
    "uncounted_documents": "documents",
    "sampling_calls": "sampling_calls",
    "web_searches": "web_searches",
}


def _flat(traits: Traits) -> dict[str, Any]:
    figures = asdict(traits)
    inside = figures.pop("uncounted")
    return figures | {name: inside[own] for name, own in _STORED_NAMES.items()}


#: of a plain text payload
PLAIN = Traits()
_PLAIN_FIGURES = _flat(PLAIN)


def blocks_of(request: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every content block of a request that is more than plain text, with the parameter it stands in.

    Those inside tool results and other blocks are included; the order is that of the prompt.
    """
    pending: list[tuple[str, Any]] = [
        ("messages", message["content"]) for message in reversed(request["messages"])
    ]
    pending.append(("system", request.get("system")))
    while pending:
        name, item = pending.pop()
        if isinstance(item, list):
            pending += [
                (name, block)
                for block in reversed(item)
                if isinstance(block, dict) and not (len(block) == 2 and block.get("type") == "text")
            ]
        elif isinstance(item, dict):
            yield name, item
            source = item.get("source")
            inside = (source.get("content") if isinstance(source, dict) else None, item.get("content"))
            pending += [(name, content) for content in inside if isinstance(content, list)]


def traits_of(
    request: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]], uncounted: Uncounted
) -> Traits:
    """The traits of a checked request.

    Args:
        request: Messages parameters without a model.
        blocks: those of its content blocks that have a source.
    """
    thinking = request.get("thinking") or {}
    config = request.get("output_config") or {}
    budget = thinking.get("budget_tokens")
    images = any(block.get("type") == "image" for block in blocks)
    pdfs = any(
        block.get("type") == "document" and _source_type(block) not in ("text", "content") for block in blocks
    )
    return Traits(
        payload_class=_payload_class(request, images=images, pdfs=pdfs),
        thinking=_text(thinking.get("type")),
        thinking_budget=budget if isinstance(budget, int) else None,
        effort=_text(config.get("effort")),
        output_format=config.get("format") is not None,
        prefill=request["messages"][-1]["role"] == "assistant",
        forced_tool=(request.get("tool_choice") or {}).get("type") in ("any", "tool"),
        images=images,
        pdfs=pdfs,
        geo=_text(request.get("inference_geo")),
        speed=_text(request.get("speed")),
        uncounted=uncounted,
    )


def _payload_class(request: Mapping[str, Any], *, images: bool, pdfs: bool) -> PayloadClass:
    if pdfs:
        return PayloadClass.PDF
    if images:
        return PayloadClass.IMAGE
    if (request.get("thinking") or {}).get("type") in ("enabled", "adaptive", "between_tools"):
        return PayloadClass.THINKING
    return PayloadClass.TOOLS if request.get("tools") else PayloadClass.TEXT


def _source_type(block: Mapping[str, Any]) -> str | None:
    source = block.get("source")
    return str(source.get("type")) if isinstance(source, dict) else None


def _text(value: object) -> str | None:
    return value[:40] if isinstance(value, str) else None
