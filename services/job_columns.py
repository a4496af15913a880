"""The columns of a job file: which are read, what they may hold, and the refusal of a file that does not have them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from schemas.errors import BadInput
from schemas.payload.exact_json import Unfit
from schemas.policy_sections import JobColumns
from schemas.row import ParsedJson
from schemas.words import printable
from services.arrow_values import is_json, is_uuid, kind_name, unwrapped
from services.job_paths import InputFile
from services.row_pieces import FileFacts

Kind = Callable[[pa.DataType], bool]


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _is_list(kind: pa.DataType) -> bool:
    lists = (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list)
    return any(is_of(kind) for is_of in (*lists, kinds.is_list_view, kinds.is_large_list_view))


def _is_json_text(kind: pa.DataType) -> bool:
    return _is_text(kind) or is_json(kind)


def _is_struct(kind: pa.DataType) -> bool:
    return bool(kinds.is_struct(kind) or kinds.is_map(kind))


_NUMBER: dict[str, Kind] = {"whole numbers": kinds.is_integer, "numbers": kinds.is_floating}
_TEXT: dict[str, Kind] = {"text": _is_text}
_NESTED_LIST: dict[str, Kind] = {"JSON text": _is_json_text, "lists": _is_list}
_NESTED_OBJECT: dict[str, Kind] = {"JSON text": _is_json_text, "structs": _is_struct}
#: what a template and the results take
_SHOWN: dict[str, Kind] = {
    **_TEXT,
    **_NUMBER,
    "decimals": kinds.is_decimal,
    "booleans": lambda kind: kinds.is_boolean(kind) or isinstance(kind, pa.Bool8Type),
    "dates": kinds.is_date,
    "times": lambda kind: kinds.is_timestamp(kind) or kinds.is_time(kind),
    "UUIDs": is_uuid,
}

#: every column that a job may have, and what it may hold
COLUMNS: dict[str, dict[str, Kind]] = {
    "job_id": {"text": _is_text, "whole numbers": kinds.is_integer, "UUIDs": is_uuid},
    "prompt": _TEXT,
    "messages": _NESTED_LIST,
    "system": {"text": _is_json_text, "lists": _is_list},
    "tools": _NESTED_LIST,
    "tool_choice": _NESTED_OBJECT,
    "thinking": _NESTED_OBJECT,
    "output_config": _NESTED_OBJECT,
    "metadata": _NESTED_OBJECT,
    "stop_sequences": _NESTED_LIST,
    "params": _NESTED_OBJECT,
    "max_tokens": _NUMBER,
    "max_input_tokens": _NUMBER,
    "priority": _NUMBER,
    "max_cost_usd": {**_NUMBER, "decimals": kinds.is_decimal, "text": _is_text},
    "model": _TEXT,
    "group": _TEXT,
}
WHOLE_NUMBERS = frozenset(name for name, takes in COLUMNS.items() if takes is _NUMBER)

#: what each of the words above is in JSON
_IN_JSON: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "JSON text": (str,),
    "whole numbers": (int,),
    "numbers": (int, float),
    "booleans": (bool,),
    "lists": (list,),
    "structs": (dict,),
}
_ROLES = {"job_id": "the job's id", "prompt": "the prompt"}
#: names that ids and prompts often have, for a suggestion
_IDS = ("job_id", "id", "uuid", "key", "number", "ticket", "case", "custom_id", "index")
_PROMPTS = ("prompt", "text", "body", "question", "input", "content", "message", "instruction", "query")
#: the columns of a line for OpenAI's batches
_OF_OPENAI = frozenset({"custom_id", "method", "url", "body"})
_MOST_SHOWN = 20
_MOST_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """A column that is read.

    Attributes:
        name: in the file.
        role: what it is read as.
        takes: what it may hold.
        is_needed: a file without it is refused.
    """

    name: str
    role: str
    takes: Mapping[str, Kind]
    is_needed: bool = False


class InputColumns:
    """The columns that a run reads of its files.

    Attributes:
        columns: where a job stands in them.
        keep: those that are kept for the results.
        names: all that are read where they are there.
        extra: those of them that a job does not have under their own names.
    """

    def __init__(self, columns: JobColumns, keep: Sequence[str] = ()) -> None:
        self.columns, self.keep = columns, tuple(keep)
        template = columns.template.columns if columns.template is not None else ()
        renamed = {"job_id": columns.id_column, "prompt": columns.prompt_column}
        own = {job: renamed.get(job, job) for job in COLUMNS}
        self._read = [
            *(
                ReadColumn(name, _ROLES.get(job, f"the {job} of a job"), COLUMNS[job])
                for job, name in own.items()
                if name
            ),
            *(ReadColumn(name, "a column of the prompt's template", _SHOWN, True) for name in template),
            *(ReadColumn(name, "a column of results.keep", _SHOWN, True) for name in keep),
        ]
        self.names = frozenset(one.name for one in self._read)
        self.extra = self.names - {job for job, name in own.items() if job == name}

    def check(self, file: InputFile, facts: FileFacts) -> None:
        """Check that a file has the columns that are needed, and that they hold what they may.

        Raises:
            BadInput: with what it has, and how another column is named.
        """
        names = {*facts.names, *file.folder_values}
        # columns without a name cannot be named, so they are never read
        named = [name for name in facts.names if name.strip()]
        if len(set(named)) < len(named):
            twice = next(name for name in named if named.count(name) > 1)
            raise BadInput(
                f"{file.path} has two columns of the same name ({_shown(twice)}). Give one of them another name; "
                "nothing was sent."
            )
        self._check_needed(file, names)
        for one in self._read:
            kind = unwrapped(facts.kinds.get(one.name, pa.null()))
            if not kinds.is_null(kind) and not any(fits(kind) for fits in one.takes.values()):
                raise BadInput(
                    f"{file.path}: column {_shown(one.name)} holds {kind_name(kind)}; it takes "
                    f"{' or '.join(one.takes)}, since it "
                    f"is {one.role}. Convert it, or name another column; nothing was sent."
                )

    def _check_needed(self, file: InputFile, names: AbstractSet[str]) -> None:
        id_column, prompt = self.columns.id_column, self.columns.prompt_column
        if id_column not in names:
            raise _of_openai(file, names) or _no_id(file, names, id_column)
        is_named = self.columns.prompt is not None
        # params may be a whole request, which is seen row by row
        has_others = "messages" in names or "params" in names
        if prompt is not None and prompt not in names and (is_named or not has_others):
            lack = "neither a column prompt nor a column messages"
            if is_named:
                lack = f"no column {_shown(prompt)}"
            raise _of_openai(file, names) or _no_prompt(file, names - {id_column}, lack)
        for one in self._read:
            if one.is_needed and one.name not in names:
                like = _closest(names, (one.name,))
                hint = f" Perhaps {like} is meant." if like else ""
                in_template = self.columns.template is not None and one.name in self.columns.template.columns
                where = "--prompt-column, the policy" if in_template else "the policy"
                raise BadInput(
                    f"{file.path} has no column {_shown(one.name)}, {one.role}. It has {_listed(names)}.{hint} Correct "
                    f"{where} or the file; nothing was sent."
                )

    def refuse_others(self, row: dict[str, Any]) -> None:
        """Put an `Unfit` in the place of each value of a row that was JSON, where its column takes no such value."""
        for one in self._read:
            value = row.get(one.name)
            if value is None or isinstance(value, Unfit):
                continue
            plain = value.value if isinstance(value, ParsedJson) else value
            types = {kind for word in one.takes for kind in _IN_JSON.get(word, ())}
            if type(plain) not in types:
                row[one.name] = Unfit(f"holds {_JSON_NAMES[type(plain)]}; it takes {' or '.join(one.takes)}")


_JSON_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _of_openai(file: InputFile, names: AbstractSet[str]) -> BadInput | None:
    if not names >= _OF_OPENAI:
        return None
    return BadInput(
        f"{file.path} has requests in the form of OpenAI's batches (custom_id, method, url, body). Write them in the form "
        "of the Messages API: docs/your-data.md has a script for it; nothing was sent."
    )


def _no_id(file: InputFile, names: AbstractSet[str], id_column: str) -> BadInput:
    lack, options = f"no column {_shown(id_column)}", ("--id-column", "[jobs] id")
    # a column of texts would make bad ids, however much its name is like one
    likely = {name for name in names if _score(name, _IDS) >= _score(name, _PROMPTS)}
    closest = _closest(likely - COLUMNS.keys(), _IDS) or _closest(likely, _IDS)
    others = "" if closest else "; a file without ids gets a column of them first (docs/your-data.md)"
    return _no_column(file, names, lack, options, closest, others)


def _no_prompt(file: InputFile, names: AbstractSet[str], lack: str) -> BadInput:
    closest = _closest(names - COLUMNS.keys(), _PROMPTS) or _closest(names, _PROMPTS)
    return _no_column(file, names, lack, ("--prompt-column", "[jobs] prompt"), closest)


def _no_column(
    file: InputFile,
    names: Collection[str],
    lack: str,
    options: tuple[str, str],
    closest: str | None,
    others: str = "",
) -> BadInput:
    option, field = options
    return BadInput(
        f"{file.path} has {lack}. It has {_listed(names)}. Name the right one: {option} {_quoted(closest or 'NAME')}, or "
        f'{field} = "{closest or "NAME"}" in the policy{others}; nothing was sent.'
    )


def _closest(names: Collection[str], like: Sequence[str]) -> str | None:
    """The name that is most like one of some words; None: none is."""
    scores = {name: _score(name, like) for name in names}
    best = max(sorted(scores), key=lambda name: scores[name], default=None)
    return best if best is not None and scores[best] > 0.5 and best == _shown(best) else None


def _score(name: str, like: Sequence[str]) -> float:
    return max(_likeness(name.lower(), word.lower()) for word in like)


def _likeness(name: str, word: str) -> float:
    """From 0 to 1; a name with the word in it, between other words, is like it."""
    parts = name.replace("-", "_").replace(" ", "_").split("_")
    return max(SequenceMatcher(None, name, word).ratio(), 0.9 if word in parts else 0.0)


def _listed(names: Collection[str]) -> str:
    """The columns of a file, as many as can be read at a glance. Where a header is missing, they are data: so they are cut."""
    shown = sorted(_shown(name) for name in names if name)
    more = f" and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
    return f"the columns {', '.join(shown[:_MOST_SHOWN])}{more}" if shown else "no columns"


def _shown(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
