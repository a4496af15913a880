"""A step: one function that is a Prefect task inside a flow run, and the plain function anywhere else."""

import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar, overload

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext, TaskRunContext

from services.whole_thread import on_whole_thread

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class _Call:
    """A call that Prefect shows. It keeps what it is given and what comes back out of Prefect's sight.

    Prefect walks through all parameters of a task run, and its flow run keeps every result until its end: for a night of
    payloads that is the memory of the night.

    Args:
        name: of the task run; Prefect's template writes the call as this.
    """

    __slots__ = ("arguments", "name", "options", "result")

    def __init__(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.name, self.arguments, self.options = name, arguments, options
        self.result: Any = None

    def __str__(self) -> str:
        return self.name


def _says_more_than_finished(record: logging.LogRecord) -> bool:
    """Whether a line of a task run's log is more than the one that Prefect writes of each that went well."""
    return record.levelno >= logging.WARNING or "Finished in state" not in record.getMessage()


# a filter, for Prefect sets the levels of its loggers again whenever a flow run begins
logging.getLogger("prefect.task_runs").addFilter(_says_more_than_finished)


class Step(Generic[Arguments, Result]):
    """One verb of a run. In a flow run it shows as a task run; without one, it is just awaited.

    The ledger is the cache and the record, so Prefect caches nothing and keeps no result. A function that is not async
    runs on a thread, so that the event loop, and with it the heartbeat of the run, goes on meanwhile.

    Attributes:
        plain: the step without Prefect, awaited.
        function: the function itself, as it was written.
    """

    def __init__(self, function: Callable[Arguments, Any], task_run_name: str | None = None) -> None:
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.function = function
        self.plain: Callable[Arguments, Awaitable[Result]] = _awaitable(function)
        self._signature = inspect.signature(function)
        self._name = task_run_name
        as_task = task(
            name=function.__name__,
            description=function.__doc__,
            task_run_name="{call}" if task_run_name else None,
            cache_policy=NO_CACHE,
            persist_result=False,
        )
        self._task = as_task(self._make)

    def __call__(self, *args: Arguments.args, **options: Arguments.kwargs) -> Awaitable[Result]:
        """The step's result, once it is awaited."""
        if FlowRunContext.get() is None and TaskRunContext.get() is None:
            return self.plain(*args, **options)
        return self._shown(*args, **options)

    async def _shown(self, *args: Arguments.args, **options: Arguments.kwargs) -> Result:
        name = self._name and self._name.format(**self._signature.bind(*args, **options).arguments)
        call = _Call(name or self.__name__, args, options)
        await self._task(call)
        result: Result = call.result
        call.result = None
        return result

    async def _make(self, call: _Call) -> None:
        arguments, options = call.arguments, call.options
        call.arguments, call.options = (), {}
        call.result = await self.plain(*arguments, **options)


def _awaitable(function: Callable[Arguments, Any]) -> Callable[Arguments, Awaitable[Any]]:
    if inspect.iscoroutinefunction(function):
        return function

    @wraps(function)
    async def off_loop(*args: Arguments.args, **options: Arguments.kwargs) -> Any:
        return await on_whole_thread(function, *args, **options)

    return off_loop


def run_log() -> "logging.Logger | logging.LoggerAdapter[Any]":
    """Where a flow says what it does: the log of the flow run, or, outside of one, the project's own."""
    if FlowRunContext.get() is None:
        return logging.getLogger("weighbridge")
    return get_run_logger()


@overload
def step(function: Callable[Arguments, Awaitable[Result]]) -> Step[Arguments, Result]: ...
@overload
def step(function: Callable[Arguments, Result]) -> Step[Arguments, Result]: ...
def step(function: Callable[Arguments, Any]) -> Step[Arguments, Any]:
    """Make a step of a function."""
    return Step(function)


def named_step(
    task_run_name: str,
) -> Callable[[Callable[Arguments, Awaitable[Result]]], Step[Arguments, Result]]:
    """Make a step whose task runs are named after what they work on.

    Args:
        task_run_name: with the function's parameters in braces, as Prefect fills them in.
    """

    def decorate(function: Callable[Arguments, Awaitable[Result]]) -> Step[Arguments, Result]:
        return Step(function, task_run_name)

    return decorate
