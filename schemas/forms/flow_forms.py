"""The form of each flow: what people need comes first, where things are kept comes last."""

from typing import Annotated

from pydantic import Field

from schemas.forms.fields import (
    BaseUrl,
    DaskAddress,
    Deadline,
    Effort,
    IdColumn,
    Jobs,
    Ledger,
    Limit,
    Line,
    MaxInputTokens,
    ModeChoice,
    ModeOfApproved,
    MoveDone,
    Policy,
    PromptColumn,
    Results,
    RunBudget,
    RunnerChoice,
    Sample,
    Seed,
    ThinkingBudget,
    Workers,
)
from schemas.forms.input_form import InputForm


class NightlyForm(InputForm):
    """What `nightly_batch` may be asked."""

    jobs: Jobs
    mode: ModeChoice = None
    run_budget_usd: RunBudget = None
    policy: Policy = None
    max_input_tokens: MaxInputTokens = None
    limit: Limit = None
    quote: Annotated[
        Line | None,
        Field(
            title="Quote",
            description="The id of a quote. The run does not start when the file, the policy, the prices or a cap do not fit "
            "it. Empty: the run is held to none.",
        ),
    ] = None
    deadline: Deadline = None
    resubmit_approved: Annotated[
        bool,
        Field(
            title="Also what was approved",
            description="Also send what reviewers approved, each job under its own ceiling.",
        ),
    ] = False
    allow_no_jobs: Annotated[
        bool,
        Field(
            title="A night without jobs is complete",
            description="Without a job file, or a row in it, the run is complete. Otherwise it fails.",
        ),
    ] = False
    effort: Effort = None
    thinking_budget: ThinkingBudget = None
    sample: Sample = None
    seed: Seed = 1
    id_column: IdColumn = None
    prompt_column: PromptColumn = None
    move_done: MoveDone = None
    runner: RunnerChoice = None
    workers: Workers = None
    dask_address: DaskAddress = None
    ledger: Ledger = None
    results: Results = None
    base_url: BaseUrl = None


class QuoteForm(InputForm):
    """What `quote` may be asked."""

    jobs: Jobs
    mode: ModeChoice = None
    run_budget_usd: RunBudget = None
    policy: Policy = None
    against: Annotated[
        Line | None,
        Field(title="Policy to compare with", description="Another policy file (TOML). Empty: none."),
    ] = None
    sample: Annotated[
        Sample,
        Field(description="Look at this many rows only, and estimate the whole file. Empty: look at all."),
    ] = None
    seed: Seed = 1
    max_input_tokens: MaxInputTokens = None
    limit: Limit = None
    deadline: Deadline = None
    id_column: IdColumn = None
    prompt_column: PromptColumn = None
    ledger: Ledger = None
    results: Results = None
    base_url: BaseUrl = None


class ToolAuditForm(InputForm):
    """What `audit_tools` may be asked."""

    jobs: Jobs
    mode: ModeChoice = None
    policy: Policy = None
    limit: Limit = None
    id_column: IdColumn = None
    prompt_column: PromptColumn = None
    ledger: Ledger = None
    results: Results = None
    base_url: BaseUrl = None


class CollectForm(InputForm):
    """What `collect_batches` may be asked."""

    ledger: Ledger = None
    base_url: BaseUrl = None


class ResubmitForm(InputForm):
    """What `resubmit_approved` may be asked."""

    run_budget_usd: RunBudget = None
    mode: ModeOfApproved = None
    policy: Policy = None
    ledger: Ledger = None
    results: Results = None
    base_url: BaseUrl = None
