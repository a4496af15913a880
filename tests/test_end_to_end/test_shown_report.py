"""The report that the pages show is the one that the demo prints."""

import re
import shutil

from tests.doc_checks import ROOT, fences

#: what differs from run to run: ids, places, the month, how long it took, and blanks at the end of a line
_OWN = (
    (r"run-\d{8}T\d{6}-[0-9a-f]{6}", "RUN"),
    (
        r"^((?:results|rows without an answer|reconciliation|report|ledger|waiting for review): ).*$",
        r"\1PLACE",
    ),
    (r"^Prefect flow run: .*$", "Prefect flow run: ID"),
    (r"Month \d{4}-\d{2}", "Month"),
    (r"[\d.]+ seconds$", "SECONDS"),
    (r"[ ]+$", ""),
)


def _comparable(text: str) -> list[str]:
    for pattern, word in _OWN:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text.strip().splitlines()


def _shown(page: str) -> list[str]:
    [report] = [text for text in fences((ROOT / page).read_text(), "text") if text.startswith("run-")]
    return _comparable(report)


def test_the_report_on_the_pages_is_that_of_the_sample_jobs(yard):
    shutil.copytree(ROOT / "data" / "samples", yard.folder / "data" / "samples")
    ended = yard.weighbridge("run", "data/samples/jobs.parquet", "--simulate")
    assert ended.code == 4, ended.told()
    printed = _comparable(ended.out)
    assert _shown("docs/operate.md") == printed
    beginning = _shown("README.md")
    assert beginning[:7] == printed[:7]
    assert [line for line in beginning if line not in printed] == []
