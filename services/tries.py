"""The one retry policy of all calls: what was surely not billed, or costs nothing, is tried again."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import stamina
from anthropic import APIStatusError

from rules.call_failures import Call
from schemas.failures import CallFailed, NotBilled, Transient
from schemas.policy_sections import RateLimits
from schemas.report import CallFigures
from services.api_client import HANDED_OVER
from services.classify import classified
from services.limiter import NO_WEIGHT, CallWeight, EndpointLimiter, QueuedCall

T = TypeVar("T")


async def _unasked() -> None:
    """Nobody is asked before a try."""


async def goes_on() -> bool:
    """Another try may always follow."""
    return True


# each retry is in the tally; a log line for each is noise
stamina.instrumentation.set_on_retry_hooks([])


@dataclass(frozen=True, slots=True)
class CallPlan:
    """How a call is made.

    Attributes:
        limiter: the endpoint's.
        call: what it costs.
        weight: what each try takes of the tokens a minute.
        turn: the first try's, if it has had it already.
        leaving: called before a try leaves, when it has its turn; what it raises is raised, and nothing is sent.
        came_back: called when a try surely was not billed and another is to follow; False: none may follow.
    """

    limiter: EndpointLimiter
    call: Call
    weight: CallWeight = NO_WEIGHT
    turn: QueuedCall | None = None
    leaving: Callable[[], Awaitable[None]] = _unasked
    came_back: Callable[[], Awaitable[bool]] = goes_on


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """A call that was answered: its result, the tries it took, and the turn of the last."""

    result: T
    tries: int
    turn: QueuedCall


async def turn_to_leave(plan: CallPlan) -> QueuedCall:
    """The turn of a try that may leave.

    Args:
        plan: asks whether it may; what that raises is raised, and the turn is given back.
    """
    turn = await plan.limiter.turn(plan.weight)
    try:
        await plan.leaving()
    except BaseException:
        turn.weighed(NO_WEIGHT)
        raise
    return turn


async def tried(
    once: Callable[[], Awaitable[T]], plan: CallPlan, limits: RateLimits, tally: CallFigures
) -> Done[T]:
    """The result of a call.

    Args:
        once: makes the call.
        plan: whose turn it waits for.
        limits: how many tries, and the longest wait.
        tally: counts the tries beyond the first.

    Raises:
        CallFailed: the failure of the last try.
    """
    turn = plan.turn or await plan.limiter.turn(plan.weight)
    try:
        return await _one_try(once, plan, limits, turn)
    except CallFailed as failure:
        return await _tried_again(once, plan, limits, tally, failure)


async def _tried_again(
    once: Callable[[], Awaitable[T]],
    plan: CallPlan,
    limits: RateLimits,
    tally: CallFigures,
    first: CallFailed,
) -> Done[T]:
    """The result of a call whose first try failed; most calls never need the waits and their arithmetic."""
    tries = 0
    may_go_on = await _may_go_on(plan, limits, first, 1)

    def delay(error: Exception) -> bool | float:
        return may_go_on and _delay(error, limits)

    retry = stamina.retry_context(
        on=delay,
        attempts=limits.tries,
        timeout=None,
        wait_initial=0.5,
        wait_max=30,
        wait_jitter=1,
    )
    async for attempt in retry:
        with attempt:
            tries += 1
            if tries == 1:
                raise first
            turn = await turn_to_leave(plan)
            tally.retried += 1
            try:
                return replace(await _one_try(once, plan, limits, turn), tries=tries)
            except CallFailed as failure:
                failure.tries = tries
                may_go_on = await _may_go_on(plan, limits, failure, tries)
                raise
    raise AssertionError("unreachable: the retry context returns or raises")


async def _may_go_on(plan: CallPlan, limits: RateLimits, failure: CallFailed, tries: int) -> bool:
    """Whether another try may follow; whoever makes the call hears that this one came back before it is waited."""
    return tries < limits.tries and bool(_delay(failure, limits)) and await plan.came_back()


async def _one_try(
    once: Callable[[], Awaitable[T]], plan: CallPlan, limits: RateLimits, turn: QueuedCall
) -> Done[T]:
    """One try, which has its turn.

    Raises:
        CallFailed: it failed; what was surely not billed gives back the tokens of its turn.
    """
    HANDED_OVER.set(False)
    try:
        return Done(await once(), 1, turn)
    except Exception as error:
        failure = _heeded(error, plan, limits)
        failure.tries = 1
        if isinstance(failure, NotBilled):
            turn.weighed(NO_WEIGHT)
        raise failure from error


def _heeded(error: Exception, plan: CallPlan, limits: RateLimits) -> CallFailed:
    """The failure that an error is, and what it says to all who call the endpoint."""
    if isinstance(error, CallFailed):
        return error
    if isinstance(error, APIStatusError):
        plan.limiter.observe(error.response.headers, answered=False)
    failure = classified(error, plan.call, handed_over=HANDED_OVER.get())
    if isinstance(failure, Transient) and failure.everyone and failure.retry_after:
        plan.limiter.pause(min(failure.retry_after, limits.max_wait_seconds))
    return failure


def _delay(error: Exception, limits: RateLimits) -> bool | float:
    """Whether to try again, and after how many seconds if the API says so."""
    if not isinstance(error, Transient):
        return False
    if error.retry_after is None:
        return True
    if error.retry_after > limits.max_wait_seconds:
        return False
    return error.retry_after + random.uniform(0, 1)  # noqa: S311 - jitter, so that not all come back at once
