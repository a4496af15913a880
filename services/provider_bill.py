"""The provider's usage and cost reports: fetched, kept in a file, read from one, and understood.

Both are read by UTC day. The figures usually follow within five minutes, and the provider asks to be asked at most
once a minute. An Admin API key is needed, which there is for organizations only.

Source: Anthropic docs, "Usage and Cost API", "Get Messages Usage Report", "Get Cost Report" (2026-08), whose shapes
are those of API version 2023-06-01; later versions renamed fields of the Admin API.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx2
import orjson
import stamina
from pydantic import AwareDatetime, BaseModel, Field, HttpUrl, TypeAdapter, ValidationError

from schemas.bill import STANDARD_TIER, TOKENS, LineKind, ProviderBill, Use, plain_model
from schemas.errors import BadInput, RunFailed
from schemas.money import EXACT
from services.result_file import write_text

ADDRESS = "https://api.anthropic.com"
DEFAULT_WORKSPACE = "default"
"""What the default workspace is called here; the reports give it no id."""

#: the same as the gateway's, whose import of the SDK takes seconds
_SIMULATED_HEADER = "weighbridge-simulated"
_ADDRESS = TypeAdapter(HttpUrl)
_VERSION = "2023-06-01"
_PATHS = {"usage": "/v1/organizations/usage_report/messages", "cost": "/v1/organizations/cost_report"}
_GROUPS = {"usage": ["model", "service_tier", "workspace_id"], "cost": ["description", "workspace_id"]}
_DAYS_PER_PAGE = 31
_SECONDS = 60
_TRIES = 5
_LONGEST_WAIT_SECONDS = 60
_DAY_SECONDS = 86_400
# what is tried again in vain is said once, at the end
stamina.instrumentation.set_on_retry_hooks([])


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages of the reports as the API gave them; None where a report is not there."""

    usage: list[Any] | None
    cost: list[Any] | None
    simulated: bool | None
    source: str


class _Unreadable(ValueError):  # noqa: N818 - reads as what it is where it is caught
    """Why pages cannot be understood."""


async def fetch_reports(base_url: str, key: str, first: date, last: date | None) -> Pages:
    """Both reports, page by page.

    Args:
        base_url: the API's address.
        key: an Admin API key.
        first: the first UTC day.
        last: the last UTC day, in the report; None: up to now.

    Raises:
        BadInput: the address cannot be used or the key is not accepted.
        RunFailed: the API does not answer, or refuses.
    """
    headers = {"x-api-key": key, "anthropic-version": _VERSION}
    try:
        _ADDRESS.validate_python(base_url)
        async with httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=_SECONDS) as client:
            usage, simulated = await _all_pages(client, "usage", first, last)
            cost, _ = await _all_pages(client, "cost", first, last)
    except (ValidationError, httpx2.InvalidURL, UnicodeEncodeError) as error:
        raise BadInput(
            f"The address of the reports or the Admin API key cannot be used ({type(error).__name__}); an address is "
            f"like {ADDRESS}."
        ) from None
    return Pages(usage, cost, simulated, base_url)


async def _all_pages(
    client: httpx2.AsyncClient, report: Literal["usage", "cost"], first: date, last: date | None
) -> tuple[list[Any], bool]:
    asked: dict[str, Any] = {
        "starting_at": _stamp(first),
        "bucket_width": "1d",
        "limit": _DAYS_PER_PAGE,
        "group_by[]": _GROUPS[report],
    }
    if last is not None and last < datetime.now(UTC).date():
        asked["ending_at"] = _stamp(last + timedelta(days=1))
    pages: list[Any] = []
    seen: set[str] = set()
    while True:
        response = await _tried(client, _PATHS[report], asked)
        page = _json_object(response.content, report)
        pages.append(page)
        following = page.get("next_page")
        if not page.get("has_more") or not following:
            return pages, _SIMULATED_HEADER in response.headers
        if not isinstance(following, str) or following in seen:
            raise RunFailed(f"The {report} report's pages lead back to each other. Nothing was compared.")
        seen.add(following)
        asked["page"] = following


async def _tried(client: httpx2.AsyncClient, path: str, asked: Mapping[str, Any]) -> httpx2.Response:
    """The answer to a GET; what passes is tried again, after as long as the API asks for."""
    retry = stamina.retry_context(
        on=_delay, attempts=_TRIES, timeout=None, wait_initial=0.5, wait_max=10, wait_jitter=1
    )
    try:
        async for attempt in retry:
            with attempt:
                response = await client.get(path, params=asked)
                response.raise_for_status()
                return response
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        if status in {401, 403}:
            raise BadInput(
                f"The key in ANTHROPIC_ADMIN_KEY is not accepted for the usage and cost reports (HTTP {status}). They "
                "need an Admin API key, which begins with sk-ant-admin and is made in the Console by an admin of the "
                "organization. Nothing was compared."
            ) from None
        raise RunFailed(
            f"{path} answered HTTP {status} in {_TRIES} tries at most. Nothing was compared; try again in a few minutes."
        ) from None
    except httpx2.HTTPError as error:
        raise RunFailed(
            f"{path} did not answer in {_TRIES} tries ({type(error).__name__}). Nothing was compared; try again in a "
            "few minutes."
        ) from None
    raise AssertionError("unreachable: the retry context returns or raises")


def _delay(error: Exception) -> bool | float:
    """Whether to try again, and after how many seconds if the API says so."""
    if not isinstance(error, httpx2.HTTPStatusError):
        return isinstance(error, httpx2.TransportError)
    if error.response.status_code != 429 and error.response.status_code < 500:
        return False
    try:
        seconds = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return True
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)


def _json_object(raw: bytes, report: str) -> dict[str, Any]:
    try:
        page = orjson.loads(raw)
    except orjson.JSONDecodeError:
        page = None
    if not isinstance(page, dict):
        raise RunFailed(f"A page of the {report} report is no JSON object. Nothing was compared.")
    return page


def save_reports(pages: Pages, path: Path) -> None:
    """Keep pages in a file that `read_file` reads.

    Raises:
        BadInput: the file cannot be written.
    """
    kept = {"simulated": pages.simulated, "source": pages.source, "fetched_at": datetime.now(UTC).isoformat()}
    reports = {"usage": pages.usage, "cost": pages.cost}
    try:
        write_text(path, orjson.dumps(kept | reports, option=orjson.OPT_INDENT_2).decode())
    except OSError as error:
        raise BadInput(f"The report cannot be kept in {path} ({type(error).__name__}).") from None


def read_reports(path: Path) -> Pages:
    """Reports from a JSON file.

    Args:
        path: an object with the pages of "usage", of "cost" or of both, as `save` writes it; or one page or a list of
            pages of either report as downloaded, recognized by its fields.

    Raises:
        BadInput: it cannot be read, or is neither.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"The report {path} cannot be read ({type(error).__name__}).") from None
    except orjson.JSONDecodeError:
        raise BadInput(f"The report {path} is not JSON.") from None
    try:
        usage, cost, simulated = _sorted_pages(content)
    except _Unreadable as error:
        raise BadInput(f"The report {path} cannot be used: {error}.") from None
    return Pages(usage, cost, simulated, str(path))


def _sorted_pages(content: Any) -> tuple[list[Any] | None, list[Any] | None, bool | None]:
    """(usage pages, cost pages, whether simulated) of what a file holds."""
    if isinstance(content, dict) and "data" not in content:
        usage, cost = _listed(content.get("usage")), _listed(content.get("cost"))
        if usage is None and cost is None:
            raise _Unreadable('it has neither "usage" nor "cost" nor the "data" of a page')
        simulated = content.get("simulated")
        return usage, cost, simulated if isinstance(simulated, bool) else None
    pages = _listed(content) or []
    kinds = [_kind_of(page) for page in pages]
    known = {kind for kind in kinds if kind}
    if not known or (None in kinds and len(known) > 1):
        raise _Unreadable(
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
        raise _Unreadable("a page has no data, or a bucket of it no results") from None
    if fields is None:
        return None
    if "uncached_input_tokens" in fields:
        return "usage"
    if "amount" in fields:
        return "cost"
    raise _Unreadable("a line is neither of the usage report nor of the cost report")


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


def parsed(pages: Pages, workspace: str | None = None) -> ProviderBill:
    """What reports say, by UTC day and kind.

    Args:
        pages: the reports.
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
    except _Unreadable as error:
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
            raise _Unreadable("the usage report is not grouped by model and service_tier")
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
                raise _Unreadable("the cost report is not grouped by description")
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
        raise _Unreadable(f"no line is of the workspace {workspace}; there are {', '.join(there)}")
    yield from chosen


def _covered(buckets: Iterable[Any], report: str) -> frozenset[date]:
    """The UTC days that buckets cover whole."""
    starts: set[datetime] = set()
    seconds: dict[date, float] = {}
    for bucket in buckets:
        start, end = bucket.starting_at.astimezone(UTC), bucket.ending_at.astimezone(UTC)
        if start in starts:
            raise _Unreadable(f"the {report} report has the bucket of {start.isoformat()} twice")
        starts.add(start)
        if not 0 < (end - start).total_seconds() <= _DAY_SECONDS or (
            end - timedelta(microseconds=1)
        ).date() != (start.date()):
            raise _Unreadable(f"the {report} report has a bucket that is no part of one UTC day")
        seconds[start.date()] = seconds.get(start.date(), 0) + (end - start).total_seconds()
    return frozenset(day for day, sum_ in seconds.items() if sum_ >= _DAY_SECONDS)


def _stamp(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
