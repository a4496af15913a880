"""Start: everything that must hold before the first count.

Opens the ledger and the gateway, checks the policy's models against the provider and the prices, and puts the run on
record.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from rules.lesson import Lesson, LessonKey
from rules.prices import PriceCard, Unpriced
from schemas.budget import WindowCap
from schemas.errors import BadInput, RunFailed
from schemas.failures import AccessDenied, CallFailed, SpendLimitReached
from schemas.job import RunId
from schemas.model_facts import ModelFacts
from schemas.outcome import Mode, Reason, Scope
from schemas.policy import Policy
from schemas.run import NewRun, RunOptions
from schemas.settings import Settings
from services.gateway import Gateway, open_gateway
from services.job_file import JobFile
from services.ledger import Ledger, open_ledger, runs
from services.ledger.journal import Journal
from services.ledger.windows import windows_of
from services.policy_file import read_policy

log = logging.getLogger("weighbridge")

_HEARTBEAT_SECONDS = 30
_BUDGET_REASONS = {
    Scope.RUN: Reason.RUN_BUDGET,
    Scope.DAY: Reason.DAY_BUDGET,
    Scope.MONTH: Reason.MONTH_BUDGET,
}
#: a model that retires sooner is warned of
_RETIRES_SOON = timedelta(days=30)
#: the longest a batch takes (source: Anthropic batch processing page, 2026-10-08)
_BATCH_TAKES = timedelta(hours=24)


class Run:
    """A run under way: its policy, and the services its steps use.

    Attributes:
        models: what the provider says of the models that may be called in this run.
        listed: the same of every model it serves.
        lessons: what its estimates go by; see `tasks.learn`.
        stopped: why no more may be sent, once that is so.
        short_groups: groups whose own money is in flight; their jobs wait until some of it comes back.
        watched: our ids of the batches that this run waits for.
        not_ours: our id of a batch and the provider's of one that was shown not to be it.
    """

    def __init__(
        self, run_id: RunId, policy: Policy, ledger: Ledger, gateway: Gateway, results: Path
    ) -> None:
        self.run_id = run_id
        self.policy = policy
        self.ledger = ledger
        self.gateway = gateway
        self.results = results / run_id
        self.journal = Journal(ledger)
        self.models: dict[str, ModelFacts] = {}
        self.listed: dict[str, ModelFacts] = {}
        self._cards: dict[tuple[str, date], PriceCard] = {}
        self.lessons: dict[LessonKey, Lesson] = {}
        self.stopped: Reason | None = None
        self.short_groups: set[str] = set()
        self.watched: set[str] = set()
        self.not_ours: set[tuple[str, str]] = set()
        self._judged: dict[str, str | None] = {}
        self.began = time.monotonic()
        self.prefect_flow_run_id: str | None = None

    @property
    def largest_model(self) -> str:
        return self.policy.routes[-1].model

    def price_card(self, model: str, on: datetime | None = None) -> PriceCard:
        """The prices of a model, whether or not it may still be called, on the UTC day of a call.

        Args:
            model: the model id.
            on: the moment of the call; None: now.

        Raises:
            Unpriced: no price is known for it on that day.
        """
        on = on or datetime.now(UTC)
        key = (model, on.date())
        if key not in self._cards:
            self._cards[key] = PriceCard(model, on, self.policy)
        return self._cards[key]

    def caps(self, groups: Collection[str] = ()) -> list[WindowCap]:
        """The caps of the windows that a hold taken now falls under: those of all jobs, then those of each group."""
        today = datetime.now(self.policy.zone).date().isoformat()
        return [
            WindowCap(
                window,
                self.policy.cap(window.scope, window.group),
                Reason.GROUP_BUDGET if window.group else _BUDGET_REASONS[window.scope],
                self.policy.hold.reserve,
            )
            for window in windows_of(self.run_id, today, *sorted(groups))
        ]

    async def admit_model(self, model: str) -> str | None:
        """Make a model callable in this run; why it cannot be, or None when it can.

        A model without a price, unknown to the provider or retired is never called, nor one in a batch that takes
        none or retires before the batch has surely ended.
        """
        if model in self._judged:
            return self._judged[model]
        why = await self._judge(model)
        self._judged[model] = why
        return why

    async def _judge(self, model: str) -> str | None:
        facts = self.models.get(model) or self.listed.get(model) or await self.gateway.model(model)
        if facts is None:
            return f"the provider knows no model {model}"
        if facts.lifecycle == "retired":
            return f"{model} is retired: the provider no longer answers for it"
        if why := _no_batches(facts) if self.policy.mode is Mode.BATCHES else None:
            return why
        try:
            self.price_card(model)
        except Unpriced as error:
            return str(error)
        self.models[model] = facts
        if ending := _ending(facts):
            log.warning("%s %s; choose its successor in the policy.", model, ending)
        return None


def _no_batches(facts: ModelFacts) -> str | None:
    """Why a model cannot be called in a batch that starts now, or None when it can."""
    if facts.batch is False:
        return f"{facts.model} does not answer in batches"
    if facts.retires_at is not None and facts.retires_at < datetime.now(UTC) + _BATCH_TAKES:
        return f"{facts.model} retires on {facts.retires_at:%Y-%m-%d}, before a batch would surely have ended"
    return None


def _ending(facts: ModelFacts) -> str | None:
    """How a model nears its end, or None while it does not."""
    soon = facts.retires_at is not None and facts.retires_at < datetime.now(UTC) + _RETIRES_SOON
    words = ["is deprecated"] if facts.lifecycle == "deprecated" else []
    if facts.retires_at is not None and (words or soon):
        words.append(f"retires on {facts.retires_at:%Y-%m-%d}")
    return " and ".join(words) or None


def stopping(error: CallFailed) -> Reason | None:
    """Why a failed call stops the whole run, or None when it concerns its own job only."""
    if isinstance(error, SpendLimitReached):
        return Reason.PROVIDER_SPEND_LIMIT
    return Reason.ACCESS_DENIED if isinstance(error, AccessDenied) else None


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
    ledger = open_ledger(options.ledger or settings.ledger_url)
    results = Path(options.results or settings.results).absolute()
    try:
        async with open_gateway(policy.limits, options.base_url) as gateway:
            run = Run(_new_id(), policy, ledger, gateway, results)
            run.prefect_flow_run_id = options.prefect_flow_run_id
            await _check_models(run)
            for run_id in runs.close_dead_runs(ledger):
                log.warning("Run %s died; its books are closed, and this run goes on from them.", run_id)
            _put_on_record(run, file)
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


async def _check_models(run: Run) -> None:
    run.models = {}
    run.listed = await run.gateway.models()
    for route in run.policy.routes:
        try:
            why = await run.admit_model(route.model)
        except CallFailed as error:
            raise RunFailed(
                f"The model {route.model} could not be looked up: {error}. Nothing was sent."
            ) from error
        if why:
            raise BadInput(
                f"The policy {run.policy.name!r} sends route {route.name!r} to {route.model}, which cannot be used: "
                f"{why}. Name another model; nothing was sent."
            )


def _put_on_record(run: Run, file: JobFile | None) -> None:
    runs.begin(
        run.ledger,
        NewRun(
            run_id=run.run_id,
            jobs_path=file.path if file else "reviews",
            results_path=str(run.results),
            policy=run.policy.model_dump(mode="json"),
            mode=run.policy.mode,
            endpoint=run.gateway.endpoint,
            simulated=run.gateway.simulated,
            prefect_flow_run_id=run.prefect_flow_run_id,
        ),
    )


def _close_early(run: Run) -> None:
    out = runs.close_early(run.ledger, run.run_id, review_unknown=run.policy.on_unknown == "review")
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
            await asyncio.to_thread(runs.beat, run.ledger, run.run_id)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


def _new_id() -> RunId:
    return RunId(f"run-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}")
