"""Checks of a Messages request by itself: what API version 2026-10-21 refuses under every model.

Every reason names a place and a fix, never payload text. The figures and vocabularies are in api_rules.toml.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.payload.api_rules import RULES
from schemas.payload.invalid import InvalidPayload
from schemas.payload.message_checks import check_blocks, check_messages
from schemas.payload.traits import blocks_of
from schemas.payload.vocabulary import is_one_of, one_of

#: what count_tokens takes, besides the model; anything else in its body is a 400
COUNTED_PARAMETERS = (
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "speed",
)
UNCOUNTED_PARAMETERS = ("max_tokens", "stop_sequences", "metadata", "service_tier", "inference_geo")
#: known and never sent: nothing counts or bounds them, so that the job waits for a person
UNSENT_PARAMETERS = ("mcp_servers",)
PARAMETERS = frozenset(COUNTED_PARAMETERS + UNCOUNTED_PARAMETERS + UNSENT_PARAMETERS)

#: parameters with a better answer than "unknown"
REFUSED_PARAMETERS = {name: one.sentence for one in RULES.parameters for name in one.names}

_VALUES, _LIMITS = RULES.values, RULES.limits
_NAME = re.compile(r"[A-Za-z0-9_]{1,60}", re.ASCII)


def check_request(request: Mapping[str, Any]) -> None:
    """Check a request's parameters, one after the other.

    Raises:
        InvalidPayload: with the parameter and the first reason found.
    """
    _check_parameters(request)
    _check_max_tokens(request.get("max_tokens"))
    _check_shapes(request)
    check_messages(request.get("messages"))
    check_blocks(request.get("system"), "system")
    _check_tools(request)
    _check_thinking(request)
    _check_output_config(request.get("output_config") or {})
    _check_words(request)


def check_cache_markers(request: Mapping[str, Any]) -> None:
    """Check the prompt-cache markers of a checked request: their form, how many they are, and their order.

    Raises:
        InvalidPayload: with the parameter and the reason.
    """
    lives: list[str] = []
    for column, marker in _markers(request):
        if marker is None:
            continue
        if not (
            isinstance(marker, dict)
            and marker.keys() <= {"type", "ttl"}
            and marker.get("type") == "ephemeral"
            and ("ttl" not in marker or is_one_of("cache_ttl", marker["ttl"]))
        ):
            raise InvalidPayload(column, "has a cache_control other than ephemeral with a ttl of 5m or 1h")
        lives.append(marker.get("ttl", "5m"))
        # source: prompt caching page, 2026-08: longer lives stand before shorter ones
        if lives[-1] == "1h" and "5m" in lives:
            raise InvalidPayload(column, "has a cache_control of 1h after one of 5m; put those of 1h first")
    if len(lives) > _LIMITS.cache_markers:
        raise InvalidPayload(
            "messages", f"{len(lives)} cache_control markers in the request, at most {_LIMITS.cache_markers}"
        )


def _check_parameters(request: Mapping[str, Any]) -> None:
    for name in request:
        if name in REFUSED_PARAMETERS:
            raise InvalidPayload(name, REFUSED_PARAMETERS[name])
        if name not in PARAMETERS:
            # a name is shown only if it looks like one: anything else could be text of a payload
            column = name if _NAME.fullmatch(str(name)) else "params"
            raise InvalidPayload(column, "not a parameter of the Messages API")


def _check_max_tokens(value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidPayload("max_tokens", "must be a whole number")
    if value < 1:
        raise InvalidPayload("max_tokens", f"is {value}, must be at least 1")


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
    "inference_geo": (str,),
    "speed": (str,),
    "mcp_servers": (list,),
}
_JSON_NAMES: dict[type, str] = {str: "text", list: "a list", dict: "an object"}


def _check_shapes(request: Mapping[str, Any]) -> None:
    for name, shapes in _SHAPES.items():
        if name in request and not isinstance(request[name], shapes):
            raise InvalidPayload(name, f"must be {' or '.join(_JSON_NAMES[shape] for shape in shapes)}")
    for name in ("tools", "mcp_servers"):
        if not all(isinstance(item, dict) for item in request.get(name, ())):
            raise InvalidPayload(name, "must be a list of objects")
    if not all(isinstance(text, str) and text.strip() for text in request.get("stop_sequences", ())):
        raise InvalidPayload("stop_sequences", "must be a list of texts that are not blank")


def _check_words(request: Mapping[str, Any]) -> None:
    for name in ("service_tier", "inference_geo", "speed"):
        if name in request and not is_one_of(name, request[name]):
            raise InvalidPayload(name, one_of(name))
    if metadata := request.get("metadata"):
        if not metadata.keys() <= set(_VALUES["metadata_fields"]):
            raise InvalidPayload(
                "metadata",
                "has fields other than user_id; keep your own outside the payload, under the job_id",
            )
        if not isinstance(metadata["user_id"], str | None):
            raise InvalidPayload("metadata", "user_id must be text")


# ---------------------------------------------------------------------------------------------------------- tools


def _check_tools(request: Mapping[str, Any]) -> None:
    names: set[str] = set()
    tools = request.get("tools") or ()
    for index, tool in enumerate(tools):
        name = _tool_name(tool, f"tools.{index}")
        if name in names:
            raise InvalidPayload("tools", f"tools.{index} has the name of an earlier tool")
        names |= {name} if name is not None else set()
    if "tool_choice" in request:
        _check_tool_choice(request, names)


def _tool_name(tool: Mapping[str, Any], where: str) -> str | None:
    """The name of a checked tool, if it has one."""
    kind, name = tool.get("type"), tool.get("name")
    if not isinstance(kind, str | None):
        raise InvalidPayload("tools", f"{where} has a type that is not text")
    if kind not in (None, "", "custom"):
        return name if isinstance(name, str) else None
    if not isinstance(name, str) or not _LIMITS.tool_name.fullmatch(name):
        raise InvalidPayload("tools", f"{where} needs a name of {_LIMITS.tool_name.pattern}")
    schema = tool.get("input_schema")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise InvalidPayload("tools", f"{where} needs an input_schema of type object")
    return name


def _check_tool_choice(request: Mapping[str, Any], names: set[str]) -> None:
    choice = request["tool_choice"]
    kind = choice.get("type")
    if not is_one_of("tool_choice", kind):
        raise InvalidPayload("tool_choice", f"type {one_of('tool_choice')}")
    if kind == "none":
        return
    if not request.get("tools") and not request.get("mcp_servers"):
        raise InvalidPayload("tool_choice", "stands without tools; leave it out or give tools")
    if kind == "tool" and choice.get("name") not in names and not _has_toolset(request):
        raise InvalidPayload("tool_choice", "names a tool that is not among tools")
    if kind in ("any", "tool") and (request.get("thinking") or {}).get("type") == "enabled":
        raise InvalidPayload(
            "tool_choice", "forces a tool while thinking is enabled; use auto, or leave thinking out"
        )


def _has_toolset(request: Mapping[str, Any]) -> bool:
    """Whether some of its tools have names that the request does not show."""
    return any("toolset" in str(tool.get("type")) for tool in request.get("tools") or ())


# --------------------------------------------------------------------------------------- thinking, output, caching


def _check_thinking(request: Mapping[str, Any]) -> None:
    thinking = request.get("thinking")
    if thinking is None:
        return
    if not is_one_of("thinking", thinking.get("type")):
        raise InvalidPayload("thinking", f"type {one_of('thinking')}")
    if thinking["type"] != "enabled":
        return
    budget, least = thinking.get("budget_tokens"), _LIMITS.thinking_budget_tokens
    if type(budget) is not int:
        raise InvalidPayload("thinking", "type enabled needs budget_tokens, a whole number")
    if budget < least:
        raise InvalidPayload("thinking", f"budget_tokens is {budget:,}, must be at least {least:,}")
    if budget >= request["max_tokens"]:
        raise InvalidPayload(
            "thinking", f"budget_tokens is {budget:,}, must be below max_tokens ({request['max_tokens']:,})"
        )


def _check_output_config(config: Mapping[str, Any]) -> None:
    if not config.keys() <= set(_VALUES["output_config_fields"]):
        raise InvalidPayload("output_config", "has fields besides effort and format")
    if (effort := config.get("effort")) is not None and not is_one_of("effort", effort):
        raise InvalidPayload("output_config", f"effort {one_of('effort')}")
    if (form := config.get("format")) is not None and not (
        isinstance(form, dict)
        and is_one_of("output_format", form.get("type"))
        and isinstance(form.get("schema"), dict)
    ):
        raise InvalidPayload("output_config", "format must be a json_schema with a schema")


def _markers(request: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every cache_control of a request, with its column, in the order in which a prompt is read."""
    for tool in request.get("tools") or ():
        if "cache_control" in tool:
            yield "tools", tool["cache_control"]
    for name, block in blocks_of(request):
        if "cache_control" in block:
            yield name, block["cache_control"]
    if "cache_control" in request:
        yield "cache_control", request["cache_control"]
