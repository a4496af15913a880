"""`weighbridge review` claim, release, approve, reject, reopen and book."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

import typer

from cli.options import JsonOption, LedgerOption, at_ledger, opened_ledger, usd_amount
from cli.review.review_options import (
    AttemptOption,
    BilledOption,
    ByOption,
    IdOrAttemptArgument,
    IdsArgument,
    IdsOrFilterArgument,
    NotBilledOption,
    NoteOption,
    YesOption,
    billed_of,
    reviewer_name,
    with_filter,
)
from cli.review.review_values import totals_sentence
from schemas.errors import BadInput
from schemas.money import usd_text
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.review import APPROVAL_HOLDS, Decided, Filter, Totals
from services.ledger import Ledger, reviews

#: decisions after which a run sends the job
_SENDS = ("approved", "edited")


def claim(
    ids: IdsArgument,
    by: ByOption = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Also claim what somebody else has claimed.")
    ] = False,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Claim reviews, so that nobody else decides about them."""
    decided = reviews.claim(opened_ledger(ledger), ids, reviewer_name(by), take_over=take_over)
    print_decided(decided, "claimed", ledger, as_json=as_json)


def release(
    ids: IdsArgument,
    by: ByOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give claimed reviews back."""
    decided = reviews.release(opened_ledger(ledger), ids, reviewer_name(by))
    print_decided(decided, "released", ledger, as_json=as_json)


def reopen(
    ids: IdsArgument,
    by: ByOption = None,
    note: NoteOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back decisions that no run has acted on yet."""
    decided = reviews.reopen(opened_ledger(ledger), ids, reviewer_name(by), note=note)
    print_decided(decided, "reopened", ledger, as_json=as_json)


@with_filter
def approve(
    which: Filter,
    ids: IdsOrFilterArgument = None,
    ceiling_usd: Annotated[
        str | None, typer.Option(help="The most that the worst case may be when it is sent, in USD.")
    ] = None,
    ceiling_tokens: Annotated[
        int | None, typer.Option(min=0, help="The most input tokens that it may have when it is sent.")
    ] = None,
    expires_days: Annotated[
        int, typer.Option(min=1, max=3650, help="How many days the approval is valid.")
    ] = APPROVAL_HOLDS.days,
    by: ByOption = None,
    note: NoteOption = None,
    yes: YesOption = False,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide that jobs are sent by the next run, up to a ceiling."""
    ceiling = usd_amount(ceiling_usd, "--ceiling-usd")
    opened, name = opened_ledger(ledger), reviewer_name(by)

    def decide(chosen: list[int] | Filter, confirmed: Totals | None) -> Decided:
        return reviews.approve(
            opened,
            chosen,
            name,
            note=note,
            ceiling_usd=ceiling,
            ceiling_tokens=ceiling_tokens,
            expires_in=timedelta(days=expires_days),
            confirmed=confirmed,
        )

    decided = _decide_confirmed(opened, _chosen(ids, which), "Approve", decide, yes=yes)
    print_decided(decided, "approved", ledger, as_json=as_json)


@with_filter
def reject(
    which: Filter,
    ids: IdsOrFilterArgument = None,
    by: ByOption = None,
    note: NoteOption = None,
    yes: YesOption = False,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide that jobs are not sent."""
    opened, name = opened_ledger(ledger), reviewer_name(by)

    def decide(chosen: list[int] | Filter, confirmed: Totals | None) -> Decided:
        return reviews.reject(opened, chosen, name, note=note, confirmed=confirmed)

    decided = _decide_confirmed(opened, _chosen(ids, which), "Reject", decide, yes=yes)
    print_decided(decided, "rejected", ledger, as_json=as_json)


def book(
    review: IdOrAttemptArgument = None,
    attempt: AttemptOption = None,
    billed: BilledOption = None,
    not_billed: NotBilledOption = False,
    by: ByOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Book what an attempt of unknown outcome cost, so that its hold ends.

    It does not decide whether the job is sent again.
    """
    cost = billed_of(billed, "booked", not_billed=not_billed)
    match review, attempt:
        case int(), None:
            booked: dict[str, int | str] = {"review": review}
            held = reviews.book(opened_ledger(ledger), review, reviewer_name(by), cost)
        case None, str():
            booked = {"attempt": attempt}
            held = reviews.book_attempt(opened_ledger(ledger), attempt, reviewer_name(by), cost)
        case _:
            raise BadInput("Name either the id of a review or --attempt; nothing was booked.")
    held_usd, billed_usd = usd_text(held), usd_text(cost or 0)
    if as_json:
        print(json.dumps({**booked, "held_usd": held_usd, "billed_usd": billed_usd}))
    else:
        [(what, name)] = booked.items()
        print(f"{what.capitalize()} {name}: {billed_usd} USD booked; the hold of {held_usd} USD ended.")


def print_decided(decided: Decided, word: str, ledger: str | None, *, as_json: bool) -> None:
    """Print what a decision changed.

    Args:
        decided: what it changed, and which reviews it was refused for.
        word: what was done to the changed ones, such as "approved".
        ledger: the option that named the ledger.
        as_json: print one JSON object instead of sentences.

    Raises:
        Exit: with code 4, when it was refused for any review.
    """
    if as_json:
        refused = [{"review": review_id, "why": why} for review_id, why in decided.refused]
        print(json.dumps({word: decided.changed, "refused": refused}))
    else:
        _print_sentences(decided, word, ledger)
    if decided.refused:
        raise typer.Exit(EXIT_CODES[RunOutcome.INCOMPLETE])


def _print_sentences(decided: Decided, word: str, ledger: str | None) -> None:
    next_step = ""
    if decided.changed and word in _SENDS:
        next_step = at_ledger(" `weighbridge resubmit-approved` sends what is approved.", ledger)
    print(f"{decided.changed} review(s) {word}.{next_step}")
    for review_id, why in decided.refused:
        unchanged = "Nothing was changed" if review_id is None else f"Review {review_id} was not changed"
        print(f"weighbridge: {unchanged}: {why}.", file=sys.stderr)


def _chosen(ids: list[int] | None, which: Filter) -> list[int] | Filter:
    if ids and which != Filter(status="pending"):
        raise BadInput("Choose reviews by id or by filters, not by both; nothing was decided.")
    return ids or which


def _decide_confirmed(
    ledger: Ledger,
    chosen: list[int] | Filter,
    verb: str,
    decide: Callable[[list[int] | Filter, Totals | None], Decided],
    *,
    yes: bool,
) -> Decided:
    """The decision, after its total was shown and confirmed; reviews that were named by id need no question."""
    if not isinstance(chosen, Filter):
        return decide(chosen, None)
    total = reviews.totals(ledger, chosen)
    if not yes:
        _ask(f"{verb} {totals_sentence(total)}")
    return decide(chosen, total)


def _ask(question: str) -> None:
    """Have a person confirm it on the terminal.

    Raises:
        BadInput: they said no, or there is no terminal.
    """
    if not sys.stdin.isatty():
        raise BadInput(
            f"{question} There is no terminal to confirm this on: add --yes, or give ids. Nothing was decided."
        )
    typer.echo(question, err=True)
    if not typer.confirm("Continue?", err=True):
        raise BadInput("You did not confirm it; nothing was decided.")
