"""`weighbridge review holds`."""

import json
from typing import Annotated

import typer

from cli.options import JsonOption, LedgerOption, at_ledger, looked_at, opened_ledger
from cli.review.show_review import print_raw_text, raw_values
from cli.screen import print_table, screen, shown_most
from schemas.errors import BadInput
from schemas.money import usd_text
from schemas.review import UnknownHold
from schemas.words import masked_url
from services.ledger import reviews
from services.ledger.asking import asking
from services.ledger.review_lines import raw_answer_of

_HEADINGS = ("attempt", "job", "run", "model", ">held", "since (UTC)", "review", "came")


def list_holds(
    attempt: Annotated[
        str | None, typer.Option(help="Show what came for this attempt, where something came.")
    ] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the money that is held for attempts of unknown outcome.

    Each keeps its hold until somebody books what it cost, whether its job has a review or not. Where something came
    that could not be read, `weighbridge review accept` can make it the answer.
    """
    if attempt is not None:
        _show_raw(looked_at(ledger), attempt, as_json=as_json)
        return
    opened = opened_ledger(ledger)
    holds = reviews.unknown_holds(opened)
    if as_json:
        print(json.dumps([_as_json(hold) for hold in holds]))
    elif holds:
        print_table(screen(), _HEADINGS, [_cells(hold) for hold in holds])
        total = shown_most(sum(hold.held for hold in holds))
        print(f"{len(holds):,} attempt(s), {total} held in total.")
        hint = "`weighbridge review book --attempt ID` with --billed USD or --not-billed ends a hold."
        if any(hold.has_raw for hold in holds):
            hint += "\n`weighbridge review holds --attempt ID` shows what came, `weighbridge review accept` accepts it."
        print(at_ledger(hint, ledger))
    else:
        print(f"No money is held for an attempt of unknown outcome in {opened.url}.")


def _show_raw(url: str, attempt_id: str, *, as_json: bool) -> None:
    with asking(url) as ask:
        raw = raw_answer_of(ask, attempt_id)
    if raw is None:
        raise BadInput(
            f"In {masked_url(url)}, nothing is kept that came for an attempt {attempt_id} of unknown outcome; "
            "`weighbridge review holds` lists those there are."
        )
    if as_json:
        print(json.dumps(raw_values(raw)))
        return
    print_raw_text(screen(), raw)
    print(f"`weighbridge review accept --attempt {raw.attempt_id} --billed USD` makes it the answer.")


def _as_json(hold: UnknownHold) -> dict[str, str | int | bool | None]:
    return {
        "attempt": hold.attempt_id,
        "job": hold.job_id,
        "run": hold.run_id,
        "model": hold.model,
        "held_usd": usd_text(hold.held),
        "since": None if hold.since is None else hold.since.isoformat(),
        "review": hold.review_id,
        "came": hold.has_raw,
    }


def _cells(hold: UnknownHold) -> tuple[str, ...]:
    return (
        hold.attempt_id,
        hold.job_id,
        hold.run_id,
        hold.model,
        shown_most(hold.held),
        "" if hold.since is None else f"{hold.since:%Y-%m-%d %H:%M}",
        "" if hold.review_id is None else str(hold.review_id),
        "yes" if hold.has_raw else "",
    )
