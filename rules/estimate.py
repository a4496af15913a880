"""The estimate of a job: what it is expected to cost, and the most it can cost, under the model it is routed to."""

from collections.abc import Sequence
from dataclasses import replace

from rules.lesson import Lesson
from rules.prices import BilledTokens, MostBilled, PriceCard
from rules.surcharges import container_seconds
from schemas.estimate import Estimate
from schemas.job import QueuedJob
from schemas.money import NanoUsd
from schemas.outcome import Method, Mode
from schemas.policy import Policy


def estimated(job: QueuedJob, policy: Policy, cards: Sequence[PriceCard], lesson: Lesson) -> Estimate:
    """The estimate of a routed job under its model, by what was observed of such jobs.

    Args:
        job: the job, with its model and its weight.
        policy: its margin, its mode, and what is assumed while too little was observed.
        cards: the prices of its model on each day that it may be billed on, today's first: it is expected to cost
            today's, and at worst the dearest.
        lesson: what was observed of the model, the class of payload and its effort.

    Raises:
        Unpriced: it asks for something that has no price.
    """
    tokens, card = job.input_tokens or 0, cards[0]
    method = Method(job.method or Method.COUNTED)
    # a lesson is about the provider's counts
    margin = lesson.margin if method == Method.COUNTED else policy.margin
    bound = margin.bound(tokens)
    answers, percentile = lesson.outputs, policy.hold.output_percentile
    assumed = int(job.max_tokens * policy.output.expected_share)
    mean = answers.mean(job.max_tokens) if lesson.enough else assumed
    estimate = Estimate(
        model=card.model,
        input_tokens=tokens,
        method=method,
        input_bound=bound,
        expected=cost_at(job, policy, card, mean),
        worst_case=_worst_case(job, policy, cards, bound, job.max_tokens),
    )
    if not lesson.enough:
        return estimate
    likely = None
    if percentile is not None:
        likely = _worst_case(job, policy, cards, bound, answers.enough_for(percentile, job.max_tokens))
    return replace(
        estimate,
        expected_low=cost_at(job, policy, card, min(mean, answers.usual(5, job.max_tokens))),
        expected_high=cost_at(job, policy, card, max(mean, answers.usual(95, job.max_tokens))),
        likely=likely,
    )


def cost_at(job: QueuedJob, policy: Policy, card: PriceCard, output_tokens: int) -> NanoUsd:
    """What a job costs at its counted input and this output, in nano-USD.

    Raises:
        Unpriced: it asks for something that has no price.
    """
    billed = BilledTokens(job.input_tokens or 0, max(1, output_tokens))
    batch = policy.mode == Mode.BATCHES
    return card.price(billed, batch=batch, geo=job.traits.geo, speed=job.traits.speed)


def _worst_case(
    job: QueuedJob, policy: Policy, cards: Sequence[PriceCard], bound: int, output_tokens: int
) -> NanoUsd:
    """The most that the job can cost with at most this input and this output in each sampling call."""
    traits = job.traits
    most = MostBilled(
        bound,
        output_tokens,
        job.cache_ttl,
        sampling_calls=traits.uncounted.sampling_calls or 1,
        web_searches=traits.uncounted.web_searches,
        container_seconds=container_seconds(traits.uncounted.parts),
    )
    batch = policy.mode == Mode.BATCHES
    return max(card.worst_case(most, batch=batch, geo=traits.geo, speed=traits.speed) for card in cards)
