"""The models that answered, which may be others than the one that was asked, and the usage of each.

A gateway between here and the API may answer by another model than the one that was asked, and bill for that. And an
answer that several models made, or that was compacted on the way, has a usage of its own for each part, which is billed
at the rates of its own model (source: Anthropic refusals and fallback page, and compaction page, 2026-08).
"""

import re
from collections.abc import Iterator

from pydantic import ValidationError

from schemas.usage import Answer, Usage

#: what names a version of one model: a date, "latest", or the version that a cloud adds
_VERSION = re.compile(r"(?:[-@](?:\d{8}|latest|default)|-v\d+(?::\d+)?|-0)+$")


def bare_name(model: str) -> str:
    """The name of a model without the version, and without what clouds and gateways put before it."""
    start = model.find("claude-")
    return _VERSION.sub("", model[max(start, 0) :].lower())


def billed_parts(answer: Answer) -> list[tuple[str, Usage]]:
    """What an answer may have been billed for in place of its usage as a whole: the models, each with its usage.

    Where the answer has parts of its own that can be read, these; else its usage under the model that it names.
    """
    parts = list(_parts(answer))
    return parts or [(answer.model, answer.usage)]


def _parts(answer: Answer) -> Iterator[tuple[str, Usage]]:
    whole = answer.usage
    extras = whole.server_tool_use
    for part in whole.iterations or ():
        if not isinstance(part, dict):
            continue
        try:
            usage = Usage.model_validate(part)
        except ValidationError:
            continue
        model = part.get("model")
        named = model if isinstance(model, str) else answer.model
        stated = {name: getattr(whole, name) for name in ("service_tier", "inference_geo", "speed")}
        # searches are billed once, whatever the number of parts
        yield named, usage.model_copy(update={**stated, "server_tool_use": extras, "iterations": None})
        extras = None
