"""The audit of tools: what tool definitions weigh and cost. `audit-tools --json` prints exactly this."""

from pydantic import BaseModel, ConfigDict

from schemas.decimal_text import UsdText


class _AuditPart(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AuditedTool(_AuditPart):
    """One tool of a set.

    Attributes:
        tokens: what a request weighs less without it.
        jobs: that carry it.
        calls: of it in kept answers.
        usd: what its definition costs over all of these jobs.
        advice: "drop", "shorten", or None.
    """

    name: str
    tokens: int
    jobs: int
    calls: int
    usd: UsdText
    advice: str | None = None


class AuditedToolSet(_AuditPart):
    """One distinct set of tools under one model.

    Attributes:
        fixed_tokens: the model's own prompt for tools, and what else belongs to no single one.
        names_only_tokens: with nothing but the names of the tools.
        share: of the input tokens of its jobs, in percent.
        usd: what all of it costs over its jobs.
        drop_usd: of it, what tools that were never called cost.
        repeated_bytes: of paragraphs that stand in several descriptions, beyond the first time.
        uncounted: tools that the provider does not count: server tools, and those that are loaded later.
    """

    jobs: int
    model: str
    tokens_with_all: int
    tokens_with_none: int
    fixed_tokens: int
    names_only_tokens: int
    share: UsdText
    usd: UsdText
    drop_usd: UsdText
    repeated_bytes: int
    uncounted: list[str] = []
    tools: list[AuditedTool]


class ToolAudit(_AuditPart):
    """The audit of a job file.

    Attributes:
        answers: kept answers of jobs with tools, in which calls were counted.
        uncountable_jobs: that carry only tools which the provider does not count.
        calls: free calls to count_tokens that the audit made.
    """

    simulated: bool = False
    jobs_path: str = ""
    jobs: int = 0
    jobs_with_tools: int = 0
    uncountable_jobs: int = 0
    answers: int = 0
    calls: int = 0
    tool_sets: list[AuditedToolSet] = []
    error: str | None = None
