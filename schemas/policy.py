"""The policy of a run: routes, budgets and rules. One TOML file, one Pydantic model."""

import tomllib
from datetime import time
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator, model_validator

from schemas.budget import ANY_GROUP
from schemas.contract_price import Price
from schemas.errors import BadInput
from schemas.job import KeptAnswers
from schemas.money import NanoUsd, to_nano
from schemas.outcome import Mode, Scope
from schemas.policy_sections import (
    AlertRules,
    BatchLimits,
    BudgetCap,
    Cache,
    GroupCaps,
    Hold,
    JobColumns,
    Margin,
    Output,
    PolicySection,
    Pricing,
    Prune,
    RateLimits,
    RequestLimits,
    ResultColumns,
    Route,
    RunRules,
    Uncountable,
)
from schemas.time_zone import known_zone


class Policy(PolicySection):
    """Everything that decides about a run's jobs and money."""

    name: str
    time_zone: str = "UTC"
    #: "messages": now; "batches": half the price, within 24 hours
    mode: Mode = Mode.MESSAGES
    #: what becomes of an attempt that may have been billed without an answer reaching us
    on_unknown: Literal["review", "resend"] = "review"
    #: the most Prefect task runs a stage makes; a run of no more jobs has one for each
    max_task_runs: Annotated[int, Field(ge=1, le=10_000)] = 200
    routes: Annotated[tuple[Route, ...], Field(min_length=1)]
    request: RequestLimits = RequestLimits()
    run: RunRules = RunRules()
    day: BudgetCap = BudgetCap()
    month: BudgetCap = BudgetCap()
    groups: dict[str, GroupCaps] = Field(default_factory=dict)
    output: Output = Output()
    margin: Margin = Margin()
    uncountable: Uncountable = Uncountable()
    prune: Prune = Prune()
    hold: Hold = Hold()
    limits: RateLimits = RateLimits()
    batch: BatchLimits = BatchLimits()
    cache: Cache = Cache()
    alerts: AlertRules = AlertRules()
    pricing: Pricing = Pricing()
    #: a contract's prices, which go before the list's
    prices: tuple[Price, ...] = ()
    #: where a job stands in the columns of a file
    jobs: JobColumns = JobColumns()
    results: ResultColumns = ResultColumns()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return known_zone(value)

    @model_validator(mode="after")
    def _routes_climb(self) -> Self:
        limits = [route.up_to_input_tokens for route in self.routes]
        if any(low >= high for low, high in pairwise(limits)):
            raise ValueError("each route must take more input tokens than the one before it")
        if len({route.name for route in self.routes}) < len(self.routes):
            raise ValueError("two routes have the same name")
        return self

    @model_validator(mode="after")
    def _one_price_a_day(self) -> Self:
        for one, other in combinations(self.prices, 2):
            if one.contradicts(other):
                raise ValueError(
                    f"two prices of {one.model} hold on the same day; give them days that do not meet"
                )
        return self

    @model_validator(mode="after")
    def _the_reserve_leaves_money(self) -> Self:
        caps = {
            "run.budget_usd": self.run.budget_usd,
            "day.budget_usd": self.day.budget_usd,
            "month.budget_usd": self.month.budget_usd,
            "batch.deadline_budget_usd": self.batch.deadline_budget_usd,
        }
        for name, budget in caps.items():
            if budget is not None and 0 < budget <= self.hold.reserve_usd:
                raise ValueError(f"hold.reserve_usd takes all of {name}; nothing could be sent")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def parks_unknown(self) -> bool:
        """Whether an attempt that may have been billed waits for a person."""
        return self.on_unknown == "review"

    @property
    def parks_cut_off(self) -> bool:
        """Whether a job whose answer was cut off waits for a person."""
        return self.output.on_truncated == "review"

    @property
    def kept_answers(self) -> KeptAnswers:
        """Which answers on record serve a job, so that it is not sent."""
        return KeptAnswers(
            whole=self.parks_cut_off,
            of_others=self.run.share_answers,
            same_group=self.run.answers_private_to_group,
        )

    def cap(self, scope: Scope, group: str = "") -> NanoUsd | None:
        """The cap of a window in nano-USD, or None where there is none.

        Args:
            scope: "run", "day", "month" or "deadline".
            group: the jobs it is about; "": all.
        """
        if scope is Scope.DEADLINE:
            budget = self.batch.deadline_budget_usd
            return None if budget is None else to_nano(budget)
        caps = self.groups.get(group, self.groups.get(ANY_GROUP)) if group else self
        budget = getattr(caps, scope).budget_usd if caps else None
        return None if budget is None else to_nano(budget)

    def overridden(
        self,
        max_input_tokens: int | None,
        run_budget_usd: Decimal | None,
        mode: str | None = None,
        *,
        id_column: str | None = None,
        prompt_column: str | None = None,
        deadline: time | str | None = None,
    ) -> "Policy":
        """The policy with a run's own limits and columns in place of the file's."""
        changes: dict[str, object] = {}
        if max_input_tokens is not None:
            changes["request"] = {**self.request.model_dump(), "max_input_tokens": max_input_tokens}
        if run_budget_usd is not None:
            changes["run"] = {**self.run.model_dump(), "budget_usd": run_budget_usd}
        if mode is not None:
            changes["mode"] = mode
        named = {"id": id_column, "prompt": prompt_column}
        if columns := {name: value for name, value in named.items() if value is not None}:
            changes["jobs"] = self.jobs.model_dump() | columns
        if deadline is not None:
            changes["batch"] = {**self.batch.model_dump(), "deadline": deadline}
        return validated({**self.model_dump(), **changes}, "the run's options")

    def running_on(self, runner: str | None, workers: int | None, dask_address: str | None) -> "Policy":
        """The policy with a run's own choice of where its calls are made; what is None stays as the file has it."""
        named = {"runner": runner, "workers": workers, "dask_address": dask_address}
        changes = {name: value for name, value in named.items() if value is not None}
        if not changes:
            return self
        return validated({**self.model_dump(), "run": self.run.model_dump() | changes}, "the run's options")


def policy_from_toml(text: str, source: str) -> Policy:
    """The policy in a TOML text.

    Args:
        text: the TOML.
        source: what to call it in an error.

    Raises:
        BadInput: with each field that is wrong and why.
    """
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"The policy {source} is not valid TOML: {error}.") from error
    return validated(data, f"the policy {source}")


def validated(data: dict[str, object], source: str) -> Policy:
    """`data` as a policy; raises BadInput with a sentence that names each wrong field."""
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'policy'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise BadInput(f"In {source}: {wrong}. Fix it and run again; nothing was sent.") from error
