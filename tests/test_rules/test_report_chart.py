"""The chart of a report: well-formed, inside its frame, and with words and figures next to each bar."""

import re
from base64 import b64decode
from decimal import Decimal
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from rules.report_chart import chart_svg, report_chart
from schemas.outcome import Outcome, RunOutcome
from schemas.report import JobFigures, RunReport, UsdFigures

SVG = "{http://www.w3.org/2000/svg}"


def a_report(**more):
    """A report of ten jobs, of which two wait for a person."""
    money = UsdFigures(worst_case=Decimal(9), estimated=Decimal(2), actual=Decimal(3))
    given = {
        "run_id": "run-1",
        "outcome": RunOutcome.COMPLETE,
        "jobs": JobFigures(read=10, succeeded=8, review=2),
        "usd": money,
    }
    return RunReport(**given | more)


@given(
    st.fixed_dictionaries({outcome.value: st.integers(0, 10**7) for outcome in Outcome}),
    st.lists(st.decimals(0, 10**6, places=9), min_size=4, max_size=4),
    st.text(max_size=40),
)
def test_every_chart_is_well_formed_and_inside_its_frame(jobs, money, model):
    amounts = dict(zip(("worst_case", "estimated", "actual", "all_on_largest"), money, strict=True))
    model = "".join(letter for letter in model if letter.isprintable())
    report = a_report(
        jobs=JobFigures(read=sum(jobs.values()), **jobs), usd=UsdFigures(**amounts), largest_model=model
    )
    svg = ET.fromstring(chart_svg(report))
    width, height = int(svg.get("width")), int(svg.get("height"))
    bars = svg.findall(f"{SVG}rect")[1:]
    assert len(bars) == sum(map(bool, jobs.values())) + 3 + (amounts["all_on_largest"] > amounts["actual"])
    for bar in bars:
        assert int(bar.get("x")) + int(bar.get("width")) <= width
        assert int(bar.get("y")) + int(bar.get("height")) <= height
    # whatever there is can be seen
    drawn = [int(bar.get("width")) for bar in bars]
    sizes = [count for count in jobs.values() if count] + list(money[:3])
    assert all(bool(wide) is bool(size) for wide, size in zip(drawn, sizes, strict=False))


def test_the_chart_is_an_image_whose_address_is_its_svg_and_an_empty_run_has_none():
    report = a_report(simulated=True)
    address = re.fullmatch(r"!\[.*\]\(data:image/svg\+xml;base64,(.*)\)", report_chart(report)).group(1)
    words = [text.text for text in ET.fromstring(b64decode(address)).iter(f"{SVG}text")]
    assert "Money (simulated)" in words
    assert {"succeeded", "8", "review", "2", "$9.00", "$3.00"} <= set(words)
    assert report_chart(a_report(jobs=JobFigures())) == ""
