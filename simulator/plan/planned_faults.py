"""One thing that goes wrong: where, what, and when."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from simulator.http.api_errors import ERROR_TYPES
from simulator.plan.plan_sections import ITEM_STATUSES, PlanPart, Probability, Seconds

#: what the statistics count under, and what faults are aimed at
EndpointName = Literal[
    "messages", "count_tokens", "models", "usage_report", "cost_report",
    "batches_create", "batches_retrieve", "batches_list", "batches_results", "batches_cancel", "batches_delete",
    "files_upload", "files_list", "files_retrieve", "files_delete", "files_download",
]  # fmt: skip

#: what else faults are aimed at: the requests inside of batches, one by one, when they are judged
FaultPlace = EndpointName | Literal["batch_items"]

FaultKind = Literal[
    # before the request is taken: nothing is done and nothing is billed
    "status", "spend_cap", "credit_balance", "page_before", "cut_before", "reset_kept_alive", "not_found_yet",
    # after it: what was asked for is done, and billed
    "hang", "slow", "page_after", "cut_after", "cut_body", "malformed_body", "usage_missing", "wrong_count",
    "wrong_usage", "odd_shape",
    # on the lines of a batch's results
    "cut_results", "end_results_early", "repeat_results",
]  # fmt: skip

#: kinds that strike before a request is taken
FAULTS_BEFORE: frozenset[FaultKind] = frozenset({
    "status", "spend_cap", "credit_balance", "page_before", "cut_before", "reset_kept_alive", "not_found_yet",
})  # fmt: skip

PAGE_FAULTS: frozenset[FaultKind] = frozenset({"page_before", "page_after"})

#: kinds that spoil the lines of a batch's results, and nothing else
RESULT_FAULTS: frozenset[FaultKind] = frozenset({"cut_results", "end_results_early", "repeat_results"})

#: what is odd about an answer, or about a line of results
Shape = Literal[
    "whole_floats", "usage_huge", "stop_reason_missing", "bom", "lone_surrogate", "line_separator",
    "result_text", "error_text", "unknown_type",
]  # fmt: skip

#: shapes that only a line of results has
LINE_SHAPES: frozenset[Shape] = frozenset({"result_text", "error_text", "unknown_type"})

#: the places of the kinds that do not strike everywhere
PLACES: dict[FaultKind, tuple[FaultPlace, ...]] = {
    "not_found_yet": ("batches_retrieve", "batches_results", "batches_cancel"),
    "usage_missing": ("messages", "count_tokens", "batch_items"),
    "wrong_count": ("count_tokens",),
    "wrong_usage": ("messages", "batch_items"),
    "odd_shape": ("messages", "batch_items"),
    **dict.fromkeys(RESULT_FAULTS, ("batches_results",)),
}

#: the kinds that strike the requests inside of a batch
ITEM_FAULTS: frozenset[FaultKind] = frozenset({
    "status", "spend_cap", "credit_balance", "usage_missing", "wrong_usage", "odd_shape",
})  # fmt: skip

#: the options that belong to some kinds only, and whether those need them
OPTIONS: dict[str, tuple[frozenset[FaultKind], bool]] = {
    "status": (frozenset({"status", "page_before", "page_after"}), True),
    "retry_after": (frozenset({"status", "page_before", "page_after"}), False),
    "message": (frozenset({"status"}), False),
    "page": (PAGE_FAULTS, False),
    "seconds": (frozenset({"hang", "slow", "not_found_yet"}), True),
    "fraction": (RESULT_FAULTS | {"cut_body"}, False),
    "shape": (frozenset({"odd_shape"}), True),
    "tokens": (frozenset({"wrong_count"}), False),
    "factor": (frozenset({"wrong_count", "wrong_usage"}), False),
}


class Fault(PlanPart):
    """One thing that goes wrong. What each kind does is in the docstring of `simulator.plan`.

    Attributes:
        endpoint: where it strikes.
        kind: what it does.
        status: HTTP status; of "status" one that the API has, of a page any.
        retry_after: seconds in the `retry-after` header; without it there is no header.
        message: the words of the error, in place of the simulator's.
        page: what a middle box answers with: an HTML page, JSON of its own, or nothing.
        seconds: how long "hang" sleeps, "slow" takes to send the body, and "not_found_yet" lasts: from the
            batch's creation, for its results from its end.
        fraction: the part of the lines or of the body that is sent before the cut or the early end, or the
            part of the lines that is sent twice; 0.5 by default.
        shape: what is odd about the answer.
        tokens: the count that "wrong_count" answers.
        factor: what "wrong_count" and "wrong_usage" multiply the tokens by.
        probability: strikes with this probability, decided by the seed and the request's number.
        first_n: strikes the first n requests it is aimed at.
        after_n: strikes every request it is aimed at but the first n.
        every_nth: strikes every nth request it is aimed at.
        match: aims at requests whose body bytes (without a body: whose path; in a batch: whose custom_id or
            params) contain this text.
    """

    endpoint: FaultPlace
    kind: FaultKind
    status: int | None = Field(default=None, ge=200, le=599)
    retry_after: int | None = Field(default=None, ge=0)
    message: str | None = Field(default=None, min_length=1)
    page: Literal["html", "json", "empty"] = "html"
    seconds: Seconds | None = None
    fraction: Probability | None = None
    shape: Shape | None = None
    tokens: int | None = Field(default=None, ge=0, lt=2**63)
    factor: float | None = Field(default=None, ge=0, le=1_000_000)
    probability: Probability | None = None
    first_n: int | None = Field(default=None, ge=1)
    after_n: int | None = Field(default=None, ge=1)
    every_nth: int | None = Field(default=None, ge=1)
    match: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, (kinds, needed) in OPTIONS.items():
            stated = name in self.model_fields_set
            if stated and self.kind not in kinds:
                raise ValueError(f"`{name}` belongs to {_listed(kinds)}, not to the kind {self.kind}")
            if needed and not stated and self.kind in kinds:
                raise ValueError(f"the kind {self.kind} needs `{name}`")
        self._check_place()
        if self.kind == "wrong_usage" and self.factor is None:
            raise ValueError("wrong_usage needs `factor`")
        if self.kind == "wrong_count" and (self.factor is None) == (self.tokens is None):
            raise ValueError("wrong_count needs either `tokens` or `factor`")
        when = (self.probability, self.first_n, self.after_n, self.every_nth, self.match)
        if self.kind != "not_found_yet" and all(value is None for value in when):
            raise ValueError("say when: probability, first_n, after_n, every_nth or match")
        return self

    def _check_place(self) -> None:
        """Refuse a kind where it cannot strike, and a status or shape that there is not."""
        places = PLACES.get(self.kind)
        if places is not None and self.endpoint not in places:
            raise ValueError(f"{self.kind} belongs to the endpoints {_listed(places)}")
        if self.endpoint == "batch_items" and self.kind not in ITEM_FAULTS:
            raise ValueError(f"batch_items takes the kinds {_listed(ITEM_FAULTS)}")
        statuses = ITEM_STATUSES if self.endpoint == "batch_items" else tuple(ERROR_TYPES)
        if self.kind == "status" and self.status not in statuses:
            raise ValueError(f"status {self.status} is not one of {sorted(statuses)}")
        if self.shape in LINE_SHAPES and self.endpoint != "batch_items":
            raise ValueError(f"the shape {self.shape} belongs to batch_items")


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))
