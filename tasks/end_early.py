"""End early: close the books of a run that was interrupted, and publish what it paid for, however it ends."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from prefect.context import FlowRunContext

from schemas.report import RunReport
from services.ledger import runs
from services.ledger.store import NotOwner
from tasks.park_for_review import park_for_review
from tasks.publish import publish
from tasks.report_run import finish_with_report, report_on, show_report, write_report
from tasks.run import Run

log = logging.getLogger("weighbridge")


def end_early(run: Run) -> None:
    """Close the books of a run, publish its answers and make its report, each as far as it can be done.

    Runs on the caller's thread to its end, so that a cancellation does not stop it half-way. Whatever fails is logged; the
    ledger is true in any case, and `weighbridge collect` or the next run does the rest.
    """
    try:
        out = runs.close_own_books(run.ledger, run.reference.key, review_unknown=run.policy.parks_unknown)
        park_for_review.function(run)
        publish.function(run)
        if out:
            _leave_batches(run, out)
        else:
            _show_at_once(finish_with_report(run))
    except NotOwner:
        log.warning("Another process has taken %s over; it closes its books.", run.run_id)
    except Exception as error:  # noqa: BLE001 - the first error is the one to be raised
        log.warning(
            "%s could not be ended in full (%s: %s). What was paid for is in the ledger; `weighbridge collect` publishes "
            "it and makes the report.",
            run.run_id,
            type(error).__name__,
            error,
        )
        _let_go(run)


def _leave_batches(run: Run, out: int) -> None:
    """A run with batches at the provider is reported so far, and given to whoever collects."""
    report = report_on(run)
    write_report(run, report)
    _let_go(run)
    _show_at_once(report)
    log.warning(
        "%s batch(es) of %s are still with the provider, and their holds stay. `weighbridge collect` settles them "
        "when they end; `weighbridge cancel %s` asks the provider to stop.",
        out,
        run.run_id,
        run.run_id,
    )


def _show_at_once(report: RunReport) -> None:
    """Show a report in Prefect while the caller waits, on a loop of its own: that of the caller is being cancelled."""
    if FlowRunContext.get() is None:
        return
    with ThreadPoolExecutor(1) as thread:
        thread.submit(copy_context().run, asyncio.run, show_report(report)).result()


def _let_go(run: Run) -> None:
    try:
        runs.let_go(run.ledger, run.reference.key)
    except Exception as error:  # noqa: BLE001 - its lease ends by itself
        log.warning("The lease of %s could not be given back (%s); it ends by itself.", run.run_id, error)
