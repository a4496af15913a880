"""The quote of one job: what it is expected to cost, and how far its bill may lie from that."""

from collections.abc import Sequence
from dataclasses import dataclass

from rules.estimate import cost_at, estimated
from rules.lesson import Lesson, LessonKey
from rules.prices import PriceCard
from schemas.estimate import Estimate
from schemas.job import QueuedJob
from schemas.outcome import Method
from schemas.policy import Policy

#: hundredths of a standard deviation between the 5th and the 95th percentile of a normal distribution
_BETWEEN_P5_AND_P95 = 329
#: thousandths of a percent in one
_WHOLE = 100_000


@dataclass(frozen=True, slots=True)
class JobQuote:
    """What one job may cost under its model. All amounts are nano-USD.

    Attributes:
        estimate: as a run makes it.
        key: the lesson that it rests on.
        observed: the answers in that lesson; 0: its output is assumed.
        shift: by how much bills of its class lay above their counts, at the median.
        spread: the standard deviation of its cost, by the outputs and the errors that were observed.
        least: at its count and one token of output.
        most: at its count and all of its `max_tokens`.
        output_tokens: that it is expected to bring.
    """

    estimate: Estimate
    key: LessonKey
    observed: int
    shift: int
    spread: int
    least: int
    most: int
    output_tokens: int


def job_quote(job: QueuedJob, policy: Policy, cards: Sequence[PriceCard], lesson: Lesson) -> JobQuote:
    """The quote of a routed job.

    Args:
        job: the job, with its model and its weight.
        policy: as for its estimate.
        cards: as for its estimate.
        lesson: what was observed of the model, the class of payload and its effort.

    Raises:
        Unpriced: it asks for something that has no price.
    """
    estimate = estimated(job, policy, cards, lesson)
    card = cards[0]
    least = cost_at(job, policy, card, 1)
    most = cost_at(job, policy, card, job.max_tokens)
    observed = lesson.n if lesson.enough else 0
    shift = spread = 0
    output_tokens = int(job.max_tokens * policy.output.expected_share)
    if observed:
        mean, deviation = lesson.outputs.mean(job.max_tokens), lesson.outputs.deviation(job.max_tokens)
        output_tokens = mean
        spread = cost_at(job, policy, card, mean + deviation) - estimate.expected
    if observed and lesson.error_share is not None and estimate.method == Method.COUNTED:
        error = lesson.error_share
        shift = least * error.p50 // _WHOLE
        spread += least * (error.p95 - error.p5) * 100 // (_BETWEEN_P5_AND_P95 * _WHOLE)
    return JobQuote(
        estimate=estimate,
        key=LessonKey.of(estimate.model, job.traits),
        observed=observed,
        shift=shift,
        spread=spread,
        least=least,
        most=most,
        output_tokens=output_tokens,
    )
