"""Prune conversations: bring jobs that are over a budget within it, before any money is held, as the policy says."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from rules.fit_budget import (
    as_sent,
    cheaper_routes,
    fitting_estimate,
    over_budget,
    roomiest,
    smaller_route,
)
from rules.plausible_count import impossible_count
from rules.prune_conversation import (
    Budget,
    Counted,
    CutSearch,
    TurnCut,
    cut_search,
    cuts_of,
    most_counts,
    weight_of,
)
from rules.scale import Scale
from schemas.estimate import Estimate, TokenCount
from schemas.fitted_job import FittedJob, Fitting, JobBefore
from schemas.job import JobUpdate, QueuedJob
from schemas.payload.edit import turn_starts
from schemas.payload.payload import Payload
from schemas.policy_sections import Route
from services.gateway import Gateway
from services.ledger import Ledger, counts


class Weighs(Protocol):
    """What counts and prices: a run, or the scale of an edit."""

    @property
    def scale(self) -> Scale: ...
    @property
    def gateway(self) -> Gateway: ...
    @property
    def ledger(self) -> Ledger: ...


@dataclass(frozen=True, slots=True)
class _Try:
    """A payload that was counted on a route.

    Attributes:
        tokens: its input tokens there.
        estimate: its price, when it is within the route's limit and the job's budgets; else None.
    """

    cut: TurnCut
    payload: Payload
    tokens: int
    estimate: Estimate | None


@dataclass(slots=True)
class _Trial:
    """Counts what a job may become, as the provider does, and keeps the counts.

    Attributes:
        calls: counts asked for so far.
        fresh: those that were not on record.
    """

    on: Weighs
    job: QueuedJob
    calls: int = 0
    fresh: list[TokenCount] = field(default_factory=list)

    async def of(self, cut: TurnCut, payload: Payload, route: Route) -> _Try | None:
        """The payload on a route; None when what came cannot be its weight.

        Raises:
            CallFailed: there was no answer.
        """
        tokens = await self.tokens(payload, route.model)
        if tokens is None:
            return None
        job = as_sent(self.job, payload)
        estimate = fitting_estimate(self.on.scale, job, route, tokens)
        return _Try(cut, payload, tokens, estimate)

    async def tokens(self, payload: Payload, model: str) -> int | None:
        """Input tokens of a payload under a model; None when what came cannot be its weight.

        Raises:
            CallFailed: there was no answer.
        """
        self.calls += 1
        known = await self.on.ledger.off_loop(counts.known, [payload.fingerprint])
        on_record = known.get(payload.fingerprint, {}).get(model)
        if on_record is not None and impossible_count(payload.request, on_record) is None:
            return on_record
        counted = await self.on.gateway.count(payload.count_body(model))
        if impossible_count(payload.request, counted) is not None:
            return None
        self.fresh.append(TokenCount(payload.fingerprint, model, counted))
        return counted


async def fit_budget(
    on: Weighs, job: QueuedJob, payload: Payload, counted: dict[str, int], update: JobUpdate
) -> FittedJob | None:
    """The job within its budgets, by the means of the policy; None when it needs none, or they do not serve.

    Args:
        on: what it is weighed with.
        job: the job.
        payload: its own payload.
        counted: its input tokens by model, as far as known.
        update: what its weight makes of it.

    Raises:
        CallFailed: something was not counted.
    """
    means = on.scale.policy.prune.on_over_budget
    if means == "review" or (before := over_budget(on.scale, job, update)) is None:
        return None
    if means == "prune":
        return await prune_conversation(on, job, payload, before)
    return await _downgraded(on, job, payload, counted, before)


async def prune_conversation(
    on: Weighs, job: QueuedJob, payload: Payload, before: JobBefore
) -> FittedJob | None:
    """The job with as many of its newest turns as fit its budgets; None when no cut does.

    Args:
        on: what it is weighed with.
        job: the job.
        payload: its own payload.
        before: where it would have gone.

    Raises:
        CallFailed: something was not counted.
    """
    room = roomiest(on.scale, job)
    if room is None:
        return None
    target, allowed = room
    turns = len(turn_starts(payload.request["messages"]))
    trial = _Trial(on, job)
    budget = Budget(before.input_tokens, weight_of(payload.request), allowed)
    search = cut_search(cuts_of(payload.request, on.scale.policy.prune.min_turns), budget)
    best = await _searched(trial, search, target)
    if best is None:
        return None
    best = await _on_smaller_route(trial, best, target, most_counts(turns))
    return _fitted(trial, Fitting.PRUNED, before, best, turns)


async def _searched(trial: _Trial, search: CutSearch, target: Route) -> _Try | None:
    """The cut that keeps most and fits on a route, or None."""
    best: _Try | None = None
    with suppress(StopIteration):
        cut = next(search)
        while True:
            tried = await trial.of(cut, Payload.checked(cut.request()), target)
            if tried is None:
                return best
            best = best if tried.estimate is None else tried
            cut = search.send(Counted(tried.tokens, tried.estimate is not None))
    return best


async def _on_smaller_route(trial: _Trial, best: _Try, target: Route, most: int) -> _Try:
    """The same cut on the route that its weight asks for, when that takes it and a count is left for it."""
    job = as_sent(trial.job, best.payload)
    smaller = smaller_route(trial.on.scale, job, target, best.tokens)
    if smaller is None or trial.calls >= most:
        return best
    lighter = await trial.of(best.cut, best.payload, smaller)
    return best if lighter is None or lighter.estimate is None else lighter


def _fitted(trial: _Trial, how: Fitting, before: JobBefore, tried: _Try, turns: int) -> FittedJob | None:
    if tried.estimate is None:
        return None
    return FittedJob(
        row_number=trial.job.row_number,
        how=how,
        before=before,
        payload=tried.payload,
        estimate=tried.estimate,
        turns_before=turns,
        turns=tried.cut.turns,
        counts=tuple(trial.fresh),
    )


async def _downgraded(
    on: Weighs, job: QueuedJob, payload: Payload, counted: dict[str, int], before: JobBefore
) -> FittedJob | None:
    """The job on the next cheaper route whose model reads it within its budgets; None when there is none."""
    trial = _Trial(on, job)
    turns = len(turn_starts(payload.request["messages"]))
    for route in cheaper_routes(on.scale, job, before):
        tokens = counted.get(route.model)
        if tokens is None:
            tokens = await trial.tokens(payload, route.model)
        if tokens is None:
            continue
        estimate = fitting_estimate(on.scale, job, route, tokens)
        if estimate is not None and (before.expected is None or estimate.expected < before.expected):
            whole = TurnCut(payload.request, 0, turns, 0, 0)
            return _fitted(trial, Fitting.DOWNGRADED, before, _Try(whole, payload, tokens, estimate), turns)
    return None
