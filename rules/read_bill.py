"""What pages of the provider's usage and cost reports say: sorted by report, checked, and summed by day and kind.

Source: Anthropic docs, "Get Messages Usage Report", "Get Cost Report" (2026-08), API version 2023-06-01.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from schemas.bill import STANDARD_TIER, TOKENS, LineKind, Pages, ProviderBill, Use, plain_model
from schemas.errors import BadInput
from schemas.money import EXACT

#: what the default workspace is called here; the reports give it no id
DEFAULT_WORKSPACE = "default"
_DAY_SECONDS = 86_400


class Unreadable(ValueError):  # noqa: N818 - reads as what it is where it is caught
    """Why pages cannot be understood."""


def sorted_pages(content: Any) -> tuple[list[Any] | None, list[Any] | None, bool | None]:
    """(usage pages, cost pages, whether simulated) of what a file holds."""
    if isinstance(content, dict) and "data" not in content:
        usage, cost = _listed(content.get("usage")), _listed(content.get("cost"))
        if usage is None and cost is None:
            raise Unreadable('it has neither "usage" nor "cost" nor the "data" of a page')
        simulated = content.get("simulated")
        return usage, cost, simulated if isinstance(simulated, bool) else None
    pages = _listed(content) or []
    kinds = [_kind_of(page) for page in pages]
    known = {kind for kind in kinds if kind}
    if not known or (None in kinds and len(known) > 1):
        raise Unreadable(
            'a page without lines does not show which report it is of; put the pages under "usage" and "cost"'
        )
    [other, *_] = known
    by_kind = {kind: [p for p, k in zip(pages, kinds, strict=True) if (k or other) == kind] for kind in known}
    return by_kind.get("usage"), by_kind.get("cost"), None


def _listed(value: Any) -> list[Any] | None:
    """One page or a list of them as a list."""
    if value is None or isinstance(value, list):
        return value
    return [value]


def _kind_of(page: Any) -> str | None:
    """Which report a page is of, by the fields of its first line."""
    try:
        fields = next((line for bucket in page["data"] for line in bucket["results"]), None)
    except (KeyError, TypeError):
        raise Unreadable("a page has no data, or a bucket of it has no results") from None
    if fields is None:
        return None
    if "uncached_input_tokens" in fields:
        return "usage"
    if "amount" in fields:
        return "cost"
    raise Unreadable("a line is neither of the usage report nor of the cost report")


_Tokens = Annotated[int, Field(ge=0, strict=True)]


class _Writes(BaseModel):
    ephemeral_5m_input_tokens: _Tokens
    ephemeral_1h_input_tokens: _Tokens


class _ServerTools(BaseModel):
    web_search_requests: _Tokens = 0


class _Line(BaseModel):
    model: str | None = None
    service_tier: str | None = None
    workspace_id: str | None = None


class _UsageLine(_Line):
    uncached_input_tokens: _Tokens
    cache_creation: _Writes
    cache_read_input_tokens: _Tokens
    output_tokens: _Tokens
    server_tool_use: _ServerTools | None = None

    def use(self) -> Use:
        writes = self.cache_creation
        return Use(
            input=self.uncached_input_tokens,
            cache_writes=writes.ephemeral_5m_input_tokens + writes.ephemeral_1h_input_tokens,
            cache_writes_1h=writes.ephemeral_1h_input_tokens,
            cache_reads=self.cache_read_input_tokens,
            output=self.output_tokens,
            web_searches=self.server_tool_use.web_search_requests if self.server_tool_use else 0,
        )


class _CostLine(_Line):
    """An amount is a decimal of cents, as text."""

    currency: Literal["USD"]
    amount: Annotated[str, Field(pattern=r"^-?[0-9]{1,30}(\.[0-9]{1,60})?$")]
    cost_type: str | None = None


class _UsageBucket(BaseModel):
    starting_at: AwareDatetime
    ending_at: AwareDatetime
    results: list[_UsageLine]


class _CostBucket(BaseModel):
    starting_at: AwareDatetime
    ending_at: AwareDatetime
    results: list[_CostLine]


class _UsagePage(BaseModel):
    data: list[_UsageBucket]


class _CostPage(BaseModel):
    data: list[_CostBucket]


def bill_of(pages: Pages, workspace: str | None = None) -> ProviderBill:
    """What reports say, by UTC day and kind.

    Args:
        workspace: only the lines of this workspace id, or of the "default" one; None: all.

    Raises:
        BadInput: they have another shape than is known, are not grouped by what the comparison is by, have a bucket
            twice, or have lines but none of the workspace.
    """
    try:
        usage = None if pages.usage is None else _used(pages.usage, workspace)
        cost = None if pages.cost is None else _paid(pages.cost, workspace)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"The report ({pages.source}) has another shape than the one of 2026-08: {where}: {first['type']}. "
            "Nothing was compared."
        ) from None
    except Unreadable as error:
        raise BadInput(
            f"The report ({pages.source}) cannot be used: {error}. Nothing was compared."
        ) from None
    covered = [found[1] for found in (usage, cost) if found is not None]
    return ProviderBill(
        usage=usage[0] if usage else None,
        cost=cost[0] if cost else None,
        days=frozenset.intersection(*covered),
        simulated=pages.simulated,
        source=pages.source,
    )


def _used(
    pages: Iterable[Any], workspace: str | None
) -> tuple[dict[tuple[date, LineKind], Use], frozenset[date]]:
    buckets = [bucket for page in pages for bucket in _UsagePage.model_validate(page).data]
    found: dict[tuple[date, LineKind], Use] = {}
    for day, line in _of_workspace(buckets, workspace):
        if line.model is None or line.service_tier is None:
            raise Unreadable("the usage report is not grouped by model and service_tier")
        key = day, LineKind(TOKENS, plain_model(line.model), line.service_tier)
        found[key] = found.get(key, Use()) + line.use()
    return found, _covered(buckets, "usage")


def _paid(
    pages: Iterable[Any], workspace: str | None
) -> tuple[dict[tuple[date, LineKind], Decimal], frozenset[date]]:
    buckets = [bucket for page in pages for bucket in _CostPage.model_validate(page).data]
    found: dict[tuple[date, LineKind], Decimal] = {}
    with localcontext(EXACT):
        for day, line in _of_workspace(buckets, workspace):
            if line.cost_type is None:
                raise Unreadable("the cost report is not grouped by description")
            kind = LineKind(line.cost_type)
            if line.cost_type == TOKENS:
                model = None if line.model is None else plain_model(line.model)
                kind = LineKind(TOKENS, model, line.service_tier or STANDARD_TIER)
            usd = Decimal(line.amount).scaleb(-2)
            found[day, kind] = found.get((day, kind), Decimal(0)) + usd
    return found, _covered(buckets, "cost")


def _of_workspace(buckets: Iterable[Any], workspace: str | None) -> Iterator[tuple[date, Any]]:
    """The lines of a workspace with their UTC days."""
    every = [
        (bucket.starting_at.astimezone(UTC).date(), line) for bucket in buckets for line in bucket.results
    ]
    wanted = None if workspace == DEFAULT_WORKSPACE else workspace
    chosen = [pair for pair in every if workspace is None or pair[1].workspace_id == wanted]
    if every and not chosen:
        there = sorted({line.workspace_id or DEFAULT_WORKSPACE for _, line in every})
        raise Unreadable(f"no line is of the workspace {workspace}; there are {', '.join(there)}")
    yield from chosen


def _covered(buckets: Iterable[Any], report: str) -> frozenset[date]:
    """The UTC days that buckets cover whole."""
    starts: set[datetime] = set()
    seconds: dict[date, float] = {}
    for bucket in buckets:
        start, end = bucket.starting_at.astimezone(UTC), bucket.ending_at.astimezone(UTC)
        if start in starts:
            raise Unreadable(f"the {report} report has the bucket of {start.isoformat()} twice")
        starts.add(start)
        if not 0 < (end - start).total_seconds() <= _DAY_SECONDS or (
            end - timedelta(microseconds=1)
        ).date() != (start.date()):
            raise Unreadable(f"the {report} report has a bucket that does not lie within one UTC day")
        seconds[start.date()] = seconds.get(start.date(), 0) + (end - start).total_seconds()
    return frozenset(day for day, sum_ in seconds.items() if sum_ >= _DAY_SECONDS)
