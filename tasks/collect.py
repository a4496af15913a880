"""Collect: go on with what interrupted runs left with the provider, and finish those runs."""

import logging
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from rules.deadline import deadline_at
from rules.models import Models
from rules.policy_on_record import policy_on_record
from schemas.batch import Collection, OpenBatch
from schemas.job import RunId
from schemas.report import CallFigures, RunReport
from schemas.run import RunKey, RunOnRecord, RunReference
from services.gateway import Gateway
from services.ledger import Ledger, batch_attempts, batches, reviews, runs
from tasks.close_dead import close_dead, show_dead
from tasks.keep_alive import kept_alive
from tasks.park_for_review import park_for_review
from tasks.publish import publish
from tasks.report_run import report_run
from tasks.run import Run
from tasks.step import step
from tasks.watch_batch import Sightings, log_unexpected, look

log = logging.getLogger("weighbridge")


@dataclass(slots=True)
class _Round:
    """One round of collecting, as far as it has come.

    Attributes:
        reports: of the runs that are finished now.
        out: batches that are not settled yet.
        elsewhere: those of them that belong to another endpoint or workspace.
    """

    ledger: Ledger
    gateway: Gateway
    reports: list[RunReport] = field(default_factory=list)
    out: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)


@step
async def collect(ledger: Ledger, gateway: Gateway) -> Collection:
    """Look once at every batch that runs left behind, and finish the runs that wait for no more.

    A batch that was given up is looked at as long as the provider keeps results; what it brings is settled, and the
    results and the report of its run are written again. So are those of a run whose raw answers a person accepted. A
    run or a batch that cannot be collected stops no other.
    """
    collecting = _Round(ledger, gateway)
    left: dict[RunId, list[OpenBatch]] = defaultdict(list)
    for batch in await ledger.off_loop(batches.left_by_ended_runs):
        left[batch.run_id].append(batch)
    await close_dead(ledger)
    for found in await ledger.off_loop(runs.left_unended):
        # each as its turn comes: its lease would run out while others are finished
        token = await ledger.off_loop(runs.take_over, found)
        if token is None:
            continue
        key = RunKey(found.run_id, token)
        try:
            await _finish(collecting, found, key)
        except BaseException as error:
            runs.let_go(ledger, key)
            if not isinstance(error, Exception):
                raise
            _could_not(collecting, found.run_id, error)
    for run_id, of_run in left.items():
        try:
            await _look_again(collecting, run_id, of_run)
        except Exception as error:  # noqa: BLE001 - the boundary of a run
            _could_not(collecting, run_id, error)
    for run_id in await ledger.off_loop(reviews.runs_to_publish):
        try:
            await _publish_again(collecting, run_id)
        except Exception as error:  # noqa: BLE001 - the boundary of a run
            _could_not(collecting, run_id, error)
    return Collection(collecting.reports, len(collecting.out), len(collecting.elsewhere))


def _could_not(collecting: _Round, run_id: str, error: Exception) -> None:
    """Report a run that could not be collected, by its id and the kind of error alone; it stays as it is."""
    log.error(
        "Run %s could not be collected (%s). What it holds stays; the other runs go on.",
        run_id,
        type(error).__name__,
    )
    collecting.out |= {batch.batch_id for batch in batches.open_of_run(collecting.ledger, RunId(run_id))}


async def _finish(collecting: _Round, found: RunOnRecord, key: RunKey) -> None:
    """Look at the batches of an interrupted run, and finish it when it waits for none of them any more."""
    ledger = collecting.ledger
    run = collected_run(found, ledger, collecting.gateway, key.owner)
    with kept_alive(run):
        await _look_at(collecting, run, await ledger.off_loop(batches.open_of_run, run.run_id))
        left = await ledger.off_loop(runs.close_own_books, key, review_unknown=found.parks_unknown)
        await park_for_review(run)
        if left:
            waited_for = await ledger.off_loop(batches.open_of_run, run.run_id)
            collecting.out |= {batch.batch_id for batch in waited_for}
            await ledger.off_loop(runs.let_go, key)
            return
        await publish(run)
        collecting.reports.append(await report_run(run))
    # again, for Prefect may have been away when its books were closed
    await show_dead(ledger, [run.run_id])


async def _look_again(collecting: _Round, run_id: RunId, of_run: list[OpenBatch]) -> None:
    """Look again at batches that an ended run left behind; what they bring is in its results and report then."""
    ledger = collecting.ledger
    found = await ledger.off_loop(runs.find, run_id)
    if found is None:
        return
    run = collected_run(found, ledger, collecting.gateway)
    ids = [batch.batch_id for batch in of_run]
    before = await ledger.off_loop(batch_attempts.ends_of, ids)
    given_up = {batch.batch_id for batch in of_run if batch.given_up_at is not None}
    await _look_at(collecting, run, of_run)
    # nobody waits for what was given up
    collecting.out -= given_up
    collecting.elsewhere -= given_up
    if await ledger.off_loop(batch_attempts.ends_of, ids) == before:
        return
    with ledger.write() as connection:
        reviews.close_answered(connection, run_id)
        reviews.name_cut_off(connection, run_id)
    await publish(run)
    collecting.reports.append(await report_run(run))


async def _publish_again(collecting: _Round, run_id: RunId) -> None:
    """Write the results and the report of an ended run again, which lack an answer that a person accepted since."""
    found = await collecting.ledger.off_loop(runs.find, run_id)
    if found is None:
        return
    run = collected_run(found, collecting.ledger, collecting.gateway)
    await publish(run)
    collecting.reports.append(await report_run(run))


async def _look_at(collecting: _Round, run: Run, of_run: list[OpenBatch]) -> None:
    """Look once at batches; one that cannot be looked at is logged, and the others go on."""
    for batch in of_run:
        seen = Sightings()
        try:
            is_done = await look(run, batch.batch_id, seen)
        except Exception as error:  # noqa: BLE001 - the boundary of a batch
            is_done = False
            log_unexpected(batch.batch_id, error)
        if not is_done:
            collecting.out.add(batch.batch_id)
        if seen.elsewhere:
            collecting.elsewhere.add(batch.batch_id)
            if batch.given_up_at is None:
                log.warning("%s", seen.elsewhere)


def collected_run(found: RunOnRecord, ledger: Ledger, gateway: Gateway, owner: str = "") -> Run:
    """A run on record as far as it can be gone on with: nothing new is sent under it, and its calls are its own."""
    policy, dropped = policy_on_record(found)
    if dropped:
        log.warning(
            "The policy of %s is not valid any more (%s); the run is settled and reported without these sections.",
            found.run_id,
            ", ".join(dropped),
        )
    reference = RunReference(
        run_id=found.run_id,
        policy=policy,
        ledger_url=ledger.engine.url.render_as_string(hide_password=False),
        results=str(Path(found.results_path)),
        started_at=found.started_at or datetime.now(UTC),
        prefect_flow_run_id=found.prefect_flow_run_id,
        quote_id=found.quote_id,
        owner=owner,
        deadline=None if found.deadline_at is None else deadline_at(policy, found.deadline_at),
    )
    run = Run.of(reference, ledger, gateway, Models(policy))
    calls = CallFigures.model_validate(found.calls or {})
    return replace(run, gateway=gateway.counting_in(calls))
