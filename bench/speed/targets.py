"""What was measured, beside what it should be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """A figure, how it is read from the measurements, and whether it is good enough."""

    name: str
    wanted: str
    found: Callable[[Figures], float]
    is_met: Callable[[float], bool]


def _growth(mode: str) -> Callable[[Figures], float]:
    def ratio(figures: Figures) -> float:
        peaks = figures["memory"]["peak_mib"][mode]
        return round(max(peaks.values()) / peaks[min(peaks)], 2)

    return ratio


def _start_up(case: str) -> Callable[[Figures], float]:
    def seconds(figures: Figures) -> float:
        return float(next(one["exit"] for one in figures["start_up"]["cases"] if one["case"] == case))

    return seconds


def _scaling(way: str, other: str) -> Callable[[Figures], float]:
    def ratio(figures: Figures) -> float:
        ways = figures["scaling"]["ways"]
        return round(ways[way]["sent_per_second"] / ways[other]["sent_per_second"], 2)

    return ratio


TARGETS = (
    Target(
        "jobs a second, to the hand-written script",
        ">= 1.0",
        lambda figures: figures["side_by_side"]["run_to_script"],
        lambda found: found >= 1.0,
    ),
    Target(
        "jobs a second, to a task run per item",
        ">= 8",
        lambda figures: figures["side_by_side"]["run_to_task_per_item"],
        lambda found: found >= 8,
    ),
    Target(
        # 333 counts and 167 messages a second, by the rate limits page of 2026-10-08: two counts for each message
        "cores for the top tier (333 counts and 167 messages a second)",
        "<= 1",
        lambda figures: round(figures["side_by_side"]["cpu_ms_per_job"]["run"] * 167 / 1_000, 2),
        lambda found: found <= 1,
    ),
    Target("peak memory by rows, Messages", "<= 1.3", _growth("messages"), lambda found: found <= 1.3),
    Target("peak memory by rows, batches", "<= 1.3", _growth("batches"), lambda found: found <= 1.3),
    Target(
        "peak memory, MiB",
        "< 600",
        lambda figures: max(figures["memory"]["peak_mib"]["messages"].values()),
        lambda found: found < 600,
    ),
    Target(
        "a finished run again, seconds",
        "< 10",
        lambda figures: figures["again"]["seconds"],
        lambda found: found < 10,
    ),
    Target(
        "a finished run again, calls",
        "0",
        lambda figures: figures["again"]["calls"],
        lambda found: found == 0,
    ),
    Target("118 jobs, cold, seconds", "< 6", _start_up("run, cold"), lambda found: found < 6),
    Target(
        "118 jobs, with a server running, seconds",
        "< 3",
        _start_up("run, with a server"),
        lambda found: found < 3,
    ),
    Target("two workers, to one", "> 1", _scaling("2 workers", "1 workers"), lambda found: found > 1),
    Target("two workers, to none", "> 1", _scaling("2 workers", "local"), lambda found: found > 1),
    Target(
        "least share of an allowance used, percent",
        ">= 97",
        lambda figures: round(100 * min(one["share_used"] for one in figures["limiter"]), 1),
        lambda found: found >= 97,
    ),
    Target(
        "largest share of 429s, percent",
        "<= 0.5",
        lambda figures: round(100 * max(one["share_refused"] for one in figures["limiter"]), 2),
        lambda found: found <= 0.5,
    ),
)


def table(figures: Figures) -> str:
    """A Markdown table of the targets whose figures were measured."""
    lines = ["| what | target | measured | |", "|---|---|---|---|"]
    for target in TARGETS:
        try:
            found = target.found(figures)
        except KeyError:
            continue
        verdict = "met" if target.is_met(found) else "**not met**"
        lines.append(f"| {target.name} | {target.wanted} | {found} | {verdict} |")
    return "\n".join(lines)
