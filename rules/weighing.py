"""What its weight makes of a job: a route, or an ending where no route may take it."""

from collections.abc import Mapping
from dataclasses import replace

from rules.endings import parked, rejected, stopped_before_count
from rules.limits import over_limits
from rules.models import heaviest
from rules.prices import Unpriced
from rules.route import NeedsCount, NoRoute, Routed, climb
from rules.scale import Scale, method_of
from schemas.estimate import Estimate
from schemas.job import JobUpdate, QueuedJob
from schemas.money import NanoUsd
from schemas.outcome import Ending, Method, Reason
from schemas.payload.api_rules import refusal, sentences
from schemas.policy import Policy


def standing(scale: Scale, job: QueuedJob, counted: Mapping[str, int]) -> Routed | NeedsCount | NoRoute:
    """Where a job stands on its way up its routes, with what was counted so far (input tokens by model)."""
    return climb(scale.routes(job), scale.models.callable, scale.demand(job), counted)


def unusable_pin(scale: Scale, job: QueuedJob) -> Ending | None:
    """Why a job that is pinned to a model cannot go there, or None. The model was judged before."""
    if job.pinned_model is None:
        return None
    facts = scale.models.callable.get(job.pinned_model)
    if facts is None:
        why = scale.models.why_not(job.pinned_model, None, scale.clock())
        return rejected(Reason.INVALID_ROW, f"model: {why}")
    refused = refusal(job.traits, job.max_tokens, facts, scale.policy.mode)
    if refused is None:
        return None
    return rejected(Reason.INVALID_ROW, f"{refused.column}: {sentences([(facts.model, refused)])}")


def unbounded(job: QueuedJob, why: str | None = None) -> JobUpdate:
    """A job that nothing weighs beforehand waits for a person.

    Args:
        job: the job.
        why: what is missing; None: no bound is known at all.
    """
    why = why or "nothing bounds it beforehand, and it is never sent on a guess"
    return JobUpdate(job.row_number, method=Method.UNCOUNTABLE, ending=_not_counted(job, why))


def not_a_count(job: QueuedJob, why: str) -> JobUpdate:
    """A job of which the endpoint says a weight that it cannot have waits for a person; nothing is sent of it."""
    ending = parked(Reason.IMPOSSIBLE_COUNT, why)
    return JobUpdate(job.row_number, method=Method.UNCOUNTABLE, ending=ending)


def weighed(
    scale: Scale, job: QueuedJob, counted: Mapping[str, int], *, stopped: Reason | None = None
) -> JobUpdate:
    """What becomes of a job by what was counted of it.

    Args:
        scale: what it is weighed with.
        job: the job.
        counted: input tokens by model, as far as they could be had.
        stopped: why the run stopped, if it did, so that counting did not go on.
    """
    if ending := unusable_pin(scale, job):
        return JobUpdate(job.row_number, ending=ending)
    if job.traits.uncounted.sampling_calls is None:
        return unbounded(job)
    found = standing(scale, job, counted)
    if isinstance(found, NeedsCount):
        if stopped is not None:
            return JobUpdate(job.row_number, ending=stopped_before_count(stopped))
        if job.traits.uncounted.parts:
            return unbounded(job, f"nothing is known that bounds it under {found.model}")
        return _without_route(scale, job, counted, f"it was not counted under {found.model}")
    if job.traits.uncounted.parts and (waits := _waits_with_bound(scale, job, found, counted)):
        return waits
    if isinstance(found, Routed):
        return JobUpdate(
            job.row_number, model=found.model, input_tokens=found.input_tokens, method=method_of(job)
        )
    return _without_route(scale, job, counted, found.why)


def over_its_limits(job: QueuedJob, estimate: Estimate, policy: Policy) -> JobUpdate | None:
    """How a routed job that is over its own limits waits for a person; None: it is within them."""
    why = over_limits(job, estimate, policy)
    return None if why is None else ended_as_weighed(job, estimate, parked(*why))


def ended_as_weighed(job: QueuedJob, estimate: Estimate, ending: Ending) -> JobUpdate:
    """A job that ends without being sent, with what it weighs and would cost."""
    return JobUpdate(
        job.row_number,
        model=estimate.model,
        input_tokens=estimate.input_tokens,
        method=estimate.method,
        ending=ending,
        expected=estimate.expected,
        worst_case=estimate.worst_case,
    )


def _waits_with_bound(
    scale: Scale, job: QueuedJob, found: Routed | NoRoute, counted: Mapping[str, int]
) -> JobUpdate | None:
    """A job whose bound is known waits with it, unless the policy or a person let it go on."""
    heavy = heaviest(counted)
    if heavy is None or scale.policy.uncountable.on == "bound" or job.review_id is not None:
        return None
    model = found.model if isinstance(found, Routed) else heavy
    tokens = counted[model]
    bound = f"at most {tokens:,} input tokens under {model}{_calls(job)}"
    return JobUpdate(
        job.row_number,
        model=model,
        input_tokens=tokens,
        method=Method.BOUNDED,
        ending=_not_counted(job, bound),
        worst_case=_worst_case(scale, replace(job, model=model, input_tokens=tokens, method=Method.BOUNDED)),
    )


def _without_route(scale: Scale, job: QueuedJob, counted: Mapping[str, int], why: str) -> JobUpdate:
    """A job that no route takes waits, with the weight and price of where a person who approves it would send it."""
    last = scale.routes(job)[-1].model
    model = last if last in counted else heaviest(counted)
    tokens = None if model is None else counted[model]
    worst_case = None
    if tokens is not None and model == last:
        worst_case = scale.worst_case_if_read(job, last, tokens)
    return JobUpdate(
        job.row_number,
        model=model,
        input_tokens=tokens,
        method=method_of(job) if counted else Method.UNCOUNTABLE,
        ending=parked(Reason.NO_ROUTE, why),
        worst_case=worst_case,
    )


def _worst_case(scale: Scale, job: QueuedJob) -> NanoUsd | None:
    try:
        return scale.estimate(job).worst_case
    except Unpriced:
        return None


def _not_counted(job: QueuedJob, bound: str) -> Ending:
    parts = " and ".join(f"{_article(part)} {part}" for part in job.traits.uncounted.parts)
    return parked(Reason.UNCOUNTABLE, f"the provider does not count {parts}; {bound}")


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _calls(job: QueuedJob) -> str:
    calls, searches = job.traits.uncounted.sampling_calls or 1, job.traits.uncounted.web_searches
    if calls == 1:
        return ""
    words = f", in {calls:,} calls"
    if searches:
        words += f" with {searches:,} web searches"
    return words
