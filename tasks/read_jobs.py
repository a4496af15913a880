"""Read: Parquet rows become jobs on record, or rejections with the column and the reason."""

import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from schemas.job import MAX_GROUP_CHARACTERS, MAX_JOB_ID_CHARACTERS, Job, RejectedRow
from schemas.model_facts import MODEL_NAME, ModelFacts
from schemas.money import to_nano
from schemas.outcome import Mode
from schemas.payload.api_rules import refusal, sentences
from schemas.payload.payload import InvalidPayload, Payload
from services.job_file import JobFile
from services.ledger import jobs, reviews
from tasks.run import Run
from tasks.step import step

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


def job_from_row(row_number: int, row: dict[str, Any], default_max_tokens: int) -> Job:
    """The job in one row.

    Args:
        row_number: its place in the input, from 0.
        row: column values; nested values as lists and dicts, whose null fields vanish.
        default_max_tokens: for a row that names none.

    Raises:
        InvalidPayload: with the column and the reason.
    """
    for column, value in row.items():
        if isinstance(value, bytes):
            raise InvalidPayload(column, "is not valid UTF-8 text")
    job_id = _job_id(row.get("job_id"))
    request = _request(row, default_max_tokens)
    payload = Payload.checked(request)
    group = _text(row, "group")
    if group and (len(group) > MAX_GROUP_CHARACTERS or not group.isprintable()):
        raise InvalidPayload("group", f"must be printable text of at most {MAX_GROUP_CHARACTERS} characters")
    model = _text(row, "model")
    if model and not MODEL_NAME.fullmatch(model):
        raise InvalidPayload("model", "is no model id")
    return Job(
        row_number=row_number,
        job_id=job_id,
        payload=payload,
        model=model,
        max_input_tokens=_whole(row, "max_input_tokens", least=1),
        max_cost=_cost(row.get("max_cost_usd")),
        group=group,
        priority=_whole(row, "priority") or 0,
    )


def check_models(job: Job, models: Sequence[ModelFacts], mode: Mode) -> None:
    """Check that some model a job could go to would take it.

    Args:
        job: the job.
        models: all that it could go to; none of them refuses nothing.
        mode: how it would be called.

    Raises:
        InvalidPayload: with the column, what each model refuses, and the mend.
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


def _job_id(value: object) -> str:
    if value is None or not (text := str(value)).strip():
        raise InvalidPayload("job_id", "is empty")
    if len(text) > MAX_JOB_ID_CHARACTERS:
        raise InvalidPayload("job_id", f"is {len(text):,} characters long, over {MAX_JOB_ID_CHARACTERS}")
    if not text.isprintable():
        raise InvalidPayload("job_id", "has characters that cannot be printed")
    return text


def _request(row: dict[str, Any], default_max_tokens: int) -> dict[str, Any]:
    request: dict[str, Any] = {"messages": _messages(row)}
    for column in _PARAMETER_COLUMNS:
        if (value := row.get(column)) is not None:
            request[column] = _system(value) if column == "system" else _nested(column, value)
    max_tokens = _whole(row, "max_tokens")
    if max_tokens is not None:
        request["max_tokens"] = max_tokens
    if (params := row.get("params")) is not None:
        more = _nested("params", params)
        if twice := request.keys() & more.keys():
            raise InvalidPayload("params", f"names {min(twice)}, which has a column of its own in this row")
        request |= more
    request.setdefault("max_tokens", default_max_tokens)
    return request


def _messages(row: dict[str, Any]) -> Any:
    prompt, messages = row.get("prompt"), row.get("messages")
    if prompt is not None and messages is not None:
        raise InvalidPayload("messages", "stands beside a prompt; give one of the two")
    if prompt is not None:
        return [{"role": "user", "content": prompt}]
    if messages is None:
        raise InvalidPayload("messages", "is empty, and so is prompt")
    return _nested("messages", messages)


def _nested(column: str, value: Any) -> Any:
    """A column's JSON text or Arrow value as plain JSON of the right outer shape."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise InvalidPayload(column, f"is not valid JSON (near character {error.pos})") from None
        except UnicodeEncodeError:
            raise InvalidPayload(column, "has lone surrogates") from None
    else:
        value = _without_nulls(value)
    shape = _JSON_SHAPES.get(column, dict)
    if not isinstance(value, shape):
        raise InvalidPayload(column, f"must be {'a list' if shape is list else 'an object'}")
    return value


def _system(value: Any) -> Any:
    """A system text; or system blocks, nested or as JSON text that is a list of objects."""
    if not isinstance(value, str):
        return _without_nulls(value)
    if value.lstrip().startswith("[{"):
        try:
            blocks = orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
        return blocks if all(isinstance(block, dict) and "type" in block for block in blocks) else value
    return value


def _without_nulls(value: Any) -> Any:
    """An Arrow value without the fields that its struct type has and this row has not."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidPayload("messages", "has a number that is no number")
    return value


def _whole(row: dict[str, Any], column: str, least: int | None = None) -> int | None:
    value = row.get(column)
    if value is None or (
        isinstance(value, float) and math.isnan(value)
    ):  # pandas writes a missing integer so
        return None
    if isinstance(value, float) and not value.is_integer():
        raise InvalidPayload(column, "is not a whole number")
    if not -_INT64 <= (number := int(value)) < _INT64:
        raise InvalidPayload(column, "is too large")
    if least is not None and number < least:
        raise InvalidPayload(column, f"is {number}, must be at least {least}")
    return number


def _cost(value: object) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        usd = Decimal(str(value))
    except InvalidOperation:
        raise InvalidPayload("max_cost_usd", "is not an amount") from None
    if not usd.is_finite() or usd < 0 or usd > 1_000_000:
        raise InvalidPayload("max_cost_usd", "must lie between 0 and 1,000,000 USD")
    return to_nano(usd)


def _text(row: dict[str, Any], column: str) -> str | None:
    value = row.get(column)
    return value.strip() or None if isinstance(value, str) else None


@step
def read_jobs(run: Run, file: JobFile, limit: int | None, *, resubmit_approved: bool = False) -> int:
    """Put every row of the file on record, a batch at a time; how many jobs are to be weighed.

    What people decided about a job holds: a rejected one stays rejected, and an approved one may pass its limits
    where this run sends what was approved.

    Args:
        run: the run.
        file: its checked job file.
        limit: only this many rows from the start; None: all.
        resubmit_approved: whether this run sends what was approved.
    """
    row_number = waiting = 0
    for batch in file.batches(limit):
        read: list[Job] = []
        rejected: list[RejectedRow] = []
        for row in batch:
            try:
                job = job_from_row(row_number, row, run.policy.output.default_max_tokens)
                check_models(job, run.models.for_pin(job.model), run.policy.mode)
                read.append(job)
            except InvalidPayload as error:
                rejected.append(RejectedRow(row_number, _printable_id(row), error.column, error.reason))
            row_number += 1
        weighed, ended = reviews.apply_decisions(run.ledger, read, resubmit_approved=resubmit_approved)
        waiting += jobs.add(run.ledger, run.run_id, weighed, rejected, ended)
    return waiting


def _printable_id(row: dict[str, Any]) -> str | None:
    """The id to show beside a rejection; an over-long or broken one is shown cut."""
    value = row.get("job_id")
    if value is None or isinstance(value, bytes):
        return None
    return "".join(c if c.isprintable() else "?" for c in str(value)[:MAX_JOB_ID_CHARACTERS]) or None
