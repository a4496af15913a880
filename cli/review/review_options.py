"""The options of the review commands, each in one place; the seven filters as one thing."""

import functools
import getpass
import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from cli.options import usd_amount
from schemas.errors import BadInput
from schemas.money import NanoUsd, to_nano
from schemas.outcome import Reason, ReviewStatus
from schemas.review import Filter

#: those for which a job waits for a person
_PARKED_FOR = (
    Reason.OVER_INPUT_LIMIT,
    Reason.OVER_COST_LIMIT,
    Reason.NO_ROUTE,
    Reason.UNCOUNTABLE,
    Reason.IMPOSSIBLE_COUNT,
    Reason.UNPRICED,
    Reason.UNKNOWN_OUTCOME,
    Reason.OVER_CEILING,
    Reason.CUT_OFF,
)
_REASONS = ", ".join(_PARKED_FOR)
_STATUSES = f"{', '.join(ReviewStatus)}, or all"

IdArgument = Annotated[int, typer.Argument(help="The id that `weighbridge review list` shows.")]
IdsArgument = Annotated[list[int], typer.Argument(help="The ids that `weighbridge review list` shows.")]
IdsOrFilterArgument = Annotated[
    list[int] | None, typer.Argument(help="The ids; when left out, all reviews that match the filters.")
]
StatusOption = Annotated[str, typer.Option(help=f"With this status: {_STATUSES}.")]
ReasonOption = Annotated[str | None, typer.Option(help=f"Parked for this reason: {_REASONS}.")]
GroupOption = Annotated[str | None, typer.Option(help="Of this group.")]
ModelOption = Annotated[str | None, typer.Option(help="Routed to this model.")]
OverOption = Annotated[str | None, typer.Option(help="With a worst case over this many USD.")]
RunOption = Annotated[str | None, typer.Option(help="Parked by this run.")]
SearchOption = Annotated[
    str | None, typer.Option(help="With this text in the job id, the detail or the note.")
]
ByOption = Annotated[
    str | None, typer.Option(help="Who decides; when left out, WEIGHBRIDGE_REVIEWER, or the OS user.")
]
NoteOption = Annotated[str | None, typer.Option(help="A note for the record.")]
IdOrAttemptArgument = Annotated[
    int | None, typer.Argument(help="The id that `weighbridge review list` shows.", show_default=False)
]
AttemptOption = Annotated[
    str | None,
    typer.Option(help="An attempt that `weighbridge review holds` shows, instead of a review."),
]
BilledOption = Annotated[str | None, typer.Option(help="What the provider billed for it, in USD.")]
NotBilledOption = Annotated[
    bool, typer.Option("--not-billed", help="The provider surely billed nothing for it.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


def billed_of(billed: str | None, undone: str, *, not_billed: bool) -> NanoUsd | None:
    """What `--billed` or `--not-billed` says was billed, in nano-USD; None: surely nothing.

    Args:
        billed: an amount in USD, if it was given.
        undone: what is not done when it is refused, such as "booked".
        not_billed: nothing was billed.

    Raises:
        BadInput: both were given, or neither, or the amount is none.
    """
    amount = usd_amount(billed, "--billed")
    if (amount is None) != not_billed:
        raise BadInput(f"Use either --billed USD or --not-billed; nothing was {undone}.")
    return None if amount is None else to_nano(amount)


def with_filter(command: Callable[..., None]) -> Callable[..., None]:
    """Add the seven filter options to a command, which gets them as one `Filter` in its parameter `which`.

    Args:
        command: a function with a parameter `which`; its other parameters are options and arguments of its own.

    Returns:
        The function that typer registers: its signature has the seven options in place of `which`.
    """
    filters = inspect.signature(filter_of).parameters
    own = inspect.signature(command)

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in filters if name in given}
        command(which=filter_of(**chosen), **given)

    others = [parameter for parameter in own.parameters.values() if parameter.name != "which"]
    parameters = [*filters.values(), *others]
    with_options.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def filter_of(
    status: StatusOption = "pending",
    reason: ReasonOption = None,
    group: GroupOption = None,
    model: ModelOption = None,
    over: OverOption = None,
    run: RunOption = None,
    search: SearchOption = None,
) -> Filter:
    """The filter that the seven options make.

    Raises:
        BadInput: there is no such status or reason, or `over` is not an amount.
    """
    if status not in (*ReviewStatus, "all"):
        raise BadInput(f"There is no status {status!r}; use one of {_STATUSES}.")
    if reason is not None:
        # reports write it with blanks
        reason = reason.strip().replace(" ", "_")
        if reason not in set(Reason):
            raise BadInput(f"There is no reason {reason!r}; use one of {_REASONS}.")
    return Filter(
        status=None if status == "all" else status,
        reason=reason,
        group=group,
        model=model,
        over_usd=usd_amount(over, "--over"),
        run_id=run,
        search=search,
    )


def reviewer_name(by: str | None) -> str:
    """Who decides: the option, or WEIGHBRIDGE_REVIEWER, or the user of the operating system.

    Raises:
        BadInput: none of them says who, or the name is blank.
    """
    if by is None:
        by = os.environ.get("WEIGHBRIDGE_REVIEWER")
    if by is None:
        try:
            by = getpass.getuser()
        except (KeyError, OSError) as error:
            raise BadInput(
                "It is not known who decides; name them with --by or WEIGHBRIDGE_REVIEWER. Nothing was decided."
            ) from error
    if not by.strip():
        raise BadInput("The name of who decides is blank; name them with --by. Nothing was decided.")
    return by
