"""One thing that goes wrong: where, what, and when."""

from typing import Literal, Self

from pydantic import Field, model_validator

from simulator.http.api_errors import ERROR_TYPES
from simulator.plan.plan_sections import PlanPart, Probability, Seconds

#: what faults are aimed at and the statistics count under
EndpointName = Literal[
    "messages", "count_tokens", "models", "usage_report", "cost_report",
    "batches_create", "batches_retrieve", "batches_list", "batches_results", "batches_cancel", "batches_delete",
]  # fmt: skip

FaultKind = Literal[
    "status", "hang", "cut_before", "cut_after", "malformed_body", "usage_missing", "spend_cap",
    "cut_results", "end_results_early", "repeat_results",
]  # fmt: skip

#: kinds that spoil the lines of a batch's results, and nothing else
RESULT_FAULTS: frozenset[FaultKind] = frozenset({"cut_results", "end_results_early", "repeat_results"})


class Fault(PlanPart):
    """One thing that goes wrong.

    Attributes:
        endpoint: where it strikes.
        kind: "status" answers an error status; "hang" bills, sleeps and then answers; "cut_before" cuts
            the connection without accepting; "cut_after" bills and then cuts it; "malformed_body" bills
            and answers 200 with half a body; "usage_missing" bills and answers 200 without the numbers;
            "spend_cap" answers the 429 of a reached monthly spend cap. For batches read "does what was
            asked" for "bills": after "cut_after" on a create the batch is there and its answer is lost.
            Only for "batches_results": "cut_results" cuts the connection within a line;
            "end_results_early" ends the body cleanly after a line; "repeat_results" sends the first lines
            once more at the end.
        status: for "status": the HTTP status.
        retry_after: for "status": seconds in the `retry-after` header; without it there is no header.
        seconds: for "hang": seconds to sleep.
        probability: strikes with this probability, decided by the seed and the request's number.
        first_n: strikes the first n requests it is aimed at.
        every_nth: strikes every nth request it is aimed at.
        fraction: for the kinds of "batches_results": the part of the lines that is sent whole before the
            cut or the early end, or that is sent twice; 0.5 by default.
        match: aims at requests whose body bytes (without a body: whose path) contain this text.
    """

    endpoint: EndpointName
    kind: FaultKind
    status: int | None = None
    retry_after: int | None = Field(default=None, ge=0)
    seconds: Seconds | None = None
    probability: Probability | None = None
    first_n: int | None = Field(default=None, ge=1)
    every_nth: int | None = Field(default=None, ge=1)
    fraction: Probability | None = None
    match: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.kind == "status") != (self.status is not None):
            raise ValueError('`status` belongs to kind "status", which needs it')
        if self.status is not None and self.status not in ERROR_TYPES:
            raise ValueError(f"status {self.status} is not one of {sorted(ERROR_TYPES)}")
        if self.retry_after is not None and self.kind != "status":
            raise ValueError('`retry_after` belongs to kind "status"')
        if (self.kind == "hang") != (self.seconds is not None):
            raise ValueError('`seconds` belongs to kind "hang", which needs it')
        if self.fraction is not None and self.kind not in RESULT_FAULTS:
            raise ValueError(f"`fraction` belongs to the kinds {sorted(RESULT_FAULTS)}")
        if self.kind in RESULT_FAULTS and self.endpoint != "batches_results":
            raise ValueError(f'kind "{self.kind}" belongs to the endpoint "batches_results"')
        if self.kind == "usage_missing" and self.endpoint.startswith("batches"):
            raise ValueError('kind "usage_missing" belongs to "messages" and "count_tokens"')
        if all(value is None for value in (self.probability, self.first_n, self.every_nth, self.match)):
            raise ValueError("say when: probability, first_n, every_nth or match")
        return self
