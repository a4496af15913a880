"""A run: what a person or a schedule asks of it, and what is known of it at its beginning."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas.budget import CapSource
from schemas.job import RunId
from schemas.policy import Policy


class RunKey(NamedTuple):
    """A run, and the fencing token that shows that the caller owns it: what it takes to hold money and to send."""

    run_id: RunId
    owner: str


class Way(NamedTuple):
    """One way to think: at an effort, or else with a budget in tokens; with neither, as the payload or the model says."""

    effort: str | None = None
    budget: int | None = None


class RunsOn(NamedTuple):
    """Where a run was asked to make its counts and paid calls, in place of its policy; None leaves it to the policy.

    Attributes:
        runner: "local", "processes" or "dask".
        workers: how many processes.
        dask_address: of the cluster's scheduler.
    """

    runner: str | None = None
    workers: int | None = None
    dask_address: str | None = None


AS_THE_POLICY_SAYS = RunsOn()
#: what the payload asks for, or else what the model does by itself
OWN_WAY = Way()


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """How many rows of a file to draw, and which: the same for the same seed."""

    rows: int
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the answers of a run are due.

    Attributes:
        due: the moment, in UTC.
        at_risk_from: from this moment on, what is still to come goes out at full price.
    """

    due: datetime
    at_risk_from: datetime

    @property
    def period(self) -> str:
        """The period of its window of money, which all runs that are due at this moment share."""
        return f"{self.due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class RunReference:
    """What a run is, small and picklable: another process could open its services from it.

    Attributes:
        ledger_url: with its password, so it is not shown.
        results: the folder of the run's own results.
        base_url: the API's address; None leaves it to the environment.
        started_at: its lessons are what had ended before.
        prefect_flow_run_id: the flow run that shows it.
        quote_id: the quote that it is held to.
        owner: the fencing token with which this process may send for it.
        way: to think, that every row is asked with in place of its own.
        sample: the rows that it was asked to draw; None: it reads all.
        deadline: when its answers are due; None: they may take as long as they take.
        cap_from: where its own budget came from.
    """

    run_id: RunId
    policy: Policy
    ledger_url: str = field(repr=False)
    results: str
    started_at: datetime
    base_url: str | None = None
    prefect_flow_run_id: str | None = None
    quote_id: str | None = None
    owner: str = field(default="", repr=False)
    way: Way = OWN_WAY
    sample: SampleOptions | None = None
    deadline: Deadline | None = None
    cap_from: CapSource = CapSource.UNKNOWN

    @property
    def key(self) -> RunKey:
        """What it takes to hold money and to send for the run."""
        return RunKey(self.run_id, self.owner)


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is known of a run at its beginning."""

    run_id: RunId
    jobs_path: str
    results_path: str
    policy: dict[str, Any]
    mode: str
    endpoint: str
    simulated: bool
    prefect_flow_run_id: str | None
    started_at: datetime | None = None
    owner: str | None = None
    parks_unknown: bool = True
    quote_id: str | None = None
    deadline_at: datetime | None = None
    #: whose days its money is counted under
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class RunOnRecord:
    """A run as the ledger has it.

    Attributes:
        policy: as JSON, of the version that began the run.
        process_started: when its process began, seconds since the epoch; 0: it belongs to nobody.
        ended_at: None: it has not ended.
        report: as JSON; None: it has none.
    """

    run_id: RunId
    jobs_path: str
    results_path: str
    policy: dict[str, Any]
    mode: str
    endpoint: str
    simulated: bool
    prefect_flow_run_id: str | None
    host: str
    pid: int
    process_started: int
    started_at: datetime
    heartbeat_at: datetime
    ended_at: datetime | None
    outcome: str | None
    report: dict[str, Any] | None
    owner: str | None = None
    boot_id: str | None = None
    pid_namespace: str | None = None
    parks_unknown: bool = True
    workspace: str | None = None
    calls: dict[str, Any] | None = None
    quote_id: str | None = None
    deadline_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a person or a schedule says of a run; None leaves it to the settings and the policy.

    Attributes:
        jobs: a job file, a folder of them, or a glob, {date} for the day; None: only what people approved.
        policy: a policy file.
        ledger: a SQLAlchemy URL.
        results: the folder that the run's own results folder goes into.
        max_input_tokens: a job over this many goes to review.
        run_budget_usd: decimal text: the most this run may hold and settle.
        limit: only the first rows, at most this many.
        mode: "messages" or "batches".
        base_url: the API's endpoint.
        prefect_flow_run_id: the flow run that shows it.
        deployment: the id of the Prefect deployment that started it, if one did.
        resubmit_approved: also send what people approved, each job under its own ceiling.
        quote: the id of a quote that it is held to.
        way: to think, that every row is asked with in place of its own.
        sample: draw some of the rows, and leave the others alone.
        id_column: the column of the job's id.
        prompt_column: the column of the prompt, or a template over columns.
        deadline: a time of day such as 06:30, in the policy's time zone, at which its answers are due.
        runs_on: where its counts and paid calls are made.
        move_done: the folder that job files are moved to of which nothing is left, {date} for the day; None: they stay.
        scheduled_for: when it was to begin: its day is that of the {date} in `jobs`; None: now.
    """

    jobs: str | None
    policy: str | None = None
    ledger: str | None = None
    results: str | None = None
    max_input_tokens: int | None = None
    run_budget_usd: str | None = None
    limit: int | None = None
    base_url: str | None = None
    mode: str | None = None
    prefect_flow_run_id: str | None = None
    deployment: str | None = None
    resubmit_approved: bool = False
    quote: str | None = None
    way: Way = OWN_WAY
    sample: SampleOptions | None = None
    id_column: str | None = None
    prompt_column: str | None = None
    deadline: str | None = None
    runs_on: RunsOn = AS_THE_POLICY_SAYS
    move_done: str | None = None
    scheduled_for: datetime | None = None

    @property
    def cap_from(self) -> CapSource:
        """Where the run's own budget comes from."""
        if self.run_budget_usd is None:
            return CapSource.POLICY
        return CapSource.OPTION if self.deployment is None else CapSource.PARAMETER
