"""A row becomes a job, or a rejection with the column and the reason."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

from rules.asked_way import with_way
from rules.identity import refused_fingerprint
from rules.map_row import KEPT
from rules.models import Models
from schemas.job import MAX_GROUP_CHARACTERS, MAX_JOB_ID_CHARACTERS, Job, RejectedRow
from schemas.model_facts import MODEL_NAME, ModelFacts
from schemas.money import NanoUsd, to_nano
from schemas.outcome import Mode
from schemas.payload.api_rules import refusal, sentences
from schemas.payload.exact_json import (
    MAX_DEPTH,
    NO_JSON,
    NOT_A_NUMBER,
    NOT_UTF8,
    Path,
    Unfit,
    exact_json,
    exact_number,
)
from schemas.payload.invalid import InvalidPayload, invalid_at
from schemas.payload.payload import Payload
from schemas.policy import Policy
from schemas.row import Entries, JsonText, ParsedJson, Row
from schemas.run import OWN_WAY, Way

#: the columns that are Messages parameters of the same name, in the order they are sent
_PARAMETER_COLUMNS = (
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "metadata",
    "stop_sequences",
)
_JSON_SHAPES = {"messages": list, "tools": list, "stop_sequences": list}
_INT64 = 2**63
_MOST_USD = 1_000_000
#: under these names stands JSON of the author's own, in which an empty object means something
_OWN_JSON = frozenset({"input", "input_schema", "schema"})
#: objects that may be empty: the input of a call without arguments, the properties of a tool that takes none
_MAY_BE_EMPTY = frozenset({"input", "properties"})
_NO_VALUES = (
    "is a struct without any value, which may be an empty object or none; write the column as JSON text"
)
#: stands for a field that is not there
_ABSENT = object()


def job_from_row(
    row_number: int,
    row: Row,
    default_max_tokens: int,
    others: Mapping[str, Any] = MappingProxyType({}),
    way: Way = OWN_WAY,
) -> Job:
    """The job in one row.

    Args:
        row_number: its place in the input, from 0.
        row: with the columns of a job.
        default_max_tokens: for a row that names none.
        others: further parameters of a row that does not have them itself.
        way: to think, asked for in place of the row's own.

    Raises:
        InvalidPayload: with the column and the reason.
    """
    for column, value in row.items():
        if isinstance(value, Unfit):
            raise InvalidPayload(column, value.reason)
        if isinstance(value, bytes):
            raise InvalidPayload(column, NOT_UTF8.reason)
    job_id = _job_id(row.get("job_id"))
    params = _nested(row, "params") or {}
    others = {**others, "max_tokens": default_max_tokens}
    payload = Payload.checked(with_way(_request(row, params, others), way))
    group = _text(row, "group")
    if group and (len(group) > MAX_GROUP_CHARACTERS or not group.isprintable()):
        raise InvalidPayload("group", f"must be printable text of at most {MAX_GROUP_CHARACTERS} characters")
    return Job(
        row_number=row_number,
        job_id=job_id,
        payload=payload,
        model=_model(row, params),
        max_input_tokens=_whole(row, "max_input_tokens", least=1),
        max_cost=_cost(row.get("max_cost_usd")),
        group=group,
        priority=_whole(row, "priority") or 0,
        kept=row.get(KEPT),
    )


def checked_job(row_number: int, row: Row, policy: Policy, models: Models, way: Way = OWN_WAY) -> Job:
    """The job in one row, which some model that it could go to takes. What the row does not say, the policy does.

    Args:
        row_number: its place in the input, from 0.
        row: its values.
        policy: of the run.
        models: those of the run.
        way: to think, asked for in place of the row's own.

    Raises:
        InvalidPayload: with the column and the reason.
    """
    columns = policy.jobs
    max_tokens = columns.max_tokens or policy.output.default_max_tokens
    try:
        job = job_from_row(row_number, row, max_tokens, columns.request, way)
        if job.model is None:
            job = replace(job, model=columns.model)
        check_models(job, models.for_pin(job.model), policy.mode)
    except InvalidPayload as error:
        raise InvalidPayload(columns.shown(error.column), error.reason) from None
    return job


def check_models(job: Job, models: Sequence[ModelFacts], mode: Mode) -> None:
    """Check that some model a job could go to would take it.

    Args:
        models: all that it could go to; of none, nothing is refused.

    Raises:
        InvalidPayload: with the column, what each model refuses, and what to do about it.
    """
    traits, max_tokens = job.payload.traits, job.payload.max_tokens
    refused = []
    for facts in models:
        why = refusal(traits, max_tokens, facts, mode)
        if why is None:
            return
        refused.append((facts.model, why))
    if refused:
        raise InvalidPayload(refused[0][1].column, sentences(refused))


def rejected_row(row_number: int, row: Row, error: InvalidPayload) -> RejectedRow:
    """The rejection of a row; an id that is over-long or cannot be printed is shown cut."""
    value = row.get("job_id")
    job_id = None
    if isinstance(value, str | int):
        shown = str(value)[:MAX_JOB_ID_CHARACTERS]
        job_id = "".join(c if c.isprintable() else "?" for c in shown) or None
    content = repr(sorted(row.items(), key=lambda item: str(item[0])))
    return RejectedRow(
        row_number,
        job_id,
        error.column,
        error.reason,
        row.get(KEPT),
        refused_fingerprint("row", content),
    )


def _job_id(value: object) -> str:
    if value is None or not (text := str(value)).strip():
        raise InvalidPayload("job_id", "is empty")
    if len(text) > MAX_JOB_ID_CHARACTERS:
        raise InvalidPayload("job_id", f"is {len(text):,} characters long, over {MAX_JOB_ID_CHARACTERS}")
    if not text.isprintable():
        raise InvalidPayload("job_id", "has characters that cannot be printed")
    return text


# --- the request -----------------------------------------------------------------------------------------------


def _request(row: Row, params: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {"messages": _messages(row, params)}
    if _is_whole(row, params):
        params = {name: value for name, value in params.items() if name not in ("messages", "model")}
    for column in _PARAMETER_COLUMNS:
        value = _system(row) if column == "system" else _nested(row, column)
        if value is not None:
            request[column] = value
    max_tokens = _whole(row, "max_tokens")
    if max_tokens is not None:
        request["max_tokens"] = max_tokens
    if twice := request.keys() & params.keys():
        raise InvalidPayload("params", f"names {min(twice)}, which has a column of its own in this row")
    request |= params
    return request | {name: value for name, value in others.items() if name not in request}


def _is_whole(row: Row, params: Mapping[str, Any]) -> bool:
    """Whether the params of a row are a whole request, with its model, as in a line for the provider's own batches."""
    return row.get("prompt") is None and row.get("messages") is None and params.get("messages") is not None


def _model(row: Row, params: Mapping[str, Any]) -> str | None:
    model = _text(row, "model")
    if _is_whole(row, params) and params.get("model") is not None:
        if model:
            raise InvalidPayload("params", "names model, which has a column of its own in this row")
        model = _text(params, "model") or ""
    if model is not None and not MODEL_NAME.fullmatch(model):
        raise InvalidPayload("model", "is not a model id")
    return model


def _messages(row: Row, params: Mapping[str, Any]) -> Any:
    if _is_whole(row, params):
        return params["messages"]
    prompt, messages = row.get("prompt"), _nested(row, "messages")
    if prompt is not None and messages is not None:
        raise InvalidPayload("messages", "stands next to a prompt; give one of the two")
    if prompt is not None:
        return [{"role": "user", "content": prompt}]
    if messages is None:
        raise InvalidPayload("messages", "is empty, and so is prompt")
    return messages


def _nested(row: Row, column: str) -> Any:
    """A column's JSON text or Arrow value as plain JSON of the right outer shape; None: it has none."""
    value = row.get(column)
    if value is None:
        return None
    if isinstance(value, JsonText):
        value = value.text
    if isinstance(value, ParsedJson):
        value = _given(value.value)
    else:
        value = exact_json(column, value) if isinstance(value, str) else _plain(value, (column,))
    if value is _ABSENT:
        return None
    shape = _JSON_SHAPES.get(column, dict)
    if not isinstance(value, shape):
        raise InvalidPayload(column, f"must be {'a list' if shape is list else 'an object'}")
    return value


def _system(row: Row) -> Any:
    """A system text; or system blocks, nested or as JSON text that is a list of objects."""
    value = row.get("system")
    if isinstance(value, JsonText):
        return exact_json("system", value.text)
    if isinstance(value, ParsedJson):
        blocks = _given(value.value)
        return None if blocks is _ABSENT else blocks
    if not isinstance(value, str):
        blocks = _plain(value, ("system",))
        return None if blocks is _ABSENT else blocks
    if not value.lstrip().startswith("[{"):
        return value
    try:
        blocks = exact_json("system", value)
    except InvalidPayload:
        return value
    return blocks if all(isinstance(block, dict) and "type" in block for block in blocks) else value


def _plain(value: Any, path: Path) -> Any:
    """An Arrow value as JSON, without the fields that its struct type has and this row does not have.

    Raises:
        InvalidPayload: with the place of what JSON cannot carry.
    """
    plain: Any
    match value:
        case None | bool() | int() | str():
            plain = value
        case dict():
            plain = _plain_struct(value, path)
        case list():
            plain = [_plain_item(item, (*path, at)) for at, item in enumerate(value)]
        case Entries():
            plain = {name: _plain_item(item, (*path, name)) for name, item in value.values.items()}
        case JsonText():
            plain = exact_json(str(path[0]), value.text)
        case float():
            plain = value if math.isfinite(value) else NOT_A_NUMBER
        case Decimal():
            plain = exact_number(value)
        case _:
            plain = value if isinstance(value, Unfit) else NO_JSON
    if isinstance(plain, Unfit):
        raise invalid_at(path, plain.reason)
    return plain


def _plain_struct(struct: dict[str, Any], path: Path) -> Any:
    """A struct's fields that have a value. One without any is not there either, if that is what it must mean.

    A writer that knows no missing structs writes one whose fields are all null; the API knows no object of its own
    that may be empty. In JSON of the author's own, it may mean something.
    """
    fields = {}
    for name, item in struct.items():
        if item is not None:
            inside = _plain(item, (*path, name))
            if inside is not _ABSENT:
                fields[name] = inside
    if str(fields.get("type", "")).endswith("tool_use") and struct.get("input") is not None:
        fields.setdefault("input", {})
    if fields or not struct:
        return fields
    if path[-1] in _MAY_BE_EMPTY and _OWN_JSON.intersection(path[:-1]):
        return {}
    if _OWN_JSON.intersection(path[:-1]):
        raise invalid_at(path, _NO_VALUES)
    return _ABSENT


def _given(value: Any, depth: int = 0) -> Any:
    """JSON without the fields that are null, which is how others write the missing fields of a struct as JSON Lines.

    In JSON of the author's own nothing is left out; neither is it deeper down than any request goes.
    """
    if depth > MAX_DEPTH or not isinstance(value, dict | list):
        return value
    if isinstance(value, list):
        items = [_given(item, depth + 1) for item in value]
        return [Unfit(_NO_VALUES) if item is _ABSENT else item for item in items]
    fields = {}
    for name, item in value.items():
        inside = item
        if name not in _OWN_JSON:
            inside = _given(item, depth + 1)
        if inside is not None and inside is not _ABSENT:
            fields[name] = inside
    return fields if fields or not value else _ABSENT


def _plain_item(value: Any, path: Path) -> Any:
    """An item of a list or a map, which is there whatever it holds."""
    plain = _plain(value, path)
    if plain is _ABSENT:
        raise invalid_at(path, _NO_VALUES)
    return plain


# --- limits and names ------------------------------------------------------------------------------------------


def _whole(row: Row, column: str, least: int | None = None) -> int | None:
    value = row.get(column)
    if value is None or (
        isinstance(value, float) and math.isnan(value)
    ):  # how pandas writes a missing integer
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidPayload(column, "is not a whole number")
    if not -_INT64 <= value < _INT64:
        raise InvalidPayload(column, "is too large")
    if least is not None and value < least:
        raise InvalidPayload(column, f"is {value}, must be at least {least}")
    return value


def _cost(value: object) -> NanoUsd | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        usd = Decimal(str(value))
    except InvalidOperation:
        raise InvalidPayload("max_cost_usd", "is not an amount") from None
    if not usd.is_finite() or usd < 0 or usd > _MOST_USD:
        raise InvalidPayload("max_cost_usd", f"must lie between 0 and {_MOST_USD:,} USD")
    return to_nano(usd)


def _text(row: Row, column: str) -> str | None:
    value = row.get(column)
    return value.strip() or None if isinstance(value, str) else None
