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
    batches_per_minute = 4_000
    queued_batch_requests = 500_000

    [messages]                    # what becomes of accepted messages; see `Messages`
    refusal_probability = 0.05
    refusal_categories = ["bio", "none"]
    refusal_before_output = 0.5

    [batches]                     # what becomes of Message Batches; see `Batches`
    processing_seconds = 2
    errored_probability = 0.01

    [[faults]]
    endpoint = "messages"         # see `EndpointName`
    kind = "status"
    status = 529
    probability = 0.05

    [[faults]]
    endpoint = "messages"
    kind = "cut_after"            # billed, and the connection is cut before the answer
    match = "order 4711"          # aims at requests whose bytes contain this text
    first_n = 1

    [[faults]]
    endpoint = "batches_results"
    kind = "cut_results"          # the connection is cut midway through the lines
    fraction = 0.3
    every_nth = 2

A fault counts the requests it is aimed at; it strikes when all of `probability`, `first_n` and `every_nth`
that it states agree. Faults are asked in the order of the file and the first that strikes is the only
one; those after it do not count that request. Only requests that would otherwise be accepted are asked
about.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from simulator.answers.chances import chance
from simulator.answers.refusals import NO_CATEGORY, Refusal
from simulator.http.api_errors import ERROR_TYPES

EndpointName = Literal[
    "messages", "count_tokens", "models", "usage_report", "cost_report",
    "batches_create", "batches_retrieve", "batches_list", "batches_results", "batches_cancel", "batches_delete",
]  # fmt: skip
"""What faults are aimed at and the statistics count under."""

FaultKind = Literal[
    "status", "hang", "cut_before", "cut_after", "malformed_body", "usage_missing", "spend_cap",
    "cut_results", "end_results_early", "repeat_results",
]  # fmt: skip

RESULT_FAULTS: frozenset[FaultKind] = frozenset({"cut_results", "end_results_early", "repeat_results"})
"""Kinds that spoil the lines of a batch's results, and nothing else."""

ITEM_STATUSES = (400, 401, 402, 403, 404, 429, 500, 504, 529)
"""Statuses whose error type may stand in a batch's results. Source: SDK 2.12.0, `ErrorObject`."""

LIFETIME_SECONDS = 86_400.0
"""A batch expires 24 hours after its creation. Source: Anthropic docs, "Batch processing" (2026-10-08)."""

RefusalCategory = Literal["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms", "none"]
"""Categories of a planned refusal; "none" is a category of null."""

Seconds = Annotated[float, Field(ge=0, le=86_400)]
Probability = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Latency(_Part):
    """How long answers take.

    Args:
        count_seconds: Before the answer of every other endpoint.
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
        count_per_minute: Limit of count_tokens; independent of the others, as on the API.
        batches_per_minute: Limit shared by all batch endpoints.
        queued_batch_requests: Most requests in batches that have not ended; a create beyond it is a 429.
            Source: Anthropic docs, "Rate limits" (2026-10-08), tier Scale.
    """

    messages_per_minute: int = Field(default=60_000, ge=1)
    count_per_minute: int = Field(default=60_000, ge=1)
    batches_per_minute: int = Field(default=60_000, ge=1)
    queued_batch_requests: int = Field(default=500_000, ge=1)


class _Refusals(_Part):
    """Which requests are refused by the model, and how; the same options for Messages and batches."""

    refusal_probability: Probability = 0.0
    refusal_categories: tuple[RefusalCategory, ...] = Field(default=("cyber",), min_length=1)
    refusal_before_output: Probability = 0.0

    def refusal(self, seed: int, name: str) -> Refusal | None:
        """The refusal that is planned for one request.

        Args:
            seed: The plan's seed.
            name: What tells the request from others; with the seed it decides alone.

        Returns:
            The refusal, or None.
        """
        if not self.refusal_probability or chance(seed, "refusal", name) >= self.refusal_probability:
            return None
        position = int(chance(seed, "category", name) * len(self.refusal_categories))
        category = self.refusal_categories[position]
        return Refusal(
            category=None if category == NO_CATEGORY else category,
            before_output=chance(seed, "before", name) < self.refusal_before_output,
        )


class Messages(_Refusals):
    """What becomes of accepted messages.

    A refusal follows from the seed and the payload, so that the same request is refused again.

    Args:
        refusal_probability: Share of messages that stop with "refusal".
        refusal_categories: Their categories, all as likely: of `refusals.CATEGORIES`, or "none" for null.
        refusal_before_output: Share of the refusals that come before any output; the others come in
            mid-stream. `Refusal.billed` says which are paid for.
    """


class Batches(_Refusals):
    """What becomes of Message Batches and of the requests in them.

    A request's own fate follows from the seed and its custom_id, a batch's from the seed and its number in
    the run, so that the same run ends the same way.

    Args:
        processing_seconds: From a batch's creation to its end.
        jitter: Largest deviation of one batch's processing, as a fraction of it (0 to 1).
        errored_probability: Share of valid requests that end as errored. Invalid ones always do.
        errored_status: HTTP status whose error type those carry.
        expired_probability: Share of valid requests that end as expired.
        refusal_probability: Share of the succeeded ones that stop with "refusal".
        refusal_categories: As for `Messages`.
        refusal_before_output: As for `Messages`.
        expire_after_seconds: When a batch expires; None for the API's 24 hours. A batch whose processing
            takes longer ends then, and the requests it had not got to (evenly spread) end as expired.
        expire_batches_probability: Share of batches that get stuck: they end when they expire, and every
            request in them as expired. Needs `expire_after_seconds`.
        cancel_seconds: From a cancellation to the end of the batch, unless it ends earlier anyway.
        cancel_completes_probability: Share of a canceled batch's requests that end as they would have.
    """

    processing_seconds: Seconds = 0.5
    jitter: Probability = 0.0
    errored_probability: Probability = 0.0
    errored_status: int = 500
    expired_probability: Probability = 0.0
    expire_after_seconds: Seconds | None = None
    expire_batches_probability: Probability = 0.0
    cancel_seconds: Seconds = 0.1
    cancel_completes_probability: Probability = 0.1

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.errored_status not in ITEM_STATUSES:
            raise ValueError(f"errored_status {self.errored_status} is not one of {list(ITEM_STATUSES)}")
        if self.errored_probability + self.expired_probability > 1:
            raise ValueError("errored_probability and expired_probability are more than 1 together")
        if self.expire_batches_probability and self.expire_after_seconds is None:
            raise ValueError("`expire_batches_probability` needs `expire_after_seconds`")
        return self

    @property
    def lifetime(self) -> float:
        """Seconds after which a batch expires."""
        return LIFETIME_SECONDS if self.expire_after_seconds is None else self.expire_after_seconds


class Fault(_Part):
    """One thing that goes wrong.

    Args:
        endpoint: Where it strikes.
        kind: "status" answers an error status; "hang" bills, sleeps and then answers; "cut_before" cuts
            the connection without accepting; "cut_after" bills and then cuts it; "malformed_body" bills
            and answers 200 with half a body; "usage_missing" bills and answers 200 without the numbers;
            "spend_cap" answers the 429 of a reached monthly spend cap. For batches read "does what was
            asked" for "bills": after "cut_after" on a create the batch is there and its answer is lost.
            Only for "batches_results": "cut_results" cuts the connection within a line;
            "end_results_early" ends the body cleanly after a line; "repeat_results" sends the first lines
            once more at the end.
        status: For "status": the HTTP status.
        retry_after: For "status": seconds in the `retry-after` header; without it there is no header.
        seconds: For "hang": seconds to sleep.
        probability: Strikes with this probability, decided by the seed and the request's number.
        first_n: Strikes the first n requests it is aimed at.
        every_nth: Strikes every nth request it is aimed at.
        fraction: For the kinds of "batches_results": the part of the lines that is sent whole before the
            cut or the early end, or that is sent twice; 0.5 unless told.
        match: Aims at requests whose body bytes (without a body: whose path) contain this text.
    """

    endpoint: EndpointName
    kind: FaultKind
    status: int | None = None
    retry_after: int | None = Field(default=None, ge=0)
    seconds: Seconds | None = None
    probability: Probability | None = None
    first_n: int | None = Field(default=None, ge=1)
    every_nth: int | None = Field(default=None, ge=1)
    fraction: Probability | None = None
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
        if self.fraction is not None and self.kind not in RESULT_FAULTS:
            raise ValueError(f"`fraction` belongs to the kinds {sorted(RESULT_FAULTS)}")
        if self.kind in RESULT_FAULTS and self.endpoint != "batches_results":
            raise ValueError(f'kind "{self.kind}" belongs to the endpoint "batches_results"')
        if self.kind == "usage_missing" and self.endpoint.startswith("batches"):
            raise ValueError('kind "usage_missing" belongs to "messages" and "count_tokens"')
        if all(value is None for value in (self.probability, self.first_n, self.every_nth, self.match)):
            raise ValueError("say when: probability, first_n, every_nth or match")
        return self


class Plan(_Part):
    """Everything a simulator run is told beforehand.

    Args:
        seed: Decides probabilities and jitter.
        latency: How long answers take.
        limits: Requests per minute.
        messages: What becomes of accepted messages.
        batches: What becomes of Message Batches.
        faults: What goes wrong, asked in this order.
    """

    seed: int = 0
    latency: Latency = Latency()
    limits: Limits = Limits()
    messages: Messages = Messages()
    batches: Batches = Batches()
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
