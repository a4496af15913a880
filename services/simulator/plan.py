"""The plan of a simulator run: how slow it is, how much it lets through, and what goes wrong when.

A plan is a TOML file:

    seed = 7                      # decides every probability and every jitter

    [latency]                     # seconds before an answer
    count_seconds = 0.02
    message_seconds = 0.5
    jitter = 0.2                  # each latency is within this fraction of its value

    [limits]                      # requests per minute, enforced per second
    messages_per_minute = 4_000
    count_per_minute = 8_000

    [[faults]]
    endpoint = "messages"         # messages | count_tokens | models
    kind = "status"
    status = 529
    probability = 0.05

    [[faults]]
    endpoint = "messages"
    kind = "cut_after"            # billed, and the connection is cut before the answer
    match = "order 4711"          # aims at requests whose bytes contain this text
    first_n = 1

A fault counts the requests it is aimed at; it strikes when all of `probability`, `first_n` and `every_nth`
that it states agree. Faults are asked in the order of the file and the first that strikes is the only
one; those after it do not count that request. Only requests that would otherwise be accepted are asked
about.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.simulator.errors import ERROR_TYPES

FaultKind = Literal[
    "status", "hang", "cut_before", "cut_after", "malformed_body", "usage_missing", "spend_cap"
]

BILLED_FAULTS: frozenset[FaultKind] = frozenset({"hang", "cut_after", "malformed_body", "usage_missing"})
"""Kinds that strike a message after it was accepted and billed; the others strike before."""

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Latency(_Part):
    """How long answers take.

    Args:
        count_seconds: Before the answer of count_tokens and models.
        message_seconds: Before the answer of Messages.
        jitter: Largest deviation of one latency, as a fraction of it (0 to 1).
    """

    count_seconds: Seconds = 0.0
    message_seconds: Seconds = 0.0
    jitter: float = Field(default=0.0, ge=0, le=1)


class Limits(_Part):
    """Requests per minute, enforced per second with a burst of one second's worth.

    Args:
        messages_per_minute: Limit of Messages.
        count_per_minute: Limit of count_tokens; independent of the other, as on the API.
    """

    messages_per_minute: int = Field(default=60_000, ge=1)
    count_per_minute: int = Field(default=60_000, ge=1)


class Fault(_Part):
    """One thing that goes wrong.

    Args:
        endpoint: Where it strikes.
        kind: "status" answers an error status; "hang" bills, sleeps and then answers; "cut_before" cuts
            the connection without accepting; "cut_after" bills and then cuts it; "malformed_body" bills
            and answers 200 with half a body; "usage_missing" bills and answers 200 without the numbers;
            "spend_cap" answers the 429 of a reached monthly spend cap.
        status: For "status": the HTTP status.
        retry_after: For "status": seconds in the `retry-after` header; without it there is no header.
        seconds: For "hang": seconds to sleep.
        probability: Strikes with this probability, decided by the seed and the request's number.
        first_n: Strikes the first n requests it is aimed at.
        every_nth: Strikes every nth request it is aimed at.
        match: Aims at requests whose body bytes (for models: whose path) contain this text.
    """

    endpoint: Literal["messages", "count_tokens", "models"]
    kind: FaultKind
    status: int | None = None
    retry_after: int | None = Field(default=None, ge=0)
    seconds: Seconds | None = None
    probability: float | None = Field(default=None, ge=0, le=1)
    first_n: int | None = Field(default=None, ge=1)
    every_nth: int | None = Field(default=None, ge=1)
    match: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.kind == "status") != (self.status is not None):
            raise ValueError('`status` belongs to kind "status", which needs it')
        if self.status is not None and self.status not in ERROR_TYPES:
            raise ValueError(f"status {self.status} is not one of {sorted(ERROR_TYPES)}")
        if self.retry_after is not None and self.kind != "status":
            raise ValueError('`retry_after` belongs to kind "status"')
        if (self.kind == "hang") != (self.seconds is not None):
            raise ValueError('`seconds` belongs to kind "hang", which needs it')
        if all(value is None for value in (self.probability, self.first_n, self.every_nth, self.match)):
            raise ValueError("say when: probability, first_n, every_nth or match")
        return self


class Plan(_Part):
    """Everything a simulator run is told beforehand.

    Args:
        seed: Decides probabilities and jitter.
        latency: How long answers take.
        limits: Requests per minute.
        faults: What goes wrong, asked in this order.
    """

    seed: int = 0
    latency: Latency = Latency()
    limits: Limits = Limits()
    faults: tuple[Fault, ...] = ()


class PlanError(ValueError):
    """A plan file that cannot be used; the message names the file, the place and the reason."""


def read_plan(path: str | Path | None) -> Plan:
    """Reads a plan file.

    Args:
        path: TOML file; None for the plan in which nothing goes wrong.

    Returns:
        The plan.

    Raises:
        PlanError: If the file cannot be read, is not TOML, or does not fit.
    """
    if path is None:
        return Plan()
    try:
        return Plan.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path}: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'plan'}: {item['msg']}" for item in error.errors()
        )
        raise PlanError(f"{path}: {problems}") from error
