"""The scale: what jobs are weighed and priced with, in a run or for one edit of a review."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from rules.caps import day_caps
from rules.estimate import cost_at, estimated
from rules.job_quote import JobQuote, job_quote
from rules.lesson import Lesson, LessonKey
from rules.limits import job_limits
from rules.models import Models
from rules.prices import PriceCard, Unpriced
from rules.route import Demand
from schemas.budget import DayCaps
from schemas.estimate import Estimate
from schemas.job import QueuedJob
from schemas.money import NanoUsd
from schemas.outcome import Method, Mode
from schemas.policy import Policy
from schemas.policy_sections import Route
from schemas.review import JobLimits


def now_utc() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Scale:
    """The policy, the models that may be called and their prices, and what was learned of earlier bills.

    Attributes:
        lesson_of: the lesson about a model, a class of payloads and an effort.
        clock: the moment of a call; its UTC day's prices hold.
    """

    policy: Policy
    models: Models
    lesson_of: Callable[[LessonKey], Lesson]
    clock: Callable[[], datetime] = now_utc

    def at_full_price(self) -> "Scale":
        """The same scale for what can wait for no batch: it goes out in Messages mode, at its prices."""
        return replace(self, policy=self.policy.model_copy(update={"mode": Mode.MESSAGES}))

    def today(self, run_id: str) -> DayCaps:
        """The budget day of a call that leaves now, with its caps for a run."""
        return day_caps(self.policy, run_id, self.clock())

    def estimate(self, job: QueuedJob) -> Estimate:
        """The estimate of a routed job.

        Raises:
            Unpriced: it asks for something that has no price.
        """
        model = job.model or ""
        cards = self._cards(model)
        return estimated(job, self.policy, cards, self.lesson_of(LessonKey.of(model, job.traits)))

    def quote(self, job: QueuedJob) -> JobQuote:
        """The quote of a routed job: its estimate, and how far its cost may lie from it.

        Raises:
            Unpriced: it asks for something that has no price.
        """
        model = job.model or ""
        cards, lesson = self._cards(model), self.lesson_of(LessonKey.of(model, job.traits))
        return job_quote(job, self.policy, cards, lesson)

    def cost(self, job: QueuedJob, output_tokens: int) -> NanoUsd:
        """What a routed job costs at its counted input and this output, at today's price.

        Raises:
            Unpriced: it asks for something that has no price.
        """
        return cost_at(job, self.policy, self._cards(job.model or "")[0], output_tokens)

    def _cards(self, model: str) -> list[PriceCard]:
        """The prices of a model on each UTC day that an attempt admitted now may be billed on, today's first.

        A message leaves today or, after a wait for its turn, tomorrow; what has no price then is not sent any more. A
        batch is answered within 24 hours of its creation, so its last day is the one after tomorrow, and what has no
        price on one of its days is not admitted.

        Raises:
            Unpriced: no price is known on a day that it may surely be billed on.
        """
        now = self.clock()
        cards = [self.models.price_card(model, now)]
        if self.policy.mode is Mode.BATCHES:
            return cards + [self.models.price_card(model, now + timedelta(days)) for days in (1, 2)]
        with suppress(Unpriced):
            cards.append(self.models.price_card(model, now + timedelta(1)))
        return cards

    def worst_case(self, job: QueuedJob, model: str, tokens: int, max_tokens: int) -> NanoUsd:
        """The most that a job would cost with this model, weight and cap on output.

        Raises:
            Unpriced: it asks for something that has no price.
        """
        return self.estimate(replace(job, model=model, input_tokens=tokens, max_tokens=max_tokens)).worst_case

    def worst_case_if_read(self, job: QueuedJob, model: str, tokens: int) -> NanoUsd | None:
        """The worst case of a job on a model, or None where the model cannot read it or nothing prices it."""
        if tokens > self.models.reads(model, job.traits):
            return None
        try:
            return self.estimate(
                replace(job, model=model, input_tokens=tokens, method=method_of(job))
            ).worst_case
        except Unpriced:
            return None

    def limits(self, job: QueuedJob) -> JobLimits:
        """The limits in force for a job, an approval left aside."""
        return job_limits(job, self.policy)

    def passes(self, job: QueuedJob, model: str, tokens: int, max_tokens: int) -> bool:
        """Whether a job would be within its limits with this model, weight and cap on output."""
        limits = self.limits(job)
        if limits.tokens is not None and tokens > limits.tokens:
            return False
        return limits.cost is None or self.worst_case(job, model, tokens, max_tokens) <= limits.cost

    def demand(self, job: QueuedJob) -> Demand:
        """What a job asks of a model."""
        return Demand(job.traits, job.max_tokens, self.policy.mode)

    def routes(self, job: QueuedJob) -> Sequence[Route]:
        """The policy's routes, or the one to the model that the job is pinned to, up to all that it can read.

        What a person approved may take all that the last route's model can read.
        """
        if job.pinned_model is None and job.review_id is None:
            return self.policy.routes
        last = self.policy.routes[-1]
        if job.pinned_model:
            reads = self.models.reads(job.pinned_model, job.traits)
            return (Route(name="pinned", model=job.pinned_model, up_to_input_tokens=reads),)
        most = max(self.models.reads(last.model, job.traits), last.up_to_input_tokens)
        return (*self.policy.routes[:-1], last.model_copy(update={"up_to_input_tokens": most}))


def method_of(job: QueuedJob) -> Method:
    """How a job's figure is got: by the provider, or, where it does not count all of it, by a bound."""
    return Method.BOUNDED if job.traits.uncounted.parts else Method.COUNTED
