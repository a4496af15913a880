"""A small value that fits a JSON schema: what a simulated model writes when a schema is all it knows.

Covers what structured outputs take: types, `const`, `enum`, `required`, `anyOf`, `oneOf`, `allOf`, `$ref`
within the schema, lower bounds and formats. Anything else in a schema is not looked at.

Source: Anthropic docs, "Structured outputs" (2026-08).
"""

import math
from typing import Any

#: most values in one example; a schema that calls for more, as one without an end does, gets null for them
MAX_VALUES = 1_000

#: deepest nesting of an example; what is deeper is null
MAX_DEPTH = 50

#: longest string and list; a schema that calls for a longer one does not get it
MAX_LENGTH = 1_000

#: a value of each string format
FORMATS: dict[str, str] = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "clerk@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example_of(schema: Any) -> Any:
    """A value that fits.

    Args:
        schema: the JSON schema; anything is taken, and what makes no sense in it is passed over.

    Returns:
        the value; objects have their required properties only.
    """
    return _Maker(schema).make(schema)


class _Maker:
    """Makes one example.

    Args:
        root: the whole schema, which references point into.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = MAX_VALUES
        self._depth = 0

    def make(self, schema: Any) -> Any:
        """A value of a part of the schema; null once there are enough of them."""
        self._left -= 1
        if not isinstance(schema, dict) or self._left < 0 or self._depth == MAX_DEPTH:
            return None
        self._depth += 1
        made = self._made(schema)
        self._depth -= 1
        return made

    def _made(self, schema: dict[str, Any]) -> Any:
        if "const" in schema:
            return schema["const"]
        choices = _list(schema, "enum")
        if choices:
            return choices[0]
        if isinstance(schema.get("$ref"), str):
            return self.make(_resolve(schema["$ref"], self._root))
        variants = _list(schema, "anyOf") or _list(schema, "oneOf")
        if variants:
            return self.make(variants[0])
        parts = [self.make(part) for part in _list(schema, "allOf")]
        made = self._typed(schema) if not parts or "type" in schema else parts[0]
        for part in parts:
            if isinstance(part, dict) and isinstance(made, dict):
                known = {name: value for name, value in part.items() if value is not None}
                made = {**part, **made, **known}
        return made

    def _typed(self, schema: dict[str, Any]) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(kind, list):
            kind = kind[0] if kind else None
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            least = _length(schema, "minItems")
            return [self.make(schema.get("items")) for _ in range(least) if self._left > 0]
        if kind == "string":
            text = FORMATS.get(str(schema.get("format")), "simulated")
            return text.ljust(_length(schema, "minLength"), ".")
        if kind in ("integer", "number"):
            return _number(schema)
        return False if kind == "boolean" else None

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        properties = schema.get("properties")
        known = properties if isinstance(properties, dict) else {}
        names = [name for name in _list(schema, "required") if isinstance(name, str)]
        return {name: self.make(known.get(name)) for name in names}


def _list(schema: dict[str, Any], name: str) -> list[Any]:
    value = schema.get(name)
    return value if isinstance(value, list) else []


def _length(schema: dict[str, Any], name: str) -> int:
    value = schema.get(name)
    return min(MAX_LENGTH, value) if isinstance(value, int) else 0


def _number(schema: dict[str, Any]) -> int | float:
    """Zero, or the bound nearest to it."""
    lowest, beyond = schema.get("minimum"), schema.get("exclusiveMinimum")
    if isinstance(beyond, int | float):
        return max(0, math.floor(beyond) + 1) if abs(beyond) < 2**53 else beyond
    if isinstance(lowest, int | float):
        return max(0, math.ceil(lowest)) if abs(lowest) < 2**53 else lowest
    highest = schema.get("maximum")
    return min(0, highest) if isinstance(highest, int | float) else 0


def _resolve(reference: str, root: Any) -> Any:
    """The part of the schema that a `$ref` points to, None for one that points nowhere or outside."""
    if not reference.startswith("#"):
        return None
    found = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            return None
        found = found[name]
    return found
