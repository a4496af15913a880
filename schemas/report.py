"""What a run tells at its end. `run --json` prints exactly this."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer

from schemas.outcome import RunOutcome

UsdText = Annotated[Decimal, PlainSerializer(lambda value: f"{value:f}", return_type=str)]


class _Figures(BaseModel):
    model_config = ConfigDict(extra="forbid")


class JobFigures(_Figures):
    """Rows by outcome; the outcomes sum to `read`."""

    read: int = 0
    succeeded: int = 0
    review: int = 0
    deferred: int = 0
    rejected: int = 0
    failed: int = 0
    unknown: int = 0


class TokenFigures(_Figures):
    """Tokens of the jobs this run paid for: counted before, billed after."""

    estimated_input: int = 0
    actual_input: int = 0
    actual_output: int = 0


class UsdFigures(_Figures):
    """Decimal USD of the jobs this run paid for.

    Attributes:
        worst_case: what was held for them before they were sent.
        estimated: counted input and the policy's expected share of the output.
        actual: what the provider's usage comes to.
        all_on_largest: what the same tokens would have cost on the policy's largest model.
        held: what this run still holds, for attempts of unknown outcome.
    """

    worst_case: UsdText = Decimal(0)
    estimated: UsdText = Decimal(0)
    actual: UsdText = Decimal(0)
    all_on_largest: UsdText = Decimal(0)
    held: UsdText = Decimal(0)


class CallFigures(_Figures):
    """Calls to the API: free counts, paid messages, batches created, and tries beyond the first."""

    count: int = 0
    message: int = 0
    batch_create: int = 0
    retried: int = 0


class ModelFigures(_Figures):
    """One model's share of the run: estimate beside actual."""

    model: str
    jobs: int
    estimated_input: int
    actual_input: int
    actual_output: int
    estimated_usd: UsdText
    actual_usd: UsdText


class ReasonFigures(_Figures):
    """How many rows ended so for this reason, with one row as an example."""

    outcome: str
    reason: str
    jobs: int
    example_job_id: str | None
    example_detail: str | None


class RowToMend(_Figures):
    """One row that somebody should look at, and why."""

    row_number: int
    job_id: str | None
    outcome: str
    detail: str | None


class Places(_Figures):
    """Where the run's things are."""

    ledger: str
    results: str
    report: str


class RunReport(_Figures):
    """Everything a run says about itself."""

    run_id: str
    outcome: RunOutcome
    jobs: JobFigures = JobFigures()
    tokens: TokenFigures = TokenFigures()
    usd: UsdFigures = UsdFigures()
    calls: CallFigures = CallFigures()
    #: provider batches this run made
    batches: int = 0
    mode: str = "messages"
    seconds: float = 0.0
    simulated: bool = False
    #: succeeded rows that an earlier run had already paid for; they cost nothing here
    from_earlier_runs: int = 0
    #: jobs whose billed input lay above the bound their hold was priced at
    over_bound: int = 0
    largest_model: str = ""
    models: list[ModelFigures] = []
    reasons: list[ReasonFigures] = []
    #: the first rejected, failed and unknown rows; all of them are in the file unanswered-*.parquet
    rows_to_mend: list[RowToMend] = []
    places: Places | None = None
    prefect_flow_run_id: str | None = None
    error: str | None = None
