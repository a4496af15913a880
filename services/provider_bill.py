"""The provider's usage and cost reports: fetched, kept in a file and read from one; `rules.read_bill` understands them.

Both are read by UTC day. The figures usually follow within five minutes, and the provider asks to be asked at most
once a minute. An Admin API key is needed, which there is for organizations only.

Source: Anthropic docs, "Usage and Cost API", "Get Messages Usage Report", "Get Cost Report" (2026-08), whose shapes
are those of API version 2023-06-01; later versions renamed fields of the Admin API.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx2
import orjson
import stamina
from pydantic import HttpUrl, TypeAdapter, ValidationError

from rules.read_bill import Unreadable, sorted_pages
from schemas.bill import Pages
from schemas.errors import BadInput, RunFailed
from schemas.words import masked_url
from services.result_file import NotWritten, write_text

ADDRESS = "https://api.anthropic.com"
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
# a call that fails at every try is reported once, at the end
stamina.instrumentation.set_on_retry_hooks([])


async def fetch_reports(base_url: str, key: str, first: date, last: date | None) -> Pages:
    """Both reports, page by page.

    Args:
        key: an Admin API key.
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
    return Pages(usage, cost, simulated, masked_url(base_url))


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
        raise RunFailed(f"A page of the {report} report is not a JSON object. Nothing was compared.")
    return page


def save_reports(pages: Pages, path: Path) -> None:
    """Keep pages in a file that `read_reports` reads.

    Raises:
        BadInput: the file cannot be written.
    """
    kept = {"simulated": pages.simulated, "source": pages.source, "fetched_at": datetime.now(UTC).isoformat()}
    reports = {"usage": pages.usage, "cost": pages.cost}
    try:
        write_text(path, orjson.dumps(kept | reports, option=orjson.OPT_INDENT_2).decode())
    except NotWritten as error:
        raise BadInput(f"The report cannot be kept in {path} ({error.why}).") from None


def read_reports(path: Path) -> Pages:
    """Reports from a JSON file.

    Args:
        path: an object with the pages of "usage", of "cost" or of both, as `save_reports` writes it; or one page or a list of
            pages of either report as downloaded, recognized by its fields.

    Raises:
        BadInput: it cannot be read, or is neither.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(
            f"The report {path} cannot be read ({error.strerror}). Nothing was compared."
        ) from None
    except orjson.JSONDecodeError:
        raise BadInput(f"The report {path} is not JSON. Nothing was compared.") from None
    try:
        usage, cost, simulated = sorted_pages(content)
    except Unreadable as error:
        raise BadInput(f"The report {path} cannot be used: {error}. Nothing was compared.") from None
    return Pages(usage, cost, simulated, str(path))


def _stamp(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
