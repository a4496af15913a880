"""Checks of a whole request, as the API makes them before it counts or answers.

The two endpoints share every rule; count_tokens takes fewer fields and needs no `max_tokens`. Every
request is judged by API version 2026-10-21, whatever version its header names.

Source: Anthropic docs, "Messages", "Errors" (2026-08-21), "Token counting" (2026-09), "Migration to API
version 2026-10-21", "Thinking" (2026-10-08).
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import orjson

from simulator.billing.catalogue import Model, find_model
from simulator.billing.counting import blocks_of, client_tool
from simulator.checks.cache_markers import check_cache_control, check_markers
from simulator.checks.content_blocks import UNCOUNTABLE_SOURCES, check_content, check_messages
from simulator.checks.media_sources import check_number_of_images
from simulator.checks.model_options import check_output_config, check_thinking, check_tools
from simulator.http.api_errors import RefusedError, invalid

Endpoint = Literal["messages", "count_tokens", "models"]

#: largest accepted request body, bytes. Source: Anthropic docs, "Errors" (32 MB).
MAX_BODY_BYTES = 32 * 1024 * 1024

#: most messages in one request. Source: Anthropic docs, "Messages".
MAX_MESSAGES = 100_000

#: top-level fields of count_tokens
COUNT_FIELDS = frozenset({
    "cache_control", "messages", "model", "output_config", "speed", "system", "thinking", "tool_choice",
    "tools",
})  # fmt: skip

#: top-level fields of Messages
MESSAGE_FIELDS = COUNT_FIELDS | {
    "container", "diagnostics", "inference_geo", "max_tokens", "mcp_servers", "metadata", "service_tier",
    "stop_sequences", "stream",
}  # fmt: skip

#: refused at any value since API version 2026-10-21
SAMPLING_FIELDS = ("temperature", "top_p", "top_k")


def parse(raw: bytes, max_bytes: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """The JSON object of a request body.

    Args:
        raw: the body as it came.
        max_bytes: its largest accepted size, bytes.

    Returns:
        the parsed object; its fields are not checked yet.

    Raises:
        RefusedError: 400 for anything but one JSON object in valid UTF-8 without lone surrogates, 413 for
            a body above the limit.
    """
    if len(raw) > max_bytes:
        raise RefusedError(413, "Request exceeds the maximum size")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, f"The request body is not valid JSON (at character {error.pos})") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "The request body is not a JSON object")
    return body


def check_body(body: dict[str, Any], endpoint: Endpoint, now: datetime | None = None) -> Model:
    """Check a parsed body.

    Args:
        body: the parsed request.
        endpoint: "messages" or "count_tokens".
        now: the moment, by which a model may have been retired; None: before any retirement that is to come.

    Returns:
        the model the request names.

    Raises:
        RefusedError: 400 with the first problem found; 404 for a model that is unknown or retired.
    """
    counting = endpoint == "count_tokens"
    _check_fields(body, COUNT_FIELDS if counting else MESSAGE_FIELDS)
    model = _check_model(body, now)
    if not counting:
        _check_max_tokens(body, model)
    for name, check in _SIMPLE.items():
        if body.get(name) is not None and not check(body[name]):
            raise invalid(name, "Input is not valid")
    check_messages(body.get("messages"), prefill=model.prefill)
    if len(body["messages"]) > MAX_MESSAGES:
        raise invalid("messages", f"at most {MAX_MESSAGES} messages are permitted")
    _check_system(body.get("system"))
    check_cache_control(body.get("cache_control"), "request")
    check_tools(body, model)
    check_markers(body)
    check_number_of_images(body["messages"], model)
    check_output_config(body, model)
    check_thinking(body, model)
    _check_model_options(body, model)
    if counting:
        _check_countable(body)
    return model


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


#: fields that one test can judge
_SIMPLE: dict[str, Callable[[Any], bool]] = {
    "container": lambda value: isinstance(value, str | dict),
    "diagnostics": lambda value: isinstance(value, dict) and set(value) <= {"previous_message_id"},
    "inference_geo": lambda value: value in ("us", "global"),
    "mcp_servers": lambda value: isinstance(value, list),
    "metadata": lambda value: (
        isinstance(value, dict) and set(value) <= {"user_id"} and isinstance(value.get("user_id"), str | None)
    ),
    "service_tier": lambda value: value in ("auto", "standard_only"),
    "speed": lambda value: value in ("standard", "fast"),
    "stop_sequences": _is_text_list,
    "stream": lambda value: isinstance(value, bool),
}

_FIELD_NAME = re.compile(r"[A-Za-z0-9_]{1,40}")


def check_names(body: dict[str, Any], allowed: frozenset[str], where: str = "") -> None:
    """Refuse fields that there are not.

    Args:
        body: the object.
        allowed: its fields.
        where: path of the object with a dot at its end; empty for the request itself.

    Raises:
        RefusedError: 400, naming the first unknown field.
    """
    for name in body:
        if name not in allowed:
            # A field's name is shown only if it looks like one: anything else could be text of a payload.
            shown = name if _FIELD_NAME.fullmatch(name) else "request"
            raise invalid(f"{where}{shown}", "Extra inputs are not permitted")


def check_length(tokens: int, model: Model) -> None:
    """Refuse a prompt that does not fit into the model.

    Args:
        tokens: its input tokens.
        model: the model it is for.

    Raises:
        RefusedError: 400 above the context window.
    """
    if tokens > model.max_input_tokens:
        raise RefusedError(400, f"prompt is too long: {tokens} tokens > {model.max_input_tokens} maximum")


def _check_fields(body: dict[str, Any], allowed: frozenset[str]) -> None:
    for name in SAMPLING_FIELDS:
        if name in body:
            raise invalid(name, "Extra inputs are not permitted")
    check_names(body, allowed)
    for name in ("model", "messages"):
        if name not in body:
            raise invalid(name, "Field required")


def _check_model(body: dict[str, Any], now: datetime | None) -> Model:
    name = body["model"]
    if not isinstance(name, str) or not name:
        raise invalid("model", "Input should be a valid string")
    model = find_model(name)
    if model is None:
        raise RefusedError(404, "model: there is no such model")
    if (model.lifecycle if now is None else model.lifecycle_at(now)) == "retired":
        raise RefusedError(404, f"model: {model.id} is retired")
    return model


def _check_max_tokens(body: dict[str, Any], model: Model) -> None:
    limit = body.get("max_tokens")
    if limit is None:
        raise invalid("max_tokens", "Field required")
    if type(limit) is not int:
        raise invalid("max_tokens", "Input should be a valid integer")
    if limit < 1:
        raise invalid("max_tokens", "Input should be greater than or equal to 1")
    if limit > model.max_tokens:
        raise invalid(
            "max_tokens",
            f"{limit} > {model.max_tokens}, the maximum allowed number of output tokens for {model.id}",
        )


def _check_system(system: Any) -> None:
    if system is None:
        return
    check_content(system, "system", None)
    if isinstance(system, list) and any(block["type"] != "text" for block in system):
        raise invalid("system", "only text blocks are permitted")


def _check_model_options(body: dict[str, Any], model: Model) -> None:
    """Options that only some models take."""
    if body.get("inference_geo") is not None and not model.geo:
        raise invalid("inference_geo", f"not supported by {model.id}")
    if body.get("speed") == "fast" and model.fast is None:
        raise invalid("speed", f"fast is not supported by {model.id}")


def _check_countable(body: dict[str, Any]) -> None:
    """Refuse what Messages takes and count_tokens does not: server tools, MCP, URL and file sources."""
    for position, tool in enumerate(body.get("tools") or ()):
        kind = tool.get("type") or "custom"
        if kind != "custom" and client_tool(kind) is None and not kind.startswith("memory_"):
            raise invalid(f"tools.{position}", "server tools are not supported by token counting")
    for message in body["messages"]:
        for block in blocks_of(message["content"]):
            source = block.get("source")
            if isinstance(source, dict) and str(source.get("type")) in UNCOUNTABLE_SOURCES:
                raise invalid("messages", "url and file sources are not supported by token counting")
