"""Charts of a quote, as PNG: what the file costs by policy, and how heavy its jobs are over the routes.

The colours are those of Okabe and Ito, which colour-blind readers tell apart (source: jfly.uni-koeln.de/color, seen
2026-11-27); shapes and labels say the same again. matplotlib is imported where a chart is drawn, because that takes a
second, and its global state is not used.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREY, _BLACK = "#0072B2", "#D55E00", "#7A7A7A", "#222222"
_DOTS_PER_INCH = 150
_WIDTH = 9.0
_BINS = 40


def cost_by_policy(policies: pd.DataFrame, *, simulated: bool) -> bytes:
    """A bar of the expected cost for each policy, with marks at p90 and at the worst case.

    Args:
        policies: `name`, and the exact USD `expected_usd`, `p90_usd` and `worst_usd`, one row a policy, in the order in
            which they are drawn from the top.
        simulated: whether the title says so.

    Returns:
        The PNG.
    """
    height = 1.7 + 0.62 * max(1, len(policies))
    with _chart(height) as (figure, axes, png):
        places = range(len(policies))
        expected, p90, worst = (_drawn(policies[name]) for name in ("expected_usd", "p90_usd", "worst_usd"))
        axes.hlines(places, expected, worst, color=_GREY, linewidth=1.2, zorder=1)
        axes.barh(places, expected, height=0.52, color=_BLUE, label="expected", zorder=2)
        axes.scatter(p90, places, marker="D", s=46, color=_ORANGE, label="p90", zorder=3)
        axes.scatter(
            worst, places, marker="|", s=260, linewidth=2.4, color=_BLACK, label="worst case", zorder=3
        )
        right = max([*worst, *p90, 0.0]) or 1.0
        for place, end, exact in zip(places, worst, policies["expected_usd"], strict=True):
            axes.text(
                end + right * 0.02, place, f"{_usd(exact)} expected", va="center", fontsize=9, color=_BLACK
            )
        axes.set_yticks(list(places), [fill(str(name), 28) for name in policies["name"]])
        axes.set_ylim(max(1, len(policies)) - 0.5, -0.5)
        axes.set_xlim(0, right * 1.28)
        axes.set_xlabel("USD for the whole file")
        axes.grid(axis="x", color="#DDDDDD", zorder=0)
        axes.set_title(_title("Cost by policy", simulated=simulated), loc="left", pad=30)
        drawn, names = axes.get_legend_handles_labels()
        order = [names.index(name) for name in ("expected", "p90", "worst case")]
        axes.legend(
            [drawn[at] for at in order],
            [names[at] for at in order],
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=3,
            frameon=False,
            borderaxespad=0.2,
        )
        _finish(figure, axes)
    return png.getvalue()


def job_weights(jobs: pd.DataFrame, routes: Mapping[str, int], *, simulated: bool) -> bytes:
    """How many jobs weigh how much, on a logarithmic scale, with the limits of the routes as lines.

    Args:
        jobs: `input_tokens`, one row a job; jobs without a weight are left out, and counted in the title.
        routes: the most input tokens of each route, by its name.
        simulated: whether the title says so.

    Returns:
        The PNG.
    """
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - slow to import

    weighed = jobs["input_tokens"].dropna()
    tokens = np.maximum(weighed.to_numpy(dtype="int64"), 1)
    missing = len(jobs) - len(tokens)
    with _chart(4.6) as (figure, axes, png):
        ends = [*tokens.tolist(), *routes.values()] or [1, 10_000]
        low, high = max(1, min(ends)) / 1.3, max(ends) * 1.3
        axes.hist(tokens, bins=_edges(low, high), color=_BLUE, edgecolor="white", linewidth=0.4)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        for number, (name, limit) in enumerate(sorted(routes.items(), key=lambda route: route[1])):
            axes.axvline(limit, color=_ORANGE, linewidth=1.6, linestyle="--")
            # two heights by turns: limits that are close to each other keep their names apart
            axes.annotate(
                f"{name} ≤ {limit:,}",
                (limit, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(-2, 3 + 12 * (number % 2)),
                textcoords="offset points",
                ha="right",
                fontsize=9,
                color=_ORANGE,
            )
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        if not tokens.size:
            axes.set_ylim(0, 1)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("input tokens of a job (logarithmic)")
        axes.set_ylabel("jobs")
        left_out = f", {missing:,} more have no weight" if missing else ""
        title = f"Weights of {len(tokens):,} jobs over the routes{left_out}"
        axes.set_title(_title(title, simulated=simulated), loc="left", pad=34)
        _finish(figure, axes)
    return png.getvalue()


@contextmanager
def _chart(height: float) -> "Iterator[tuple[Figure, Axes, io.BytesIO]]":
    """An empty chart, and where its PNG is once the block has ended; of no state but its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(_WIDTH, height), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)  # the figure keeps it
    png = io.BytesIO()
    yield figure, figure.add_subplot(), png
    figure.savefig(png, format="png")


def _finish(figure: "Figure", axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    figure.set_facecolor("white")


def _edges(low: float, high: float) -> Any:
    return np.geomspace(low, high, _BINS + 1)


def _drawn(amounts: pd.Series) -> list[float]:
    """Amounts as places on an axis: only a picture is made of them."""
    return [float(amount) for amount in amounts]


def _usd(amount: Decimal) -> str:
    """An amount with three significant digits at least, and cents from a dollar on."""
    if abs(amount) >= 1:
        return f"{amount:,.2f} USD"
    return f"{Decimal(f'{amount:.3g}'):f} USD"


def _title(title: str, *, simulated: bool) -> str:
    return f"{title} (simulated)" if simulated else title
