"""Surcharges: what Anthropic bills in addition to the rates of a model, and when it bills nothing.

`genai-prices` has none of this, so it stands here as dated data, each figure with its source and the day from which it
is known to hold. What is not in a table has no price.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

_VERSION = re.compile(r"claude-[a-z]+-(\d{1,2})(?:-(\d{1,2}))?(?:-\d{8})?")


@dataclass(frozen=True, slots=True)
class Surcharge:
    """A factor on every token category, or an amount of USD.

    Attributes:
        value: the factor, or the amount.
        source: the page it was read on, and the page's date.
        since: the first UTC day it holds; None: no earlier figure is known.
    """

    value: Decimal
    source: str
    since: date | None = None

    def on(self, day: date) -> Decimal | None:
        """The value on a day, or None when it did not hold yet."""
        return self.value if self.since is None or day >= self.since else None


ONE = Decimal(1)
#: "50% of standard API prices" on all tokens
BATCH = Surcharge(Decimal("0.5"), "Anthropic batch processing page, 2026-10-08")
#: by what `inference_geo` may say; on models from Claude 4.6 on
GEO = {
    "global": Surcharge(ONE, "Anthropic data residency page, 2026-08"),
    "us": Surcharge(Decimal("1.1"), "Anthropic data residency page, 2026-08, and pricing page, 2026-10-10"),
}
_FIRST_WITH_GEO = (4, 6)
#: what `usage.inference_geo` says of a model that is older than regional inference
NO_GEO = "not_available"
#: `speed: "fast"`, by model; 4.6 takes it and answers, and bills, at the standard speed
_FAST_PAGE = "Anthropic pricing page, 2026-10-10"
FAST = {
    "claude-opus-5-5": Surcharge(Decimal(2), _FAST_PAGE),
    "claude-opus-5": Surcharge(Decimal(2), _FAST_PAGE),
    "claude-opus-4-8": Surcharge(Decimal(2), _FAST_PAGE),
    "claude-opus-4-6": Surcharge(ONE, _FAST_PAGE),
    "claude-sonnet-4-6": Surcharge(ONE, _FAST_PAGE),
}
#: USD a search; a factor touches tokens only
WEB_SEARCH = Surcharge(Decimal("0.01"), "Anthropic pricing page, 2026-10-10")
#: USD an hour of a code execution container; the account's 1,550 free hours a month are not reckoned with
CONTAINER_HOUR = Surcharge(Decimal("0.05"), "Anthropic pricing page, 2026-10-10")
#: a container is billed for at least this many seconds (source: Anthropic pricing page, 2026-10-10)
SHORTEST_CONTAINER_SECONDS = 300
#: neither a request nor its usage says how long its container runs; taken for each, and said to be a bound of ours
ASSUMED_CONTAINER_SECONDS = 3_600
#: from this version of the web tools on, code execution next to them is free (source: Anthropic pricing page, 2026-10-10)
_FREE_WITH_WEB_TOOLS = 20_260_209

#: refusals before any output, by `stop_details.category`, from this day on (source: Anthropic release notes, 2026-10-10)
REFUSALS_SINCE = date(2026, 9, 24)
REFUSALS_NOT_BILLED: frozenset[str | None] = frozenset({"cyber", "general_harms", None})
REFUSALS_BILLED: frozenset[str | None] = frozenset({"bio", "frontier_llm", "reasoning_extraction"})


def takes_geo(model: str) -> bool:
    """Whether a model takes `inference_geo`: Claude 4.6 and later do; an older one, or an id of another shape, does not."""
    version = _VERSION.fullmatch(model)
    return version is not None and (int(version[1]), int(version[2] or 0)) >= _FIRST_WITH_GEO


def geo_factor(model: str, geo: str, day: date) -> Decimal | None:
    """The factor of an `inference_geo`, or None when none is known."""
    if not takes_geo(model) and geo != "global":
        return ONE if geo == NO_GEO else None
    return GEO[geo].on(day) if geo in GEO else None


def speed_factor(model: str, speed: str, day: date) -> Decimal | None:
    """The factor of a `speed`, or None when none is known."""
    if speed == "standard":
        return ONE
    return FAST[model].on(day) if speed == "fast" and model in FAST else None


def dearest(surcharges: Iterable[Surcharge]) -> Decimal:
    """The largest factor of a table: what is taken when a usage says something that the table does not."""
    return max(surcharge.value for surcharge in surcharges)


def container_seconds(tools: Iterable[str]) -> int:
    """How long a container a request with these tools is taken to be billed for, seconds.

    Args:
        tools: texts that name the request's server tools, such as "server tool code_execution_20250825".
    """
    named = " ".join(tools)
    if "code_execution_" not in named:
        return 0
    web_tools = re.findall(r"\bweb_(?:search|fetch)_(\d{8})\b", named)
    is_free = any(int(version) >= _FREE_WITH_WEB_TOOLS for version in web_tools)
    return 0 if is_free else ASSUMED_CONTAINER_SECONDS


def refusal_is_billed(category: object, day: date) -> bool | None:
    """Whether a refusal before any output is billed; None when that is not known.

    Args:
        category: `stop_details.category`.
        day: the UTC day of the call.
    """
    if day < REFUSALS_SINCE or not (category is None or isinstance(category, str)):
        return None
    if category in REFUSALS_NOT_BILLED:
        return False
    return True if category in REFUSALS_BILLED else None
