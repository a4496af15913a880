"""Start: everything that must hold before the first count.

Opens the ledger and the gateway, checks the policy's models against the provider and the prices, and puts the run on
record.
"""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from rules.asked_way import way_refused
from rules.dated_path import dated_path
from rules.deadline import deadline_of
from rules.models import Models
from schemas.errors import BadInput, NoJobs
from schemas.job import RunId
from schemas.ledger_place import ledger_url_of, named_ledger_url
from schemas.outcome import Mode
from schemas.policy import Policy
from schemas.run import OWN_WAY, NewRun, RunOptions, RunReference, Way
from schemas.settings import Settings
from services.flow_process import prepare_flow_process
from services.gateway import open_gateway
from services.job_file import JobFile
from services.ledger import Ledger, open_ledger, reviews, runs
from services.ledger.leases import new_token
from services.ledger.store import is_lasting_url
from services.policy_file import read_policy
from services.result_file import writable_folder
from tasks.check_models import checked_models
from tasks.check_quote import check_quote
from tasks.close_dead import close_dead
from tasks.end_early import end_early
from tasks.hand_out import check_ledger_for_workers, with_workers
from tasks.keep_alive import kept_alive
from tasks.move_done import check_move_done
from tasks.run import Run

log = logging.getLogger("weighbridge")

#: why a run that would send only what people approved is not made
NOTHING_APPROVED = "No review is approved or edited."


@asynccontextmanager
async def start_run(options: RunOptions) -> AsyncIterator[tuple[Run, JobFile | None]]:
    """A run on record, with its checked job file if it has one. However it is left, its books are closed.

    Raises:
        NoJobs: it has no job file, and no review is approved.
        BadInput: the job file, the policy, one of its models, the ledger or the results cannot be used. Nothing was
            counted.
        RunFailed: the ledger or the provider does not answer.
    """
    prepare_flow_process()
    settings = Settings()
    check_lasting(options, settings)
    _check_job_file_alone(options)
    policy = run_policy(options, settings)
    file = job_file(options, policy)
    check_move_done(options, policy, file)
    ledger_url = ledger_url_of(options.ledger)
    check_ledger_for_workers(policy, ledger_url)
    run_id = _new_id()
    results = writable_folder(Path(options.results or settings.results).absolute()) / run_id
    ledger = open_ledger(ledger_url)
    try:
        if file is None:
            policy = _as_approved(policy, options, ledger)
        async with open_gateway(policy.limits, options.base_url, ledger) as gateway:
            models = await checked_models(gateway, policy)
            _check_way(options.way, models, policy)
            await close_dead(ledger)
            started_at = datetime.now(UTC)
            reference = RunReference(
                run_id=run_id,
                policy=policy,
                ledger_url=ledger_url,
                results=str(results),
                started_at=started_at,
                base_url=options.base_url,
                prefect_flow_run_id=options.prefect_flow_run_id,
                quote_id=options.quote,
                owner=new_token(),
                way=options.way,
                sample=options.sample,
                deadline=deadline_of(policy, started_at),
                cap_from=options.cap_from,
            )
            run = Run.of(reference, ledger, gateway, models)
            if options.quote is not None:
                check_quote(run, options.quote, file, options)
            put_on_record(run, file.path if file else "reviews")
            if file and file.ignored_columns:
                log.warning("Columns that no job has are left alone: %s.", ", ".join(file.ignored_columns))
            with kept_alive(run):
                try:
                    async with with_workers(run) as staffed:
                        yield staffed, file
                except BaseException:
                    end_early(run)
                    raise
    finally:
        ledger.close()


def check_lasting(options: RunOptions, settings: Settings) -> None:
    """Check that a run of a deployment keeps its ledger and results where they last: its folder may be a passing one.

    Raises:
        BadInput: one of the two is relative to the current folder, or left to the default there.
    """
    if options.deployment is None:
        return
    ledger = named_ledger_url(options.ledger)
    results = options.results or (str(settings.results) if settings.model_fields_set & {"results"} else None)
    if ledger is None or not is_lasting_url(ledger):
        raise BadInput(
            "A run of a deployment needs a ledger at an absolute place, for its folder may be gone after the run: set "
            "WEIGHBRIDGE_LEDGER in the worker's environment, such as sqlite:////srv/weighbridge/ledger.db, or the "
            "parameter ledger. Nothing was counted or sent."
        )
    if results is None or not Path(results).is_absolute():
        raise BadInput(
            "A run of a deployment needs an absolute results folder: set WEIGHBRIDGE_RESULTS in the worker's "
            "environment, or the parameter results. Nothing was counted or sent."
        )


def _check_job_file_alone(options: RunOptions) -> None:
    """Check that a run that asks for a way to think or a sample is about the rows of the job file, as they are asked.

    Raises:
        BadInput: it would also send what was approved, or it is held to a quote.
    """
    if options.way == OWN_WAY and options.sample is None:
        return
    if options.resubmit_approved:
        raise BadInput(
            "--sample, --effort and --thinking-budget are about the rows of the job file; what was approved is sent as it was approved, in "
            "another run. Nothing was counted or sent."
        )
    if options.quote is not None:
        raise BadInput(
            f"The quote {options.quote} is about all rows of the job file as they are; leave out --quote, or --sample, "
            "--effort and --thinking-budget. Nothing was counted or sent."
        )


def _as_approved(policy: Policy, options: RunOptions, ledger: Ledger) -> Policy:
    """The policy of a run that sends only what was approved: in batches where a run in batches parked some of it.

    What was approved at the price of a batch is above its ceiling at full price, and would only wait again.

    Raises:
        NoJobs: nothing waits to be sent, and the run would be an empty one.
    """
    modes = reviews.modes_of_approved(ledger, datetime.now(UTC))
    if not modes:
        raise NoJobs(NOTHING_APPROVED)
    if options.mode is None and Mode.BATCHES in modes:
        return policy.overridden(None, None, Mode.BATCHES)
    return policy


def _check_way(way: Way, models: Models, policy: Policy) -> None:
    """Check that some route takes the way to think that a run asks for.

    Raises:
        BadInput: none does.
    """
    if way != OWN_WAY and (why := way_refused(way, models, policy.mode)):
        raise BadInput(f"{why} Nothing was counted or sent.")


def run_policy(options: RunOptions, settings: Settings) -> Policy:
    """The policy of a run: the file's, with the run's own limits and columns in its place.

    Raises:
        BadInput: the file or one of the limits cannot be used.
    """
    policy = read_policy(Path(options.policy or settings.policy))
    budget = None
    if options.run_budget_usd is not None:
        try:
            budget = Decimal(options.run_budget_usd)
        except InvalidOperation as error:
            raise BadInput(f"The run budget {options.run_budget_usd!r} is not an amount of USD.") from error
    policy = policy.overridden(
        options.max_input_tokens,
        budget,
        options.mode,
        id_column=options.id_column,
        prompt_column=options.prompt_column,
        deadline=options.deadline,
    ).running_on(*options.runs_on)
    if options.deadline is not None and policy.mode is not Mode.BATCHES:
        raise BadInput(
            "--deadline is for a run in batches: in messages mode everything goes out at once. Add --mode batches, or "
            "leave it out; nothing was sent."
        )
    return policy


def job_file(options: RunOptions, policy: Policy) -> JobFile | None:
    """The checked job file of a run; None: it has none.

    Raises:
        NoJobs: it is not there, or has no rows.
        BadInput: it cannot be used.
    """
    if options.jobs is None:
        return None
    path = dated_path(options.jobs, options.scheduled_for or datetime.now(UTC), policy.time_zone)
    return JobFile(path, policy.jobs, policy.results.keep)


def put_on_record(run: Run, jobs_path: str) -> None:
    """Put a run on record at its beginning.

    Args:
        run: the run.
        jobs_path: where its jobs come from.
    """
    runs.begin(
        run.ledger,
        NewRun(
            run_id=run.run_id,
            jobs_path=jobs_path,
            results_path=str(run.results),
            policy=run.policy.model_dump(mode="json"),
            mode=run.policy.mode,
            endpoint=run.gateway.endpoint,
            simulated=run.gateway.simulated,
            prefect_flow_run_id=run.reference.prefect_flow_run_id,
            quote_id=run.reference.quote_id,
            deadline_at=run.reference.deadline.due if run.reference.deadline else None,
            started_at=run.reference.started_at,
            owner=run.reference.owner,
            parks_unknown=run.policy.parks_unknown,
            time_zone=run.policy.time_zone,
        ),
    )


def _new_id() -> RunId:
    return RunId(f"run-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}")
