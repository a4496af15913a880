"""The payload of a job: one Messages request without a model, checked, canonical, and the source of both bodies.

Sources of the rules: Anthropic Messages API reference and migration guide for API version 2026-10-21, token
counting guide (which parameters it takes, what it refuses to count), errors page (32 MB a request).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NewType

import orjson

from schemas.traits import Traits, blocks_of, traits_of

Fingerprint = NewType("Fingerprint", str)
CacheTtl = Literal["5m", "1h"]

#: 413 request_too_large above it; decimal megabytes, the stricter reading of "32 MB"
MAX_REQUEST_BYTES = 32_000_000

#: what count_tokens takes, besides the model; anything else in its body is a 400
COUNTED_PARAMETERS = (
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
)
UNCOUNTED_PARAMETERS = ("max_tokens", "stop_sequences", "metadata", "service_tier")
PARAMETERS = frozenset(COUNTED_PARAMETERS + UNCOUNTED_PARAMETERS)

#: parameters with a better answer than "unknown"
REFUSED_PARAMETERS = {
    "temperature": "sampling parameters are refused since API version 2026-10-21; leave it out",
    "top_p": "sampling parameters are refused since API version 2026-10-21; leave it out",
    "top_k": "sampling parameters are refused since API version 2026-10-21; leave it out",
    "stream": "a job cannot stream; leave it out",
    "model": "the policy chooses the model; to pin one, use the model column",
    "speed": "fast mode is not priced here; leave it out",
    "inference_geo": "regional inference is not priced here; leave it out",
    "container": "containers are not priced here; leave it out",
    "mcp_servers": "the MCP connector cannot be counted or priced; leave it out",
    "prompt": "this is the Messages API; use the prompt column or messages",
}

#: tools with a type of their own that run at the caller, so that their tokens can be counted
CLIENT_TOOL_PREFIXES = ("custom", "bash_", "text_editor_", "computer_", "memory_", "advisor_")
UNCOUNTABLE_SOURCES = ("url", "file")


def printable(text: str) -> str:
    """A text that any database and terminal takes: what cannot be printed becomes a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)


class InvalidPayload(ValueError):  # noqa: N818 - reads as what it is where it is caught
    """A request the API would refuse. Carries the column to look at and a reason, never payload text."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"{column}: {reason}")
        self.column = printable(column)
        self.reason = printable(reason)


@dataclass(frozen=True)
class Payload:
    """One checked Messages request without a model.

    Attributes:
        request: the request's parameters, in the order they are sent.
        canonical: the same as canonical JSON (sorted keys, compact, UTF-8), which the fingerprint is made of.
    """

    request: Mapping[str, Any]
    canonical: bytes

    @classmethod
    def checked(cls, request: Mapping[str, Any]) -> "Payload":
        """The payload of a request.

        Args:
            request: Messages parameters without a model; `max_tokens` included.

        Raises:
            InvalidPayload: with the parameter and the reason, when the API would refuse it.
        """
        _check_parameters(request)
        _check_max_tokens(request.get("max_tokens"))
        _check_messages(request.get("messages"))
        _check_shapes(request)
        try:
            canonical = orjson.dumps(request, option=orjson.OPT_SORT_KEYS)
        except TypeError as error:  # lone surrogates, integers past 64 bits, NaN-like objects
            raise InvalidPayload("messages", f"cannot be written as JSON ({_safe(error)})") from None
        if len(canonical) > MAX_REQUEST_BYTES:
            raise InvalidPayload(
                "messages",
                f"{len(canonical):,} bytes, over the API's limit of {MAX_REQUEST_BYTES:,} a request",
            )
        return cls(dict(request), canonical)

    @classmethod
    def restored(cls, canonical: bytes | str) -> "Payload":
        """A payload that was checked before, from its stored canonical JSON."""
        data = canonical.encode() if isinstance(canonical, str) else canonical
        return cls(orjson.loads(data), data)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """SHA-256 of the canonical JSON, in hex."""
        return Fingerprint(hashlib.sha256(self.canonical).hexdigest())

    @property
    def max_tokens(self) -> int:
        return int(self.request["max_tokens"])

    def message_body(self, model: str) -> dict[str, Any]:
        """The body of the paid call under `model`."""
        return {"model": model, **self.request}

    def count_body(self, model: str) -> dict[str, Any]:
        """The body of the free count under `model`: the paid one, less what count_tokens does not take."""
        return {"model": model, **{k: v for k, v in self.request.items() if k in COUNTED_PARAMETERS}}

    @cached_property
    def uncountable_parts(self) -> tuple[str, ...]:
        """What the provider refuses to count in it: server tools, url and file sources, each named."""
        parts = dict.fromkeys(
            printable(f"server tool {kind[:60]}")
            for tool in self.request.get("tools") or ()
            if not (kind := str(tool.get("type") or "custom")).startswith(CLIENT_TOOL_PREFIXES)
        )
        for block in blocks_of(self.request):
            source = block.get("source")
            if isinstance(source, dict) and source.get("type") in UNCOUNTABLE_SOURCES:
                parts[printable(f"{str(block.get('type'))[:30]} block with a {source['type']} source")] = None
        return tuple(parts)

    @cached_property
    def traits(self) -> Traits:
        """What rules, prices and history ask about it."""
        return traits_of(self.request, self.uncountable_parts)

    @cached_property
    def cache_ttl(self) -> CacheTtl | None:
        """The dearest prompt-cache write it may cause, or None when it asks for no caching."""
        if b'"cache_control"' not in self.canonical:
            return None
        return "1h" if b'"ttl":"1h"' in self.canonical else "5m"


def _check_parameters(request: Mapping[str, Any]) -> None:
    for name in request:
        if name in REFUSED_PARAMETERS:
            raise InvalidPayload(name, REFUSED_PARAMETERS[name])
        if name not in PARAMETERS:
            raise InvalidPayload(str(name)[:60], "not a parameter of the Messages API")


def _check_max_tokens(value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidPayload("max_tokens", "must be a whole number")
    if value < 1:
        raise InvalidPayload("max_tokens", f"is {value}, must be at least 1")


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list):
        raise InvalidPayload("messages", "must be a list of role and content")
    if not messages:
        raise InvalidPayload("messages", "is empty")
    for index, message in enumerate(messages):
        where = f"messages.{index}"
        if not isinstance(message, dict):
            raise InvalidPayload("messages", f"{where} is not an object with role and content")
        if extra := set(message) - {"role", "content"}:
            raise InvalidPayload("messages", f"{where} has {len(extra)} field(s) besides role and content")
        _check_role(where, message.get("role"))
        _check_content(where, message.get("content"))
    if messages[0]["role"] != "user":
        raise InvalidPayload("messages", "the first message must be from the user")


def _check_role(where: str, role: object) -> None:
    if role == "system":
        raise InvalidPayload("messages", f"{where} has the role system; put that text in the system column")
    if role not in ("user", "assistant"):
        raise InvalidPayload("messages", f"{where} has a role other than user and assistant")


def _check_content(where: str, content: object) -> None:
    if isinstance(content, str):
        if not content.strip():
            raise InvalidPayload("messages", f"{where} has empty content")
        return
    if not isinstance(content, list) or not content:
        raise InvalidPayload("messages", f"{where} needs content: text or a list of blocks")
    for block in content:
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise InvalidPayload("messages", f"{where} has a content block without a type")
        if block["type"] == "text" and not str(block.get("text") or "").strip():
            raise InvalidPayload("messages", f"{where} has an empty text block")


_SHAPES: dict[str, tuple[type, ...]] = {
    "system": (str, list),
    "tools": (list,),
    "tool_choice": (dict,),
    "thinking": (dict,),
    "output_config": (dict,),
    "cache_control": (dict,),
    "stop_sequences": (list,),
    "metadata": (dict,),
    "service_tier": (str,),
}


def _check_shapes(request: Mapping[str, Any]) -> None:
    for name, shapes in _SHAPES.items():
        if name in request and not isinstance(request[name], shapes):
            raise InvalidPayload(name, f"must be {' or '.join(_JSON_NAMES[shape] for shape in shapes)}")
    if not all(isinstance(tool, dict) for tool in request.get("tools", ())):
        raise InvalidPayload("tools", "must be a list of objects")
    if not all(isinstance(text, str) and text.strip() for text in request.get("stop_sequences", ())):
        raise InvalidPayload("stop_sequences", "must be a list of texts that are not blank")


_JSON_NAMES: dict[type, str] = {str: "text", list: "a list", dict: "an object"}


def _safe(error: Exception) -> str:
    """The serialiser's complaint without payload text: its first words only."""
    return str(error).split(":", maxsplit=1)[0][:60]
