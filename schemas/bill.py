"""The bill: what the ledger and the provider's reports say was used and paid, line by line, and how they differ."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

from schemas.decimal_text import UsdText
from schemas.money import EXACT

TOKENS = "tokens"
WEB_SEARCH = "web_search"
BATCH_TIER = "batch"
STANDARD_TIER = "standard"
#: the date of a snapshot, which the reports name and an alias leaves out
_SNAPSHOT = re.compile(r"-20\d{6}$")


def plain_model(model: str) -> str:
    """A model id without the date of its snapshot: an alias was sent, the snapshot is on the bill."""
    return _SNAPSHOT.sub("", model)


class LineKind(NamedTuple):
    """What a line of the bill is for, besides its day.

    Attributes:
        what: "tokens", "web_search", or another `cost_type` of the cost report.
        model: model id, without the date of a snapshot; None where the report names none.
        tier: "standard", "batch", or another tier of the reports; None where they name none.
    """

    what: str
    model: str | None = None
    tier: str | None = None


class Use(BaseModel):
    """What was used: tokens, and web searches.

    Attributes:
        cache_writes: all tokens written to caches.
        cache_writes_1h: the part of them that lives an hour; None where the two are not distinguished.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: int = 0
    cache_writes: int = 0
    cache_writes_1h: int | None = 0
    cache_reads: int = 0
    output: int = 0
    web_searches: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input + self.cache_writes + self.cache_reads + self.output

    def __add__(self, other: Self) -> "Use":
        hours = (self.cache_writes_1h, other.cache_writes_1h)
        return Use(
            input=self.input + other.input,
            cache_writes=self.cache_writes + other.cache_writes,
            cache_writes_1h=None if None in hours else sum(hour or 0 for hour in hours),
            cache_reads=self.cache_reads + other.cache_reads,
            output=self.output + other.output,
            web_searches=self.web_searches + other.web_searches,
        )


class BillSide(BaseModel):
    """One side of a line.

    Attributes:
        use: None where this side does not say it.
        usd: exact; None where this side does not say it.
        attempts: how many it is the sum of, in the ledger. Each is rounded up to a nano-USD.
        bounds: how many of them are settled at a bound, because their usage did not say all that was billed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: Use | None = None
    usd: UsdText | None = None
    attempts: int = 0
    bounds: int = 0

    def __add__(self, other: Self) -> "BillSide":
        unused = self.use is None or other.use is None
        unpaid = self.usd is None or other.usd is None
        return BillSide(
            use=None if unused else self.use + other.use,  # type: ignore[operator]  # neither is None here
            usd=None if unpaid else EXACT.add(self.usd, other.usd),  # type: ignore[arg-type]  # as above
            attempts=self.attempts + other.attempts,
            bounds=self.bounds + other.bounds,
        )


Lines = Mapping[tuple[date, LineKind], BillSide]


class Finding(StrEnum):
    """What a comparison of one line comes to, the worst first."""

    #: the ledger has more than the report
    REPORT_LACKS = "report_lacks"
    #: the report has more than the ledger
    NOT_IN_LEDGER = "not_in_ledger"
    #: cancels out over the period, for the same model and tier
    SHIFTED = "shifted"
    WITHIN_TOLERANCE = "within_tolerance"
    #: less than a nano-USD for each attempt
    ROUNDED = "rounded"
    MATCHES = "matches"


MISMATCHES = (Finding.REPORT_LACKS, Finding.NOT_IN_LEDGER)


class Held(BaseModel):
    """Attempts that may have been billed and are not settled: they may be what the report has more.

    Attributes:
        day: the UTC day they were sent on.
        state: "unknown", or "open": in flight.
        usd: what they hold.
        surplus_usd: what the report has more than the ledger for the same model and tier, from that day on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date
    model: str
    tier: str
    state: str
    attempts: int
    usd: UsdText
    surplus_usd: UsdText = Decimal(0)


@dataclass(frozen=True, slots=True)
class LedgerBill:
    """What the ledger says.

    Attributes:
        simulated: of simulated runs, of real ones, or None: there are no runs in it.
        first_day: the first UTC day on which anything was sent or paid for, if any was.
    """

    url: str
    lines: Lines
    held: tuple[Held, ...]
    simulated: bool | None
    first_day: date | None


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages of the reports as the API gave them; None where a report is not there."""

    usage: list[Any] | None
    cost: list[Any] | None
    simulated: bool | None
    source: str


@dataclass(frozen=True, slots=True)
class ProviderBill:
    """What the provider's reports say.

    Attributes:
        usage: what was used; None without a usage report.
        cost: what it cost; None without a cost report.
        days: the days that all reports cover.
        simulated: None when it is not known.
        source: where they are from, in words.
    """

    usage: Mapping[tuple[date, LineKind], Use] | None
    cost: Mapping[tuple[date, LineKind], Decimal] | None
    days: frozenset[date]
    simulated: bool | None
    source: str


class Difference(BaseModel):
    """One line of the comparison.

    Attributes:
        difference_usd: ledger less report; None where only one of them says it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date
    what: str
    model: str | None
    tier: str | None
    ledger: BillSide
    report: BillSide
    difference_usd: UsdText | None
    verdict: Finding
    sentence: str

    @property
    def kind(self) -> LineKind:
        return LineKind(self.what, self.model, self.tier)


class Comparison(BaseModel):
    """The ledger compared with the bill. `check-bill --json` prints exactly this.

    Attributes:
        matches: no line differs beyond the tolerance.
        ledger_usd: None without a cost report; else the sums of the lines that both sides say.
        sentences: what to know, the worst first.
        lines: the worst first.
    """

    model_config = ConfigDict(extra="forbid", validate_by_name=True, serialize_by_alias=True)

    matches: bool
    simulated: bool | None
    ledger: str
    report: str
    first_day: date = Field(alias="from")
    last_day: date = Field(alias="to")
    tolerance_percent: UsdText
    usage_compared: bool
    cost_compared: bool
    ledger_usd: UsdText | None
    report_usd: UsdText | None
    difference_usd: UsdText | None
    sentences: list[str]
    lines: list[Difference]
    held: list[Held]
