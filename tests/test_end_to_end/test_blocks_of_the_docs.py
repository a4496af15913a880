"""Every block of commands of the README and of docs/ is run as it stands there, or says why it is not."""

import json
import shutil
from dataclasses import dataclass

import pytest

from schemas.settings import DEFAULT_POLICY
from simulator.process import running_simulator
from tests.commands import Command
from tests.doc_blocks import DocBlock, DocFolder, blocks
from tests.doc_checks import fences
from tests.processes import ONE_CERTIFICATE, ROOT, clean_environment
from tests.yards import Yard

pytestmark = pytest.mark.prefect
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: the only reasons for which a block is not run, and how many blocks have each
NOT_RUN = {
    "installs the packages, or runs the tests themselves": 1,
    "needs a key": 1,
    "takes minutes": 4,
    "serves until it is interrupted": 4,
    "asks a person on the terminal": 1,
    "needs a work pool with a worker": 1,
    "needs a PostgreSQL server at this name": 1,
    "needs an attempt of unknown outcome": 2,
    "needs a container engine": 4,
    "needs a Dask cluster at this address": 1,
}
ROWS = [{"job_id": f"job-{n}", "prompt": f"hello {n} [[output_tokens=7]]"} for n in range(5)]
TURNS = [{"role": ("user", "assistant")[n % 2], "content": f"turn {n}"} for n in range(17)]
WAITING = {"job_id": "heavy", "messages": json.dumps(TURNS), "max_input_tokens": 1, "group": "support"}


@dataclass(frozen=True)
class Place:
    """What all pages start from: a folder to copy, the environment of the commands, and the server that forks them."""

    folder: object
    environment: dict
    warm: object
    review: int


@pytest.fixture(scope="module")
def place(tmp_path_factory, prefect_api, warm):
    """A folder with job files and with the ledger of a run, one job of which waits for a person."""
    folder = tmp_path_factory.mktemp("pages") / "start"
    (folder / "home").mkdir(parents=True)
    with running_simulator() as simulator:
        environment = clean_environment(
            folder / "home",
            PREFECT_API_URL=prefect_api,
            ANTHROPIC_API_KEY="test",
            ANTHROPIC_BASE_URL=simulator.base_url,
            WEIGHBRIDGE_REVIEWER="ana",
            **ONE_CERTIFICATE,
        )
        yard = Yard(folder, prefect_api, environment, f"sqlite:///{folder}/data/ledger.db", warm)
        jobs = folder / yard.jobs([*ROWS, WAITING])
        shutil.copy(jobs, folder / "trace.parquet")
        for name in ("data/incoming", "nights/2026-11-01"):
            (folder / name).mkdir(parents=True)
            shutil.copy(jobs, folder / name / "jobs.parquet")
        for name in ("samples", "policies"):
            shutil.copytree(ROOT / "data" / name, folder / "data" / name)
        shutil.copy(ROOT / "data/policies/default.toml", folder / "mine.toml")
        with Command(["run", "jobs.parquet"], folder, environment, warm) as command:
            assert command.finish().code == 0
        (folder / "data/demo").mkdir()
        shutil.copy(folder / "data/ledger.db", folder / "data/demo/ledger.db")
        yield Place(folder, environment, warm, yard.one("SELECT max(id) FROM reviews"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_in_their_order(page, place, tmp_path):
    text = page.read_text()
    if not [block for block in blocks(text) if block.why is None]:
        return
    folder = tmp_path / "page"
    shutil.copytree(place.folder, folder)
    (folder / "tickets.csv").write_text("\n".join(fences(text, "csv")))
    (folder / "tickets.toml").write_text("\n".join([DEFAULT_POLICY.read_text(), *fences(text, "toml")]))
    at = DocFolder(folder, place.warm, place.environment, place.review)
    for block in blocks(text):
        if block.why is None:
            code, printed = at.run(block)
            assert code == 0, f"{block.text}\n{printed[-3000:]}"


def test_what_is_not_run_has_one_of_few_reasons():
    reasons = [block.why for page in PAGES for block in blocks(page.read_text()) if block.why]
    assert {reason: reasons.count(reason) for reason in reasons} == NOT_RUN


def test_a_block_says_whether_it_is_run_and_why_not():
    page = "```sh\na\nb\n```\ntext\n\n<!-- not run: takes minutes -->\n```sh\nc\n```\n```text\nd\n```\n"
    assert blocks(page) == [DocBlock("a\nb\n", None), DocBlock("c\n", "takes minutes")]


def test_a_block_that_fails_is_found(place, tmp_path):
    folder = tmp_path / "page"
    folder.mkdir()
    at = DocFolder(folder, place.warm, place.environment, 1)
    assert at.run(DocBlock("weighbridge report --ledger sqlite:///none.db\ntrue\n", None))[0] == 2
    assert at.run(DocBlock("no-such-command\ntrue\n", None))[0] == 127
    assert at.run(DocBlock("weighbridge --version\n", None))[0] == 0
