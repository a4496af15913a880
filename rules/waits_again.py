"""Waits again: what becomes of a job that an earlier run parked, where its payload need not be read to know it."""

from collections.abc import Mapping
from dataclasses import replace

from rules.plausible_count import is_surely_possible
from rules.prices import Unpriced
from rules.route import NeedsCount, NoRoute
from rules.scale import Scale
from rules.weighing import over_its_limits, standing, weighed
from schemas.job import JobUpdate, QueuedJob
from schemas.outcome import Outcome, Reason
from schemas.payload.traits import Uncounted

#: why a job waits that its weight, its price and its limits alone decide about
BY_FIGURES = (Reason.OVER_INPUT_LIMIT, Reason.OVER_COST_LIMIT, Reason.NO_ROUTE)
#: of a payload that the provider counts in full
COUNTED_WHOLE = Uncounted()


def waits_again(scale: Scale, job: QueuedJob, counted: Mapping[str, int]) -> JobUpdate | None:
    """How a job waits for a person, by what was counted of it; None: it does not, or only its payload can tell.

    It is weighed as any other: what was learned since, another price, or a limit that was raised has its say.

    Args:
        scale: what it is weighed with.
        job: as it is when it was read, with no model yet; nobody has decided about it.
        counted: its input tokens by model, as they are on record.
    """
    if scale.policy.prune.on_over_budget != "review" or job.traits.uncounted != COUNTED_WHOLE:
        return None
    # whether a pin may be called is asked when its job is counted
    if job.pinned_model is not None and job.pinned_model not in scale.models.callable:
        return None
    if not all(is_surely_possible(job.payload_bytes, tokens) for tokens in counted.values()):
        return None
    found = standing(scale, job, counted)
    if isinstance(found, NeedsCount):
        return None
    if isinstance(found, NoRoute):
        update = weighed(scale, job, counted)
        return update if update.ending and update.ending.outcome is Outcome.REVIEW else None
    routed = replace(job, model=found.model, input_tokens=found.input_tokens)
    try:
        return over_its_limits(routed, scale.estimate(routed), scale.policy)
    except Unpriced:
        return None
