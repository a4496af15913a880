"""The uses of the provider's own tools that an answer shows, where its usage says less, as behind some gateways.

Of two readings that contradict each other the larger is taken. A search that ended in an error is not billed (source:
Anthropic web search page, 2026-10-10).
"""

from typing import Any

from schemas.usage import Answer, ServerToolUse

_SEARCH = "web_search"
_EXECUTION = "code_execution"
_CALL, _RESULT = "server_tool_use", "_tool_result"


def with_shown_uses(answer: Answer) -> tuple[Answer, bool]:
    """The answer with a usage that says no fewer searches and code executions than the answer shows; and whether its own did."""
    searches = max(_searches(answer.content), answer.usage.web_searches)
    executions = max(_executions(answer.content), answer.usage.code_executions)
    if (searches, executions) == (answer.usage.web_searches, answer.usage.code_executions):
        return answer, True
    stated = answer.usage.server_tool_use or ServerToolUse()
    uses = stated.model_copy(update={"web_search_requests": searches, "code_execution_requests": executions})
    usage = answer.usage.model_copy(update={"server_tool_use": uses})
    return answer.model_copy(update={"usage": usage}), False


def _searches(content: list[dict[str, Any]]) -> int:
    """The searches that were made: those that were asked for, or have a result, but those that failed."""
    asked = sum(_is_call(block, _SEARCH) for block in content)
    results = [block for block in content if block.get("type") == _SEARCH + _RESULT]
    failed = sum(isinstance(block.get("content"), dict) for block in results)
    return max(asked, len(results)) - failed


def _executions(content: list[dict[str, Any]]) -> int:
    """The code executions that were asked for, whichever part of the tool they ask."""
    return sum(_is_call(block, _EXECUTION) for block in content)


def _is_call(block: dict[str, Any], tool: str) -> bool:
    name = block.get("name")
    return block.get("type") == _CALL and isinstance(name, str) and name.endswith(tool)
