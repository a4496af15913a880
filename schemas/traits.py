"""Traits: what rules, prices and history ask about a payload, so that nobody parses it again."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
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
        geo: `inference_geo`, if any.
        speed: `speed`, if any.
        uncountable: what the provider does not count in it, each part named.
    """

    payload_class: PayloadClass = PayloadClass.TEXT
    thinking: str | None = None
    thinking_budget: int | None = None
    effort: str | None = None
    output_format: bool = False
    prefill: bool = False
    forced_tool: bool = False
    geo: str | None = None
    speed: str | None = None
    uncountable: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """The traits that differ from a plain text payload's, as JSON."""
        return {name: value for name, value in asdict(self).items() if value != getattr(PLAIN, name)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "Traits":
        """The traits in a JSON object that `as_json` made."""
        if not stored:
            return cls()
        kind = PayloadClass(stored.get("payload_class", PayloadClass.TEXT))
        return cls(**{**stored, "payload_class": kind, "uncountable": tuple(stored.get("uncountable", ()))})


#: of a plain text payload
PLAIN = Traits()


def blocks_of(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every content block of a request's system text and messages, nested tool results and sources included."""
    pending = [request.get("system"), *(message["content"] for message in request["messages"])]
    while pending:
        content = pending.pop()
        if isinstance(content, list):
            for block in content:
                if isinstance(block, dict):
                    yield block
                    source = block.get("source")
                    pending += [
                        block.get("content"),
                        source.get("content") if isinstance(source, dict) else None,
                    ]


def payload_class(request: Mapping[str, Any]) -> PayloadClass:
    """The kind of a checked request."""
    kinds = {(str(block.get("type")), _source_type(block)) for block in blocks_of(request)}
    if any(kind == "document" and source not in ("text", "content") for kind, source in kinds):
        return PayloadClass.PDF
    if any(kind == "image" for kind, _ in kinds):
        return PayloadClass.IMAGE
    if (request.get("thinking") or {}).get("type") in ("enabled", "adaptive", "between_tools"):
        return PayloadClass.THINKING
    return PayloadClass.TOOLS if request.get("tools") else PayloadClass.TEXT


def _source_type(block: Mapping[str, Any]) -> Any:
    source = block.get("source")
    return str(source.get("type")) if isinstance(source, dict) else None


def traits_of(request: Mapping[str, Any], uncountable: tuple[str, ...]) -> Traits:
    """The traits of a checked request.

    Args:
        request: Messages parameters without a model.
        uncountable: what the provider does not count in it.
    """
    thinking = request.get("thinking") or {}
    config = request.get("output_config") or {}
    budget = thinking.get("budget_tokens")
    return Traits(
        payload_class=payload_class(request),
        thinking=_text(thinking.get("type")),
        thinking_budget=budget if isinstance(budget, int) else None,
        effort=_text(config.get("effort")),
        output_format=config.get("format") is not None,
        prefill=request["messages"][-1]["role"] == "assistant",
        forced_tool=(request.get("tool_choice") or {}).get("type") in ("any", "tool"),
        geo=_text(request.get("inference_geo")),
        speed=_text(request.get("speed")),
        uncountable=uncountable,
    )


def _text(value: object) -> str | None:
    return value[:40] if isinstance(value, str) else None
