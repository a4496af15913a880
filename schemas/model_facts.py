"""What the provider says of a model. Source: GET /v1/models."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Lifecycle = Literal["active", "deprecated", "retired"]

#: what a model id or alias looks like; anything else names no model
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model. What the provider does not state is None.

    Attributes:
        model: its id.
        lifecycle: a retired model is not called; a deprecated one still answers.
        retires_at: when it stops answering.
        max_input_tokens: its context window, in tokens.
        max_tokens: the largest max_tokens it takes.
        thinking: the values of `thinking.type` it takes.
        efforts: the values of `output_config.effort` it takes.
        images: whether it takes images.
        pdfs: whether it takes PDFs.
        batch: whether it answers in Message Batches.
        structured_outputs: whether it takes `output_config.format`.
    """

    model: str
    lifecycle: Lifecycle
    retires_at: datetime | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    thinking: frozenset[str] | None = None
    efforts: frozenset[str] | None = None
    images: bool | None = None
    pdfs: bool | None = None
    batch: bool | None = None
    structured_outputs: bool | None = None
