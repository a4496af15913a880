"""The chart of a report: jobs by outcome, and money estimated next to actual, as a picture inside Markdown.

Prefect's UI (3.8.8) takes the tags of an SVG out of a Markdown artifact and leaves its words; it shows an image whose
address is a data URI. So the SVG goes into the address of an image. It has a white ground of its own, since an image does
not know whether the page around it is dark. The colours are those of Okabe and Ito, which colour-blind readers tell
apart; every bar has its words and its figure.
"""

from base64 import b64encode
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple
from xml.sax.saxutils import escape

from schemas.money import usd_most, usd_rounded
from schemas.outcome import Outcome
from schemas.report import RunReport

_COLOURS = {
    Outcome.SUCCEEDED: "#0072B2",
    Outcome.REVIEW: "#E69F00",
    Outcome.DEFERRED: "#7A7A7A",
    Outcome.REJECTED: "#D55E00",
    Outcome.FAILED: "#CC79A7",
    Outcome.UNKNOWN: "#222222",
}
_ESTIMATED, _ACTUAL, _OTHER = "#7A7A7A", "#0072B2", "#BBBBBB"
#: pixels: in a window of 800, Prefect's page has 512 for it
_WIDTH, _LABEL, _FIGURE, _ROW, _BAR = 510, 175, 95, 24, 14
_LONGEST_LABEL = 23


class _Bar(NamedTuple):
    label: str
    figure: str
    size: Decimal
    colour: str


def report_chart(report: RunReport) -> str:
    """The chart as an image in Markdown; "" of a run that read no job."""
    if not report.jobs.read:
        return ""
    svg = chart_svg(report)
    words = f"Jobs by outcome and money of {report.run_id}; the tables below have the same figures"
    return f"![{words}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"


def chart_svg(report: RunReport) -> str:
    """The chart as SVG."""
    simulated = " (simulated)" if report.simulated else ""
    jobs, top = _group(f"Jobs by outcome, of {report.jobs.read:,}", _job_bars(report), 0)
    money, height = _group(f"Money{simulated}", _money_bars(report), top)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="13" fill="#222222">'
        f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#FFFFFF"/>{jobs}{money}</svg>'
    )


def _job_bars(report: RunReport) -> list[_Bar]:
    counts = {outcome: getattr(report.jobs, outcome.value) for outcome in Outcome}
    return [
        _Bar(outcome.value, f"{count:,}", Decimal(count), _COLOURS[outcome])
        for outcome, count in counts.items()
        if count
    ]


def _money_bars(report: RunReport) -> list[_Bar]:
    money = report.usd
    held = _Bar("held, the worst case", usd_most(money.worst_case), money.worst_case, _OTHER)
    amounts = [("estimated", money.estimated, _ESTIMATED)]
    if report.quote is not None:
        amounts.append(("quoted", report.quote.expected_usd, _ESTIMATED))
    amounts.append(("actual", money.actual, _ACTUAL))
    if money.all_on_largest > money.actual:
        amounts.append((f"all on {report.largest_model}", money.all_on_largest, _OTHER))
    return [held, *(_Bar(label, usd_rounded(usd), usd, colour) for label, usd, colour in amounts)]


def _group(heading: str, bars: Sequence[_Bar], top: int) -> tuple[str, int]:
    """A heading with its bars, which are to one scale, and where the next group begins."""
    most = max((bar.size for bar in bars), default=Decimal(0)) or Decimal(1)
    room = _WIDTH - _LABEL - _FIGURE
    parts = [f'<text x="14" y="{top + 26}" font-weight="bold">{escape(heading)}</text>']
    for number, bar in enumerate(bars):
        middle = top + 50 + number * _ROW
        # what there is can be seen, however small it is next to the others
        width = max(1, int(room * bar.size / most)) if bar.size else 0
        label = bar.label if len(bar.label) <= _LONGEST_LABEL else bar.label[: _LONGEST_LABEL - 1] + "…"
        parts.append(
            f'<text x="{_LABEL - 10}" y="{middle + 4}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{_LABEL}" y="{middle - _BAR // 2}" width="{width}" height="{_BAR}" fill="{bar.colour}"/>'
            f'<text x="{_LABEL + width + 8}" y="{middle + 4}">{escape(bar.figure)}</text>'
        )
    return "".join(parts), top + 50 + len(bars) * _ROW
