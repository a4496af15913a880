"""Start: everything that must hold before the first count.

Opens the ledger and the gateway, checks the policy's models against the provider and the prices, and puts the run on
record.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from schemas.errors import BadInput
from schemas.job import RunId
from schemas.policy import Policy
from schemas.run import NewRun, RunOptions, RunReference
from schemas.settings import Settings
from services.gateway import open_gateway
from services.job_file import JobFile
from services.ledger import open_ledger, runs
from services.policy_file import read_policy
from tasks.check_models import checked_models
from tasks.run import Run

log = logging.getLogger("weighbridge")

_HEARTBEAT_SECONDS = 30


@asynccontextmanager
async def start_run(options: RunOptions) -> AsyncIterator[tuple[Run, JobFile | None]]:
    """A run on record, with its checked job file if it has one. However it is left, its books are closed.

    Raises:
        BadInput: the job file, the policy, one of its models, or the ledger cannot be used. Nothing was counted.
        RunFailed: the ledger or the provider does not answer.
    """
    settings = Settings()
    policy = _policy(options, settings)
    file = None if options.jobs is None else JobFile(options.jobs)
    ledger_url = options.ledger or settings.ledger_url
    ledger = open_ledger(ledger_url)
    results = Path(options.results or settings.results).absolute()
    try:
        async with open_gateway(policy.limits, options.base_url) as gateway:
            models = await checked_models(gateway, policy)
            for dead in runs.close_dead_runs(ledger):
                log.warning("Run %s died; its books are closed, and this run goes on from them.", dead)
            run_id = _new_id()
            reference = RunReference(
                run_id=run_id,
                policy=policy,
                ledger_url=ledger_url,
                results=str(results / run_id),
                started_at=datetime.now(UTC),
                base_url=options.base_url,
                models=tuple(models.callable.values()),
                prefect_flow_run_id=options.prefect_flow_run_id,
            )
            run = Run.of(reference, ledger, gateway, models)
            put_on_record(run, file.path if file else "reviews")
            if file and file.ignored_columns:
                log.warning("Columns that no job has are left alone: %s.", ", ".join(file.ignored_columns))
            async with _heartbeat(run):
                try:
                    yield run, file
                except BaseException:
                    _close_early(run)
                    raise
    finally:
        ledger.close()


def _policy(options: RunOptions, settings: Settings) -> Policy:
    policy = read_policy(Path(options.policy or settings.policy))
    budget = None
    if options.run_budget_usd is not None:
        try:
            budget = Decimal(options.run_budget_usd)
        except InvalidOperation as error:
            raise BadInput(f"The run budget {options.run_budget_usd!r} is not an amount of USD.") from error
    return policy.overridden(options.max_input_tokens, budget, options.mode)


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
            started_at=run.reference.started_at,
        ),
    )


def _close_early(run: Run) -> None:
    out = runs.close_early(run.ledger, run.run_id, review_unknown=run.policy.parks_unknown)
    if out:
        log.warning(
            "%s batch(es) of %s are still with the provider, and their holds stay. `weighbridge collect` settles them "
            "when they end; `weighbridge cancel %s` asks the provider to stop.",
            out,
            run.run_id,
            run.run_id,
        )


@asynccontextmanager
async def _heartbeat(run: Run) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            await run.ledger.off_loop(runs.beat, run.run_id)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


def _new_id() -> RunId:
    return RunId(f"run-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}")
