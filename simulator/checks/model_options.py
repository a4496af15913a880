"""Checks of the options whose rules differ from model to model: tools, effort and thinking.

Source: Anthropic docs, "Tool use", "Pricing" (2026-10-10), "Thinking" (2026-10-08), "Effort" (2026-08).
"""

import re
from typing import Any

from simulator.answers.server_tools import kind_of
from simulator.billing.catalogue import ALL_EFFORTS, Model
from simulator.billing.counting import client_tool
from simulator.checks.cache_markers import check_cache_control
from simulator.http.api_errors import invalid

#: smallest `thinking.budget_tokens`. Source: Anthropic docs, "Thinking".
MIN_THINKING_TOKENS = 1_024

#: starts of the types of tools that are neither custom nor client tools of Anthropic
SERVER_TOOLS = ("web_search_", "web_fetch_", "code_execution_", "tool_search_tool_", "mcp_toolset", "memory_")

THINKING_TYPES = ("adaptive", "between_tools", "disabled", "enabled")

#: fields of `thinking` by its type. Source: SDK 2.12.0, `ThinkingConfigParam`.
THINKING_FIELDS: dict[str, frozenset[str]] = {
    "adaptive": frozenset({"type", "display"}),
    "between_tools": frozenset({"type"}),
    "disabled": frozenset({"type"}),
    "enabled": frozenset({"type", "budget_tokens", "display"}),
}

TOOL_CHOICES = ("auto", "any", "tool", "none")

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def check_tools(body: dict[str, Any], model: Model) -> None:
    """Check `tools` and `tool_choice`.

    Args:
        body: the parsed request.
        model: the model it names.

    Raises:
        RefusedError: 400, naming the first problem.
    """
    tools = body.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise invalid("tools", "Input should be a valid list")
    names: set[str] = set()
    for position, tool in enumerate(tools or ()):
        name = _check_tool(tool, f"tools.{position}")
        if name is not None and name in names:
            raise invalid("tools", "Tool names must be unique")
        names.add(name or "")
    choice = body.get("tool_choice")
    if choice is not None:
        _check_choice(choice, body, names, model)


def _check_tool(tool: Any, where: str) -> str | None:
    """Check one tool and return its name, if it has one."""
    if not isinstance(tool, dict):
        raise invalid(where, "Input should be a valid dictionary")
    check_cache_control(tool.get("cache_control"), where)
    kind = tool.get("type") or "custom"
    name = tool.get("name")
    if not isinstance(kind, str) or (
        kind != "custom" and client_tool(kind) is None and not kind.startswith(SERVER_TOOLS)
    ):
        raise invalid(f"{where}.type", "Input tag does not match any of the expected tags")
    if kind != "custom":
        _check_server_tool(tool, where)
        return name if isinstance(name, str) else None
    if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
        raise invalid(f"{where}.name", "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'")
    schema = tool.get("input_schema")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise invalid(f"{where}.input_schema", "Input should be a JSON schema of type object")
    if not isinstance(tool.get("description", ""), str):
        raise invalid(f"{where}.description", "Input should be a valid string")
    return name


def _check_server_tool(tool: dict[str, Any], where: str) -> None:
    """Check what bounds the use of a server tool, and its name, which is always that of its kind."""
    kind = kind_of(tool)
    if kind is None:
        return
    if tool.get("name") != kind:
        raise invalid(f"{where}.name", f"Input should be '{kind}'")
    for field in ("max_uses", "max_content_tokens"):
        value = tool.get(field)
        if value is not None and (type(value) is not int or value < 1):
            raise invalid(f"{where}.{field}", "Input should be a whole number greater than 0")


def _check_choice(choice: Any, body: dict[str, Any], names: set[str], model: Model) -> None:
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in TOOL_CHOICES:
        raise invalid("tool_choice.type", "Input tag does not match any of the expected tags")
    if kind == "none":
        return
    if not names:
        raise invalid("tool_choice", "may only be specified while providing tools")
    if kind == "auto":
        return
    if kind == "tool" and str(choice.get("name")) not in names:
        raise invalid("tool_choice.name", "there is no tool of this name")
    if model.tool_overhead[1] is None:
        raise invalid("tool_choice", f"forcing tool use is not supported by {model.id}")
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "enabled":
        raise invalid("tool_choice", "tool use may not be forced while thinking is enabled")


def check_output_config(body: dict[str, Any], model: Model) -> None:
    """Check `output_config`: effort and output format.

    Args:
        body: the parsed request.
        model: the model it names.

    Raises:
        RefusedError: 400, naming the first problem.
    """
    config = body.get("output_config")
    if config is None:
        return
    if not isinstance(config, dict) or not set(config) <= {"effort", "format"}:
        raise invalid("output_config", "Input should hold effort and format only")
    effort = config.get("effort")
    if effort is not None and effort not in ALL_EFFORTS:
        raise invalid("output_config.effort", "Input should be low, medium, high, xhigh or max")
    if effort is not None and effort not in model.efforts:
        raise invalid("output_config.effort", f"not supported by {model.id}")
    form = config.get("format")
    if form is not None and not (
        isinstance(form, dict) and form.get("type") == "json_schema" and isinstance(form.get("schema"), dict)
    ):
        raise invalid("output_config.format", "Input should be a json_schema with a schema")


def check_thinking(body: dict[str, Any], model: Model) -> None:
    """Check `thinking` against what the model takes.

    Args:
        body: the parsed request; its `output_config` and `max_tokens` are already checked.
        model: the model it names.

    Raises:
        RefusedError: 400, naming the first problem.
    """
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in THINKING_TYPES:
        raise invalid("thinking.type", "Input tag does not match any of the expected tags")
    if not set(thinking) <= THINKING_FIELDS[kind]:
        raise invalid(f"thinking.{kind}", "Extra inputs are not permitted")
    if thinking.get("display") not in (None, "summarized", "omitted"):
        raise invalid(f"thinking.{kind}.display", "Input should be summarized or omitted")
    if kind not in model.thinking:
        raise invalid("thinking.type", f"{kind} is not supported by {model.id}")
    if kind == "enabled":
        _check_thinking_budget(thinking.get("budget_tokens"), body.get("max_tokens"))
    effort = (body.get("output_config") or {}).get("effort")
    if kind in ("disabled", "between_tools") and effort is not None and effort not in model.efforts_off:
        raise invalid("output_config.effort", f"not supported by {model.id} while thinking is off")


def _check_thinking_budget(budget: Any, max_tokens: int | None) -> None:
    if type(budget) is not int:
        raise invalid("thinking.enabled.budget_tokens", "Input should be a valid integer")
    if budget < MIN_THINKING_TOKENS:
        raise invalid("thinking.enabled.budget_tokens", f"Input should be at least {MIN_THINKING_TOKENS}")
    if max_tokens is not None and budget >= max_tokens:
        raise invalid("max_tokens", "must be greater than thinking.budget_tokens")
