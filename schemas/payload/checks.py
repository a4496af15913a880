"""Checks of a Messages request by itself: what API version 2026-10-21 refuses under every model.

Every reason names a place and a mend, never payload text. The figures and vocabularies are in api_rules.toml.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from schemas.payload.api_rules import RULES
from schemas.payload.traits import blocks_of
from schemas.words import printable

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
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class InvalidPayload(ValueError):  # noqa: N818 - reads as what it is where it is caught
    """A request the API would refuse. Carries the column to look at and a reason, never payload text."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"{column}: {reason}")
        self.column = printable(column)
        self.reason = printable(reason)


def check_request(request: Mapping[str, Any]) -> None:
    """Check a request's parameters, one after the other.

    Raises:
        InvalidPayload: with the parameter and the first reason found.
    """
    _check_parameters(request)
    _check_max_tokens(request.get("max_tokens"))
    _check_shapes(request)
    _check_messages(request.get("messages"))
    _check_system(request.get("system"))
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
            and ("ttl" not in marker or _is_in("cache_ttl", marker["ttl"]))
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


def _is_in(name: str, value: object) -> bool:
    return isinstance(value, str) and value in _VALUES[name]


def _one_of(name: str) -> str:
    return f"must be one of {', '.join(sorted(_VALUES[name]))}"


def _check_parameters(request: Mapping[str, Any]) -> None:
    for name in request:
        if name in REFUSED_PARAMETERS:
            raise InvalidPayload(name, REFUSED_PARAMETERS[name])
        if name not in PARAMETERS:
            # a name is told only if it looks like one: anything else could be text of a payload
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
        if name in request and not _is_in(name, request[name]):
            raise InvalidPayload(name, _one_of(name))
    if metadata := request.get("metadata"):
        if not metadata.keys() <= _VALUES["metadata_fields"]:
            raise InvalidPayload(
                "metadata", "has fields besides user_id; keep your own beside the job instead"
            )
        if not isinstance(metadata["user_id"], str | None):
            raise InvalidPayload("metadata", "user_id must be text")


# ------------------------------------------------------------------------------------------------------- messages


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list):
        raise InvalidPayload("messages", "must be a list of role and content")
    if not messages:
        raise InvalidPayload("messages", "is empty")
    if len(messages) > _LIMITS.messages:
        raise InvalidPayload("messages", f"{len(messages):,} messages, at most {_LIMITS.messages:,}")
    calls = False
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InvalidPayload("messages", f"messages.{index} is not an object with role and content")
        if len(message) > 2 and (extra := set(message) - {"role", "content"}):
            raise InvalidPayload(
                "messages", f"messages.{index} has {len(extra)} field(s) besides role and content"
            )
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant"):
            _refuse_role(index, role)
        calls |= _check_content(index, str(role), content)
    if messages[0]["role"] != "user":
        raise InvalidPayload("messages", "the first message must be from the user")
    if calls:
        _check_tool_results(messages)


def _refuse_role(index: int, role: object) -> None:
    if role == "system":
        raise InvalidPayload(
            "messages", f"messages.{index} has the role system; put that text in the system column"
        )
    raise InvalidPayload("messages", f"messages.{index} has a role other than user and assistant")


def _check_content(index: int, role: str, content: object) -> bool:
    """Check a message's content; whether it calls tools or answers them."""
    if isinstance(content, str):
        if not content or content.isspace():
            raise InvalidPayload("messages", f"messages.{index} has empty content")
        return False
    if not isinstance(content, list) or not content:
        raise InvalidPayload("messages", f"messages.{index} needs content: text or a list of blocks")
    calls = False
    for position, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(kind := block.get("type"), str):
            raise InvalidPayload("messages", f"messages.{index} has a content block without a type")
        if kind == "text":
            text = block.get("text")
            if not isinstance(text, str) or not text or text.isspace():
                raise InvalidPayload("messages", f"messages.{index} has an empty text block")
            if role == "assistant" or not block.get("citations"):
                continue
        calls |= kind in ("tool_use", "tool_result")
        check = _BLOCK_CHECKS.get(kind)
        if check is not None:
            check(block, f"messages.{index}.content.{position}", role)
    return calls


def _check_nested(content: object, where: str) -> None:
    """Check the blocks inside another block."""
    if not isinstance(content, list):
        return
    for position, block in enumerate(content):
        if isinstance(block, dict) and (check := _BLOCK_CHECKS.get(str(block.get("type")))):
            check(block, f"{where}.content.{position}", "")


def _check_text(block: Mapping[str, Any], where: str, role: str) -> None:
    if block.get("citations") and role != "assistant":
        raise InvalidPayload(where.split(".", 1)[0], f"{where} {RULES.blocks['user_citations'].sentence}")


def _check_image(block: Mapping[str, Any], where: str, _role: str) -> None:
    _check_base64(block.get("source"), where, "image_media")


def _check_document(block: Mapping[str, Any], where: str, role: str) -> None:
    if role == "assistant":
        raise InvalidPayload("messages", f"{where} {RULES.blocks['assistant_document'].sentence}")
    source = block.get("source")
    _check_base64(source, where, "document_media")
    if isinstance(source, dict):
        _check_nested(source.get("content"), where)


def _check_inside(block: Mapping[str, Any], where: str, _role: str) -> None:
    _check_nested(block.get("content"), where)


#: by the type of a block; what is not here is left to the provider's count
_BLOCK_CHECKS: dict[str, Callable[[Mapping[str, Any], str, str], None]] = {
    "text": _check_text,
    "image": _check_image,
    "document": _check_document,
    "tool_result": _check_inside,
    "search_result": _check_inside,
}


def _check_base64(source: object, where: str, media: str) -> None:
    """Check a base64 source by its media type, length and characters; it is not decoded."""
    if not isinstance(source, dict) or source.get("type") != "base64":
        return
    column = where.split(".", 1)[0]
    if not _is_in(media, source.get("media_type")):
        raise InvalidPayload(column, f"{where} has a media_type it cannot have: it {_one_of(media)}")
    data = source.get("data")
    if not isinstance(data, str) or not data:
        raise InvalidPayload(column, f"{where} has no data")
    looks = next((kind for start, kind in RULES.image_starts.items() if data.startswith(start)), None)
    if media == "image_media" and looks not in (None, source["media_type"]):
        raise InvalidPayload(
            column, f"{where} has the media_type {source['media_type']} and looks like {looks}"
        )
    # what is left without base64's letters may only be the padding at the end
    left = data.encode().translate(None, _BASE64).decode() if data.isascii() else data
    if len(data) % 4 or left not in ("", "=", "==") or not data.endswith(left):
        raise InvalidPayload(
            column,
            f"{where} has data that is no base64; write it padded, without line breaks or a data: prefix",
        )


def _check_system(system: object) -> None:
    if isinstance(system, list):
        for position, block in enumerate(system):
            if isinstance(block, dict) and (check := _BLOCK_CHECKS.get(str(block.get("type")))):
                check(block, f"system.{position}", "")


def _check_tool_results(messages: Sequence[Mapping[str, Any]]) -> None:
    """Check that every call of a tool is answered in the next turn, and every answer has its call in the last.

    Messages of one role in a row are one turn, as the API joins them. A call in the last turn waits for its answer
    and is left to the provider's count.
    """
    asked: dict[str, int] = {}
    seen: set[str] = set()
    for first, last in _turns(messages):
        calls, answers = _calls_and_answers(messages, first, last)
        if again := [where for call, where in answers if call not in asked]:
            raise InvalidPayload(
                "messages", f"{again[0]} is a tool_result without its tool_use in the turn before"
            )
        answered = {call for call, _ in answers}
        if len(answered) < len(answers):
            raise InvalidPayload("messages", f"messages.{first} answers one tool_use twice")
        if unanswered := asked.keys() - answered:
            raise InvalidPayload(
                "messages",
                f"messages.{min(asked[call] for call in unanswered)} has {len(unanswered)} tool_use block(s) "
                "without a tool_result in the next turn",
            )
        asked = dict(calls)
        if len(asked) < len(calls) or asked.keys() & seen:
            raise InvalidPayload("messages", f"messages.{first} has a tool_use whose id stands twice")
        seen |= asked.keys()


def _calls_and_answers(
    messages: Sequence[Mapping[str, Any]], first: int, last: int
) -> tuple[list[tuple[str, int]], list[tuple[str, str]]]:
    """The calls of tools in a turn, each with its message; the answers, each with its place."""
    calls: list[tuple[str, int]] = []
    answers: list[tuple[str, str]] = []
    role = messages[first]["role"]
    for index in range(first, last):
        for position, block in enumerate(_list(messages[index]["content"])):
            where, kind = f"messages.{index}.content.{position}", block["type"]
            if kind not in ("tool_use", "tool_result"):
                continue
            if (kind == "tool_use") != (role == "assistant"):
                raise InvalidPayload("messages", f"{where} is a {kind} in a message of the {role}")
            if kind == "tool_use":
                calls.append((_call_id(block, "id", where), index))
            else:
                answers.append((_call_id(block, "tool_use_id", where), where))
    return calls, answers


def _turns(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
    first = 0
    for index in range(1, len(messages) + 1):
        if index == len(messages) or messages[index]["role"] != messages[first]["role"]:
            yield first, index
            first = index


def _list(content: Any) -> list[Any]:
    return content if isinstance(content, list) else []


def _call_id(block: Mapping[str, Any], name: str, where: str) -> str:
    value = block.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidPayload("messages", f"{where} has no {name}")
    return value


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
        raise InvalidPayload("tools", f"{where} has a type that is no text")
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
    if not _is_in("tool_choice", kind):
        raise InvalidPayload("tool_choice", f"type {_one_of('tool_choice')}")
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
    if not _is_in("thinking", thinking.get("type")):
        raise InvalidPayload("thinking", f"type {_one_of('thinking')}")
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
    if not config.keys() <= _VALUES["output_config_fields"]:
        raise InvalidPayload("output_config", "has fields besides effort and format")
    if (effort := config.get("effort")) is not None and not _is_in("effort", effort):
        raise InvalidPayload("output_config", f"effort {_one_of('effort')}")
    if (form := config.get("format")) is not None and not (
        isinstance(form, dict)
        and _is_in("output_format", form.get("type"))
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
