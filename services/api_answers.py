"""The answers of the API, taken apart: what cannot be read is a failure, never a guess."""

from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from schemas.batch import ProviderBatch
from schemas.failures import MayBeBilled, Transient
from schemas.model_facts import ModelFacts
from schemas.usage import Answer
from services.result_lines import json_or_none, kept_text

#: more than any request can have; a larger number is an error of what counted
_MOST_COUNTED = 10**9


def counted_tokens(raw: bytes) -> int:
    """The figure of an answer of count_tokens.

    Raises:
        Transient: it has none that a request can have.
    """
    try:
        tokens = orjson.loads(raw)["input_tokens"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Transient("the count could not be read") from error
    if not isinstance(tokens, int) or isinstance(tokens, bool) or not 0 <= tokens <= _MOST_COUNTED:
        raise Transient("the count is not a number of tokens")
    return tokens


def paid_answer(raw: bytes, request_id: str | None) -> tuple[Answer, str, str | None]:
    """A paid answer as it is read, as it came, and the id of its request.

    Raises:
        MayBeBilled: it cannot be read; the error has what came.
    """
    try:
        return Answer.model_validate(json_or_none(raw)), raw.decode("utf-8-sig"), request_id
    except (UnicodeDecodeError, ValidationError):
        unread = MayBeBilled(
            "HTTP 200 whose body or usage cannot be read (billing partial)", request_id=request_id
        )
        unread.body = kept_text(raw)
        raise unread from None


def provider_batch(batch: Any) -> ProviderBatch:
    """A batch as the SDK has read it, which validates nothing.

    Raises:
        ValueError: it has no id, so that nobody could ask for it again.
    """
    if not isinstance(batch.id, str) or not batch.id:
        raise ValueError("a batch without an id")
    counts = batch.request_counts.model_dump()
    return ProviderBatch(
        batch.id,
        batch.processing_status == "ended",
        sum(counts.values()),
        counts,
        batch.created_at,
        _moment(batch.expires_at),
        batch.results_url,
        _moment(batch.ended_at),
    )


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def model_facts(name: str, info: Any) -> ModelFacts:
    """What the provider says of a model; what it does not say is None."""
    stated = info.capabilities
    return ModelFacts(
        name,
        info.lifecycle,
        info.retires_at,
        info.max_input_tokens,
        info.max_tokens,
        thinking=_supported(getattr(getattr(stated, "thinking", None), "types", None)),
        efforts=_supported(getattr(stated, "effort", None)),
        images=_stated(stated, "image_input"),
        pdfs=_stated(stated, "pdf_input"),
        batch=_stated(stated, "batch"),
        structured_outputs=_stated(stated, "structured_outputs"),
    )


def _stated(capabilities: Any, name: str) -> bool | None:
    """Whether the provider says that it is supported; answers are not validated, so any part may be missing."""
    supported = getattr(getattr(capabilities, name, None), "supported", None)
    return supported if isinstance(supported, bool) else None


def _supported(choices: Any) -> frozenset[str] | None:
    """The choices that the provider says are supported, by name; None when it speaks of none."""
    names = type(choices).model_fields if isinstance(choices, BaseModel) else ()
    stated = {name: _stated(choices, name) for name in names}
    if all(one is None for one in stated.values()):
        return None
    return frozenset(name for name, one in stated.items() if one)
