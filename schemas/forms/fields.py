"""The fields that forms share: how each is called, what it means, and which values it takes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from schemas.forms.bounds import (
    DASK_ADDRESS,
    LEAST_ROWS,
    LEAST_SEED,
    LEAST_TOKENS,
    LEAST_WORKERS,
    MOST_WHOLE,
    MOST_WORKERS,
)
from schemas.payload.api_rules import RULES

_NAME = r"\{[^{}\s.:!\[\]]([^{}.:!\[\]]*[^{}\s.:!\[\]])?\}"
_TEXT = r"[^{}]|\{\{|\}\}"
#: a column, or a template as schemas.prompt_template reads it
COLUMN_OR_TEMPLATE = rf"^([^{{}}]+|({_TEXT})*{_NAME}({_TEXT}|{_NAME})*)$"
#: an amount that a policy takes: below a million, in whole nano-USD
USD_AMOUNT = "^[0-9]{1,6}([.][0-9]{1,9})?$"
TIME_OF_DAY = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"


def _whole(value: object) -> object:
    """5 of 5.0, which is a whole number to JSON schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n")


#: a box of a form may add a line end to what is one line
_ONE_LINE = AfterValidator(_without_line_end)
_WHOLE = BeforeValidator(_whole)
#: a part of a number is refused twice by it: only this one says in a form what is wrong
_MULTIPLE = 1

Line = Annotated[str, _ONE_LINE]
NamedLine = Annotated[str, Field(min_length=1), _ONE_LINE]
RowCount = Annotated[int, Field(ge=LEAST_ROWS, le=MOST_WHOLE, multiple_of=_MULTIPLE), _WHOLE]

Jobs = Annotated[
    NamedLine,
    Field(
        title="Job file",
        description="A job file (Parquet, CSV or JSON Lines), a folder of them, or a glob, as the worker sees it. "
        "{date} stands for the day of the run, as 2026-11-27: data/incoming/{date}* is what came in that day.",
    ),
]
ModeChoice = Annotated[
    Literal["messages", "batches"] | None,
    Field(
        title="Mode",
        description="messages: answers now; batches: half the price, within 24 hours. Without one: as the policy says.",
    ),
]
ModeOfApproved = Annotated[
    Literal["messages", "batches"] | None,
    Field(
        title="Mode",
        description="messages: answers now; batches: half the price, within 24 hours. Without one: batches where a run in "
        "batches parked some of it, and as the policy says where none did.",
    ),
]
RunBudget = Annotated[
    Annotated[str, Field(pattern=USD_AMOUNT), _ONE_LINE] | None,
    Field(
        title="Run budget in USD",
        description="The most that the run may hold and spend, such as 12.50, whatever the policy says. Empty: as the policy "
        "says.",
        examples=["12.50"],
    ),
]
Policy = Annotated[
    Line | None,
    Field(
        title="Policy file",
        description="A policy (TOML), as the worker sees it. Empty: WEIGHBRIDGE_POLICY, or the default policy.",
    ),
]
MaxInputTokens = Annotated[
    Annotated[int, Field(ge=LEAST_TOKENS, le=MOST_WHOLE, multiple_of=_MULTIPLE), _WHOLE] | None,
    Field(
        title="Most input tokens of a job",
        description="A job with more input tokens goes to review, whatever the policy says. Empty: as the policy says.",
    ),
]
Limit = Annotated[
    RowCount | None,
    Field(title="First rows only", description="Read the first rows only, at most this many. Empty: all."),
]
Deadline = Annotated[
    Annotated[str, Field(pattern=TIME_OF_DAY), _ONE_LINE] | None,
    Field(
        title="Deadline",
        description="A time of day such as 06:30, in the policy's time zone, at which the answers of a run in batches are "
        "due. Empty: as the policy says.",
        examples=["06:30"],
    ),
]
Effort = Annotated[
    Literal["low", "medium", "high", "xhigh", "max"] | None,
    Field(
        title="Effort",
        description="Ask every row with this effort in place of its own. That makes another request of it, which is paid "
        "for again. Without one: as the rows say.",
    ),
]
ThinkingBudget = Annotated[
    Annotated[
        int,
        Field(ge=RULES.limits.thinking_budget_tokens, le=MOST_WHOLE, multiple_of=_MULTIPLE),
        _WHOLE,
    ]
    | None,
    Field(
        title="Thinking budget in tokens",
        description="Ask every row to think with a budget of this many tokens, in place of its own thinking and effort. As "
        "with an effort, the row is paid for again. Empty: as the rows say.",
    ),
]
Sample = Annotated[
    RowCount | None,
    Field(title="Sample", description="Read this many rows only, drawn by size. Empty: all."),
]
Seed = Annotated[
    Annotated[int, Field(ge=LEAST_SEED, le=MOST_WHOLE, multiple_of=_MULTIPLE), _WHOLE],
    Field(title="Seed of the sample", description="The same seed draws the same rows."),
]
IdColumn = Annotated[
    NamedLine | None,
    Field(title="Column of the job's id", description="Empty: as the policy says, or job_id."),
]
PromptColumn = Annotated[
    Annotated[str, Field(pattern=COLUMN_OR_TEMPLATE)] | None,
    Field(
        title="Column of the prompt",
        description="A column, or a template over columns such as Summarise: {body}; a brace of its own is written twice. "
        "Empty: as the policy says, or prompt.",
        examples=["prompt, or Summarise: {body}; a brace of its own is written twice"],
    ),
]
Ledger = Annotated[
    Line | None,
    Field(
        title="Ledger",
        description="A SQLAlchemy URL, without a password: Prefect shows it. Empty: WEIGHBRIDGE_LEDGER, or data/ledger.db.",
    ),
]
Results = Annotated[
    Line | None,
    Field(
        title="Results folder",
        description="As the worker sees it. Empty: WEIGHBRIDGE_RESULTS, or data/results.",
    ),
]
BaseUrl = Annotated[
    Annotated[str, Field(pattern="^https?://."), _ONE_LINE] | None,
    Field(
        title="Address of the API",
        description="Such as https://api.anthropic.com. Empty: ANTHROPIC_BASE_URL, or Anthropic's own.",
        examples=["https://api.anthropic.com"],
    ),
]
RunnerChoice = Annotated[
    Literal["local", "processes", "dask"] | None,
    Field(
        title="Runner",
        description="Where calls are made: local (in the run's process), processes (on its machine) or dask (a cluster). "
        "Without one: as the policy says.",
    ),
]
Workers = Annotated[
    Annotated[int, Field(ge=LEAST_WORKERS, le=MOST_WORKERS, multiple_of=_MULTIPLE), _WHOLE] | None,
    Field(
        title="Workers",
        description="How many processes, with processes. Empty: as the policy says, or one for each core.",
    ),
]
DaskAddress = Annotated[
    Annotated[str, Field(pattern=DASK_ADDRESS), _ONE_LINE] | None,
    Field(
        title="Address of the Dask cluster",
        description="Its scheduler, such as tcp://10.0.0.5:8786. Empty: as the policy says.",
        examples=["tcp://10.0.0.5:8786"],
    ),
]
MoveDone = Annotated[
    NamedLine | None,
    Field(
        title="Move what is done to",
        description="A folder that job files are moved to once nothing of them is left to do; {date} stands for the day. "
        "Empty: they stay.",
    ),
]
