"""`weighbridge review`: jobs that wait for a person."""

import getpass
import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from cli.options import LedgerOption
from cli.show_review import plain, print_list, print_one, usd
from schemas.errors import BadInput
from schemas.ledger import REVIEW_STATUSES
from schemas.money import to_nano, usd_text
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.review import Decided, Filter, Order, Totals
from schemas.settings import Settings
from services.ledger import Ledger, open_ledger, reviews

_LETS_PASS = ("approved", "edited")
_app = typer.Typer(help="Jobs that wait for a person.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
IdArgument = Annotated[int, typer.Argument(help="The id in the list.")]
IdsArgument = Annotated[
    list[int] | None, typer.Argument(help="Ids in the list; left out: what the filters mean.")
]
StatusOption = Annotated[str, typer.Option(help=f"One of {', '.join(REVIEW_STATUSES)}, or all.")]
ReasonOption = Annotated[str | None, typer.Option(help="Parked for this reason.")]
GroupOption = Annotated[str | None, typer.Option(help="Of this group.")]
ModelOption = Annotated[str | None, typer.Option(help="Routed to this model.")]
OverOption = Annotated[str | None, typer.Option(help="Whose worst case is over so many USD.")]
RunOption = Annotated[str | None, typer.Option(help="Only those of this run.")]
SearchOption = Annotated[str | None, typer.Option(help="With this text in job id, detail or note.")]
ByOption = Annotated[str | None, typer.Option(help="Who decides. WEIGHBRIDGE_REVIEWER, or the OS user.")]
NoteOption = Annotated[str | None, typer.Option(help="What you say about it.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ExpiresOption = Annotated[int, typer.Option(min=1, max=3650, help="How many days the approval holds.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    from cli import serve_review  # noqa: PLC0415 - as below
    from cli.edit_review import edit_review  # noqa: PLC0415 - it takes its options from here

    _app.command("edit")(edit_review)
    serve_review.add_to(_app)
    app.add_typer(_app, name="review")


@_app.command("list")
def list_reviews(
    status: StatusOption = "pending",
    reason: ReasonOption = None,
    group: GroupOption = None,
    model: ModelOption = None,
    over: OverOption = None,
    run: RunOption = None,
    search: SearchOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    order: Annotated[Order, typer.Option(help="Which first.")] = Order.LATEST,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the jobs that wait for a person."""
    which = _filter(status, reason, group, model, over, run, search)
    opened = opened_ledger(ledger)
    rows = reviews.listed(opened, which, limit=limit, order=order)
    if as_json:
        print(json.dumps([plain(row) for row in rows]))
        return
    if not rows:
        print(
            f"No such job is {status} in {opened.url}."
            if status != "all"
            else f"No such job in {opened.url}."
        )
        return
    print_list(rows)
    print(_told(reviews.totals(opened, which)))


@_app.command("show")
def show_review(review: IdArgument, ledger: LedgerOption = None, as_json: JsonOption = False) -> None:
    """Show one job that waits: its weight and price beside its limits, what would let it pass, its conversation."""
    opened = opened_ledger(ledger)
    row = reviews.one_review(opened, review)
    if row is None:
        raise BadInput(
            f"There is no review {review} in {opened.url}; `weighbridge review list` shows those there are."
        )
    history = reviews.events(opened, review)
    if as_json:
        print(json.dumps(plain(row) | {"events": [plain(event) for event in history]}))
    else:
        print_one(row, history)


@_app.command("claim")
def claim(
    ids: Annotated[list[int], typer.Argument(help="Ids in the list.")],
    by: ByOption = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Also what somebody else has claimed.")
    ] = False,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set reviews aside for yourself, so that nobody else decides about them."""
    say_decided(
        reviews.claim(opened_ledger(ledger), ids, who(by), take_over=take_over), "claimed", as_json=as_json
    )


@_app.command("release")
def release(
    ids: Annotated[list[int], typer.Argument(help="Ids in the list.")],
    by: ByOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give claimed reviews back."""
    say_decided(reviews.release(opened_ledger(ledger), ids, who(by)), "released", as_json=as_json)


@_app.command("reopen")
def reopen(
    ids: Annotated[list[int], typer.Argument(help="Ids in the list.")],
    by: ByOption = None,
    note: NoteOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take decisions back that were not acted on yet."""
    say_decided(reviews.reopen(opened_ledger(ledger), ids, who(by), note=note), "reopened", as_json=as_json)


@_app.command("approve")
def approve(
    ids: IdsArgument = None,
    status: StatusOption = "pending",
    reason: ReasonOption = None,
    group: GroupOption = None,
    model: ModelOption = None,
    over: OverOption = None,
    run: RunOption = None,
    search: SearchOption = None,
    ceiling_usd: Annotated[
        str | None, typer.Option(help="The most its worst case may be when sent, USD.")
    ] = None,
    ceiling_tokens: Annotated[
        int | None, typer.Option(min=0, help="The most it may weigh when sent.")
    ] = None,
    expires_days: ExpiresOption = 14,
    by: ByOption = None,
    note: NoteOption = None,
    yes: YesOption = False,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let jobs pass, up to a ceiling. The next run sends them."""
    ceiling = amount(ceiling_usd, "--ceiling-usd")
    opened, name = opened_ledger(ledger), who(by)

    def decide(which: list[int] | Filter, confirmed: Totals | None) -> Decided:
        return reviews.approve(
            opened,
            which,
            name,
            note=note,
            ceiling_usd=ceiling,
            ceiling_tokens=ceiling_tokens,
            expires_in=timedelta(days=expires_days),
            confirmed=confirmed,
        )

    which = _chosen(ids, _filter(status, reason, group, model, over, run, search))
    say_decided(_confirmed(opened, which, "Approve", decide, yes=yes), "approved", as_json=as_json)


@_app.command("reject")
def reject(
    ids: IdsArgument = None,
    status: StatusOption = "pending",
    reason: ReasonOption = None,
    group: GroupOption = None,
    model: ModelOption = None,
    over: OverOption = None,
    run: RunOption = None,
    search: SearchOption = None,
    by: ByOption = None,
    note: NoteOption = None,
    yes: YesOption = False,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide that jobs are not sent."""
    opened, name = opened_ledger(ledger), who(by)

    def decide(which: list[int] | Filter, confirmed: Totals | None) -> Decided:
        return reviews.reject(opened, which, name, note=note, confirmed=confirmed)

    which = _chosen(ids, _filter(status, reason, group, model, over, run, search))
    say_decided(_confirmed(opened, which, "Reject", decide, yes=yes), "rejected", as_json=as_json)


@_app.command("settle")
def settle(
    review: IdArgument,
    billed: Annotated[str | None, typer.Option(help="What the provider billed for it, USD.")] = None,
    not_billed: Annotated[bool, typer.Option("--not-billed", help="It was surely not billed.")] = False,
    by: ByOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Book what an attempt of unknown outcome cost, so that its hold ends. It decides nothing about sending."""
    cost = amount(billed, "--billed")
    if (cost is None) != not_billed:
        raise BadInput("Say either --billed USD or --not-billed; nothing was booked.")
    nano = None if cost is None else to_nano(cost)
    held = reviews.book(opened_ledger(ledger), review, who(by), nano)
    if as_json:
        print(json.dumps({"review": review, "held_usd": usd_text(held), "billed_usd": usd_text(nano or 0)}))
    else:
        print(f"Review {review}: {usd_text(nano or 0)} USD settled of {usd_text(held)} USD that were held.")


def opened_ledger(url: str | None) -> Ledger:
    """The ledger that an option names, or the settings."""
    return open_ledger(url or Settings().ledger_url)


def who(by: str | None) -> str:
    """Who decides: the option, WEIGHBRIDGE_REVIEWER, or the user of the operating system."""
    if by is None:
        by = os.environ.get("WEIGHBRIDGE_REVIEWER")
    if by is None:
        try:
            by = getpass.getuser()
        except (KeyError, OSError) as error:
            raise BadInput("Say who decides, with --by or WEIGHBRIDGE_REVIEWER.") from error
    if not by.strip():
        raise BadInput("The name of who decides is blank; say it with --by. Nothing was decided.")
    return by


def amount(text: str | None, option: str) -> Decimal | None:
    """An amount of USD that is not negative."""
    if text is None:
        return None
    try:
        usd_amount = Decimal(text)
    except InvalidOperation as error:
        raise BadInput(f"{option} {text!r} is not an amount of USD; write it like 0.50.") from error
    if not (usd_amount.is_finite() and 0 <= usd_amount < 1_000_000):
        raise BadInput(f"{option} {text!r} is not an amount of USD from 0 to under 1,000,000.")
    return usd_amount


def say_decided(decided: Decided, word: str, *, as_json: bool) -> None:
    """Print what became of a decision; ends with 4 when something was refused."""
    if as_json:
        refused = [{"review": review_id, "why": why} for review_id, why in decided.refused]
        print(json.dumps({word: decided.changed, "refused": refused}))
    else:
        then = " `weighbridge resubmit-approved` sends what was let pass." if word in _LETS_PASS else ""
        print(f"{decided.changed} review(s) {word}.{then if decided.changed else ''}")
        for review_id, why in decided.refused:
            name = "Nothing was changed" if review_id is None else f"Review {review_id} is as it was"
            print(f"weighbridge: {name}: {why}.", file=sys.stderr)
    if decided.refused:
        raise typer.Exit(EXIT_CODES[RunOutcome.INCOMPLETE])


def _filter(
    status: str,
    reason: str | None,
    group: str | None,
    model: str | None,
    over: str | None,
    run: str | None,
    search: str | None,
) -> Filter:
    if status not in (*REVIEW_STATUSES, "all"):
        raise BadInput(f"There is no status {status!r}; use one of {', '.join(REVIEW_STATUSES)}, or all.")
    return Filter(
        status=None if status == "all" else status,
        reason=reason,
        group=group,
        model=model,
        over_usd=amount(over, "--over"),
        search=search,
        run_id=run,
    )


def _chosen(ids: list[int] | None, which: Filter) -> list[int] | Filter:
    if ids and which != Filter(status="pending"):
        raise BadInput("Name reviews by id or by filters, not by both; nothing was decided.")
    return ids or which


def _confirmed(
    ledger: Ledger,
    which: list[int] | Filter,
    verb: str,
    decide: Callable[[list[int] | Filter, Totals | None], Decided],
    *,
    yes: bool,
) -> Decided:
    """The decision, after the total was shown and confirmed; what was named by id needs no question."""
    if not isinstance(which, Filter):
        return decide(which, None)
    total = reviews.totals(ledger, which)
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput(
                f"{verb} {_told(total)} There is no terminal to confirm it on: add --yes, or name ids. "
                "Nothing was decided."
            )
        typer.echo(f"{verb} {_told(total)}", err=True)
        if not typer.confirm("Go on?", err=True):
            raise BadInput("Nothing was decided.")
    return decide(which, total)


def _told(total: Totals) -> str:
    unpriced = f", {total.unpriced:,} of them without a worst case" if total.unpriced else ""
    return (
        f"{total.count:,} review(s), worst case {usd(total.worst_case)} together, "
        f"{total.input_tokens:,} input tokens{unpriced}."
    )
