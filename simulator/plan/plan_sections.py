"""The sections of a plan: how slow answers are, the limits, and what becomes of messages and batches."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.answers.refusals import NO_CATEGORY, AnsweredRefusal
from simulator.billing.catalogue import find_model
from simulator.plan.chances import chance

#: statuses whose error type may stand in a batch's results. Source: SDK 2.12.0, `ErrorObject`.
ITEM_STATUSES = (400, 401, 402, 403, 404, 429, 500, 504, 529)

#: a batch expires 24 hours after its creation. Source: Anthropic docs, "Batch processing" (2026-10-08).
LIFETIME_SECONDS = 86_400.0

#: categories of a planned refusal; "none" is a category of null
RefusalCategory = Literal["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms", "none"]

Seconds = Annotated[float, Field(ge=0, le=86_400)]
PerMinute = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, le=1)]


#: what the id of a workspace looks like. Source: SDK 2.12.0, docstring of `workspace_id`.
WorkspaceId = Annotated[str, Field(pattern=r"^wrkspc_[A-Za-z0-9_]{1,64}$")]


class PlanPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Latency(PlanPart):
    """How long answers take.

    Attributes:
        count_seconds: before the answer of every other endpoint.
        message_seconds: before the answer of Messages.
        jitter: largest deviation of one latency, as a fraction of it (0 to 1).
    """

    count_seconds: Seconds = 0.0
    message_seconds: Seconds = 0.0
    jitter: float = Field(default=0.0, ge=0, le=1)


class ModelRatePlan(PlanPart):
    """Limits that some models share, besides those of the endpoint. One that is left out does not bind.

    Attributes:
        models: ids or aliases.
        requests_per_minute: enforced per second.
        input_tokens_per_minute: of uncached input and of what is written to the cache.
        output_tokens_per_minute: of what is written, thinking included.
    """

    models: tuple[str, ...] = Field(min_length=1)
    requests_per_minute: PerMinute | None = None
    input_tokens_per_minute: PerMinute | None = None
    output_tokens_per_minute: PerMinute | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in self.models:
            if find_model(name) is None:
                raise ValueError(f"there is no model {name}")
        limits = (self.requests_per_minute, self.input_tokens_per_minute, self.output_tokens_per_minute)
        if limits == (None, None, None):
            raise ValueError("state requests, input tokens or output tokens per minute")
        return self


class Limits(PlanPart):
    """Requests per minute, enforced per second with a burst of one second's worth.

    Attributes:
        messages_per_minute: limit of Messages.
        count_per_minute: limit of count_tokens; independent of the others, as on the API.
        batches_per_minute: limit shared by all batch endpoints.
        queued_batch_requests: most requests in batches that have not ended; a create beyond it is a 429.
            Source: Anthropic docs, "Rate limits" (2026-10-08), tier Scale.
        models: limits of Messages by model.
    """

    messages_per_minute: int = Field(default=60_000, ge=1)
    count_per_minute: int = Field(default=60_000, ge=1)
    batches_per_minute: int = Field(default=60_000, ge=1)
    queued_batch_requests: int = Field(default=500_000, ge=1)
    models: tuple[ModelRatePlan, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [find_model(name) for limits in self.models for name in limits.models]
        if len(set(map(id, names))) < len(names):
            raise ValueError("a model is under two limits")
        return self


class _Refusals(PlanPart):
    """Which requests are refused by the model, and how; the same options for Messages and batches."""

    refusal_probability: Probability = 0.0
    refusal_categories: tuple[RefusalCategory, ...] = Field(default=("cyber",), min_length=1)
    refusal_before_output: Probability = 0.0

    def refusal(self, seed: int, name: str) -> AnsweredRefusal | None:
        """The refusal that is planned for one request.

        Args:
            seed: the plan's seed.
            name: what tells the request from others; with the seed it decides alone.

        Returns:
            the refusal, or None.
        """
        if not self.refusal_probability or chance(seed, "refusal", name) >= self.refusal_probability:
            return None
        position = int(chance(seed, "category", name) * len(self.refusal_categories))
        category = self.refusal_categories[position]
        return AnsweredRefusal(
            category=None if category == NO_CATEGORY else category,
            before_output=chance(seed, "before", name) < self.refusal_before_output,
        )


class MessagePlan(_Refusals):
    """What becomes of accepted messages.

    A refusal follows from the seed and the payload, so that the same request is refused again.

    Attributes:
        refusal_probability: share of messages that stop with "refusal".
        refusal_categories: their categories, all as likely: of `refusals.CATEGORIES`, or "none" for null.
        refusal_before_output: share of the refusals that come before any output; the others come in
            mid-stream. `AnsweredRefusal.billed` says which are paid for.
    """


class PromptCachePlan(PlanPart):
    """What becomes of requests that the prompt cache could serve.

    Attributes:
        batch_hit_rate: share of the requests inside of batches that read what the cache holds for them; the others
            pay for writing it. None: all of them read. The range is that of Anthropic's docs, "Batch processing"
            (2026-10-08), for hits in batches.
    """

    batch_hit_rate: Annotated[float, Field(ge=0.30, le=0.98)] | None = None


class BatchPlan(_Refusals):
    """What becomes of Message Batches and of the requests in them.

    A request's own fate follows from the seed and its custom_id, a batch's from the seed and its number in
    the run, so that the same run ends the same way.

    Attributes:
        processing_seconds: from a batch's creation to its end.
        jitter: largest deviation of one batch's processing, as a fraction of it (0 to 1).
        errored_probability: share of valid requests that end as errored. Invalid ones always do.
        errored_status: HTTP status whose error type those carry.
        expired_probability: share of valid requests that end as expired.
        refusal_probability: share of the succeeded ones that stop with "refusal".
        refusal_categories: as for `MessagePlan`.
        refusal_before_output: as for `MessagePlan`.
        expire_after_seconds: when a batch expires; None for the API's 24 hours. A batch whose processing
            takes longer ends then, and the requests it had not got to (evenly spread) end as expired.
        expire_batches_probability: share of batches that get stuck: they end when they expire, and every
            request in them as expired. Needs `expire_after_seconds`.
        cancel_seconds: from a cancellation to the end of the batch, unless it ends earlier anyway.
        cancel_completes_probability: share of a canceled batch's requests that end as they would have.
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
