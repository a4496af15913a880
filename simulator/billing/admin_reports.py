"""The Usage and Cost Admin API: what the billing log adds up to, by bucket of time and by kind.

A bucket is in a report if it starts before `ending_at`; so the one that is going on is, when there is no
`ending_at`. Buckets without usage have no results. Unknown parameters are refused, to show a typing error;
the API may pass over them. Not served: `account_id` and `service_account_id`, which no key here has.

Source: Anthropic docs, "Get Messages Usage Report", "Get Cost Report", "Usage and Cost API" (2026-08).
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from multidict import MultiMapping

from simulator.billing.billed_usage import SHARES_PER_NANO_USD
from simulator.billing.billing_totals import BillingTotals, Kind, Total
from simulator.billing.catalogue import find_model
from simulator.http.api_errors import RefusedError, invalid

#: how the keys begin that these reports are for
ADMIN_KEY_START = "sk-ant-admin"

#: bucket widths: seconds, buckets on a page by default, most buckets on a page
WIDTHS: dict[str, tuple[int, int, int]] = {
    "1m": (60, 60, 1_440),
    "1h": (3_600, 24, 168),
    "1d": (86_400, 7, 31),
}

USAGE_GROUPS = Kind._fields
COST_GROUPS = ("workspace_id", "description")

#: parameters that restrict the usage report, and what each is compared with
USAGE_FILTERS = {
    "api_key_ids": "api_key_id",
    "workspace_ids": "workspace_id",
    "models": "model",
    "service_tiers": "service_tier",
    "context_window": "context_window",
    "inference_geos": "inference_geo",
    "speeds": "speed",
}

#: how a description names each `token_type`
TOKEN_NAMES = {
    "uncached_input_tokens": "Input Tokens",
    "cache_creation.ephemeral_5m_input_tokens": "Input Tokens, Cache Write 5m",
    "cache_creation.ephemeral_1h_input_tokens": "Input Tokens, Cache Write 1h",
    "cache_read_input_tokens": "Input Tokens, Cache Hit",
    "output_tokens": "Output Tokens",
}

#: digits after the point that hold the smallest amount, 1/`SHARES_PER_NANO_USD` nano-USD, in cents
CENTS_DIGITS = 10

_COST_FIELDS = (
    "workspace_id", "description", "cost_type", "model", "service_tier", "token_type", "context_window",
    "inference_geo",
)  # fmt: skip

Key = TypeVar("Key", bound=tuple[Any, ...])
Totals = dict[tuple[int, Kind], Total]
Results = list[dict[str, Any]]


def is_admin_key(key: str) -> bool:
    """Whether a key may ask for reports."""
    return key.startswith(ADMIN_KEY_START)


async def usage_report(totals: BillingTotals, query: MultiMapping[str]) -> dict[str, Any]:
    """GET /v1/organizations/usage_report/messages.

    Args:
        totals: what was used.
        query: `starting_at`, and if wanted `ending_at`, `bucket_width` (1m, 1h or 1d), `group_by[]`, `limit`,
            `page` and the filters.

    Returns:
        `{"data": [{"starting_at", "ending_at", "results"}], "has_more", "next_page"}`; fields that the
        report is not grouped by are null in the results.

    Raises:
        RefusedError: 400 for a parameter that does not fit.
    """
    window = _window(query, totals.clock.seconds(), tuple(WIDTHS), tuple(USAGE_FILTERS))
    groups = _groups(query, USAGE_GROUPS)
    wanted = {field: _values(query, name) for name, field in USAGE_FILTERS.items() if _values(query, name)}

    def results(found: Iterable[tuple[Kind, Total]]) -> Results:
        sums: dict[tuple[Any, ...], dict[str, int]] = {}
        for kind, total in found:
            if all(getattr(kind, field) in values for field, values in wanted.items()):
                key = tuple(getattr(kind, field) if field in groups else None for field in USAGE_GROUPS)
                _add(sums.setdefault(key, {}), total.usage)
        return [_usage_result(key, figures) for key, figures in _in_order(sums)]

    return window.page(await totals.read(), results)


async def cost_report(totals: BillingTotals, query: MultiMapping[str]) -> dict[str, Any]:
    """GET /v1/organizations/cost_report.

    Args:
        totals: what was paid.
        query: `starting_at`, and if wanted `ending_at`, `bucket_width` (1d), `group_by[]` (workspace_id,
            description), `limit`, `page`.

    Returns:
        `{"data": [{"starting_at", "ending_at", "results"}], "has_more", "next_page"}`; amounts are exact
        decimals of cents, and what a description states is null unless the report is grouped by it.

    Raises:
        RefusedError: 400 for a parameter that does not fit.
    """
    window = _window(query, totals.clock.seconds(), ("1d",), ())
    groups = _groups(query, COST_GROUPS)

    def results(found: Iterable[tuple[Kind, Total]]) -> Results:
        sums: dict[tuple[Any, ...], dict[str, int]] = {}
        for kind, total in found:
            for line, shares in _cost_lines(kind, total):
                workspace = kind.workspace_id if "workspace_id" in groups else None
                key = (workspace, *(line if "description" in groups else (None,) * len(line)))
                _add(sums.setdefault(key, {}), {"shares": shares})
        return [
            {"currency": "USD", "amount": cents(cost["shares"]), **dict(zip(_COST_FIELDS, key, strict=True))}
            for key, cost in _in_order(sums)
        ]

    return window.page(await totals.read(), results)


def cents(shares: int) -> str:
    """An amount as the API writes it.

    Args:
        shares: the amount in 1/`SHARES_PER_NANO_USD` nano-USD.

    Returns:
        the exact amount in cents, a decimal number without an exponent.
    """
    # A cent is 10**7 nano-USD, so a share is 1/(200 * 10**7) = 5/10**10 of a cent.
    whole, part = divmod(abs(shares) * (1_000 // SHARES_PER_NANO_USD), 10**CENTS_DIGITS)
    digits = f"{part:0{CENTS_DIGITS}d}".rstrip("0")
    text = f"{whole}.{digits}" if digits else str(whole)
    return text if shares >= 0 else f"-{text}"


def _cost_lines(kind: Kind, total: Total) -> Iterable[tuple[tuple[str | None, ...], int]]:
    """(what a cost line states, from the description on; its amount in shares) of one total."""
    model = find_model(kind.model)
    name = model.display_name if model is not None else kind.model
    marks = [
        mark
        for mark, there in (
            ("Batch", kind.service_tier == "batch"),
            ("Fast", kind.speed == "fast"),
            ("US", kind.inference_geo == "us"),
            ("200k-1M", kind.context_window != "0-200k"),
        )
        if there
    ]
    for token_type, shares in total.costs.items():
        if not shares:
            continue
        description = ", ".join([f"{name} Usage - {TOKEN_NAMES[token_type]}", *marks])
        yield (
            (
                description,
                "tokens",
                kind.model,
                kind.service_tier,
                token_type,
                kind.context_window,
                kind.inference_geo,
            ),
            shares,
        )
    if total.search_nano_usd:
        line = ("Web Search Usage", "web_search", None, None, None, None, None)
        yield line, total.search_nano_usd * SHARES_PER_NANO_USD


def _usage_result(key: tuple[Any, ...], figures: Mapping[str, int]) -> dict[str, Any]:
    return {
        "uncached_input_tokens": figures["uncached_input_tokens"],
        "cache_creation": {
            "ephemeral_1h_input_tokens": figures["ephemeral_1h_input_tokens"],
            "ephemeral_5m_input_tokens": figures["ephemeral_5m_input_tokens"],
        },
        "cache_read_input_tokens": figures["cache_read_input_tokens"],
        "output_tokens": figures["output_tokens"],
        "server_tool_use": {"web_search_requests": figures["web_search_requests"]},
        **dict(zip(USAGE_GROUPS, key, strict=True)),
    }


@dataclass(frozen=True, slots=True)
class _Window:
    """The buckets of one page.

    Attributes:
        width: seconds of a bucket.
        start: start of the first bucket, in seconds since 1970 UTC.
        end: buckets start before it.
        limit: most buckets.
    """

    width: int
    start: int
    end: float
    limit: int

    def page(
        self, totals: Totals, results: Callable[[Iterable[tuple[Kind, Total]]], Results]
    ) -> dict[str, Any]:
        """The page, with the results of each bucket."""
        count = min(self.limit, max(0, -int(-(self.end - self.start) // self.width)))
        found: list[list[tuple[Kind, Total]]] = [[] for _ in range(count)]
        for (minute, kind), total in totals.items():
            position = (minute - self.start) // self.width
            if 0 <= position < count:
                found[position].append((kind, total))
        beyond = self.start + count * self.width
        has_more = beyond < self.end
        return {
            "data": [
                {
                    "starting_at": _stamp(self.start + position * self.width),
                    "ending_at": _stamp(self.start + (position + 1) * self.width),
                    "results": results(bucket),
                }
                for position, bucket in enumerate(found)
            ],
            "has_more": has_more,
            "next_page": _page_token(beyond) if has_more else None,
        }


def _window(
    query: MultiMapping[str], now: float, widths: tuple[str, ...], filters: tuple[str, ...]
) -> _Window:
    _check_names(query, ("starting_at", "ending_at", "bucket_width", "limit", "page"), ("group_by", *filters))
    width_name = query.get("bucket_width", "1d")
    if width_name not in widths:
        raise invalid("bucket_width", f"Input should be one of {', '.join(widths)}")
    width, usual, most = WIDTHS[width_name]
    limit = query.get("limit", str(usual))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6) or not 1 <= int(limit) <= most:
        raise invalid("limit", f"Input should be between 1 and {most}")
    if "starting_at" not in query:
        raise invalid("starting_at", "Field required")
    start = int(_seconds(query["starting_at"], "starting_at")) // width * width
    ending_at = query.get("ending_at")
    end = now if ending_at is None else _seconds(ending_at, "ending_at")
    if ending_at is not None and end <= start:
        raise invalid("ending_at", "must be after starting_at")
    if "page" in query:
        start = _page_start(query["page"], start, width)
    return _Window(width, start, end, int(limit))


def _check_names(query: MultiMapping[str], single: tuple[str, ...], several: tuple[str, ...]) -> None:
    for name in query:
        plain = name.removesuffix("[]")
        if plain not in several and name not in single:
            raise RefusedError(400, "a query parameter is unknown to this report")


def _values(query: MultiMapping[str], name: str) -> list[str]:
    """The values of a parameter that may be repeated, with or without brackets."""
    return [*query.getall(f"{name}[]", []), *query.getall(name, [])]


def _groups(query: MultiMapping[str], known: tuple[str, ...]) -> list[str]:
    groups = _values(query, "group_by")
    if not set(groups) <= set(known):
        raise invalid("group_by", f"Input should be one of {', '.join(known)}")
    return groups


def _seconds(text: str, where: str) -> float:
    """An RFC 3339 time as seconds since 1970 UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise invalid(where, "Input should be an RFC 3339 time, such as 2026-11-01T00:00:00Z")
    return moment.timestamp()


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _page_token(start: int) -> str:
    return "page_" + base64.urlsafe_b64encode(_stamp(start).encode()).decode()


def _page_start(token: str, first: int, width: int) -> int:
    """The start of a page's first bucket; a token of another report is refused."""
    try:
        text = base64.urlsafe_b64decode(token.removeprefix("page_").encode()).decode()
        start = int(_seconds(text, "page"))
    except (ValueError, binascii.Error, RefusedError):
        raise invalid("page", "Input should be the next_page of the page before") from None
    if start <= first or (start - first) % width:
        raise invalid("page", "Input should be the next_page of the page before")
    return start


def _add(sums: dict[str, int], more: Mapping[str, int]) -> None:
    for name, number in more.items():
        sums[name] = sums.get(name, 0) + number


def _in_order(sums: dict[Key, dict[str, int]]) -> list[tuple[Key, dict[str, int]]]:
    """The sums in the order of their keys, null first."""
    return sorted(sums.items(), key=lambda item: [part or "" for part in item[0]])
