"""A prompt template: text with the names of columns in braces, and nothing else that could be evaluated.

`{subject}` stands for the row's value of the column `subject`; `{{` and `}}` are a brace each. There is no attribute
access, no index, no conversion and no format specification, and a value that is put in is never read as a template.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[^{}]+|[{}]")
#: what would ask for more than the value of a column
_NO_NAME = frozenset(".[]:!")
_EXAMPLE = "write it like 'Summarise: {subject}'; a brace of its own is written twice"


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A template that was read.

    Attributes:
        parts: texts, each with the column that follows it; None: the end.
    """

    parts: tuple[tuple[str, str | None], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names, each once."""
        return tuple(dict.fromkeys(name for _, name in self.parts if name is not None))

    def filled(self, values: Mapping[str, str]) -> str:
        """The text for one row.

        Args:
            values: the text of each column that it names.
        """
        return "".join(text + (values[name] if name is not None else "") for text, name in self.parts)


def is_template(text: str) -> bool:
    """Whether a text is a template; if not, it is the name of a column."""
    return "{" in text or "}" in text


def read_template(text: str) -> PromptTemplate:
    """The template in a text.

    Raises:
        ValueError: with a sentence: a brace stands alone, a name is not plain, or no column is named.
    """
    parts: list[tuple[str, str | None]] = []
    written = ""
    for part in _PART.finditer(text):
        found, name = part.group(), part.group(1)
        if found in ("{{", "}}"):
            written += found[0]
        elif found in ("{", "}"):
            raise ValueError(f"the template has a single {found!r}; {_EXAMPLE}")
        elif name is None:
            written += found
        else:
            parts.append((written, _plain_name(name)))
            written = ""
    if not parts:
        raise ValueError(f"the template names no column, so every job would be the same; {_EXAMPLE}")
    return PromptTemplate((*parts, (written, None)))


def _plain_name(name: str) -> str:
    if not name.strip() or name != name.strip() or _NO_NAME.intersection(name):
        raise ValueError(
            f"the template has {{{name}}}; between braces stands the name of a column and nothing else, without spaces "
            "around it and without any of . [ ] : !"
        )
    return name
