"""Every block of commands of the README and of docs/ is run as it stands there, or says why it is not."""

import json
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from schemas.settings import DEFAULT_POLICY
from simulator.process import running_simulator
from tests.clusters import dask_cluster
from tests.commands import Command
from tests.doc_blocks import SHORTENED, DocBlock, DocFolder, blocks
from tests.doc_checks import fences
from tests.processes import ONE_CERTIFICATE, ROOT, clean_environment
from tests.yards import Yard

pytestmark = pytest.mark.prefect
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: the only reasons for which a block is not run, and how many blocks have each
NOT_RUN = {
    "runs the tests themselves": 1,
    "takes minutes": 4,
    "needs a container engine": 4,
}
#: addresses of the pages, in whose place a database of this machine is
LEDGERS = (
    "postgresql+psycopg://weighbridge@db.example.org/weighbridge",
    "postgresql+psycopg://weighbridge@db/ledger",
)
#: and a cluster of this machine
DASK = "tcp://10.0.0.5:8786"
ROWS = [{"job_id": f"job-{n}", "prompt": f"hello {n} [[output_tokens=7]]"} for n in range(5)]
TURNS = [{"role": ("user", "assistant")[n % 2], "content": f"turn {n}"} for n in range(17)]
WAITING = {"job_id": "heavy", "messages": json.dumps(TURNS), "max_input_tokens": 1, "group": "support"}


#: answered so that nobody knows whether they were billed, in `UNKNOWN_PLAN`
UNKNOWN = [{"job_id": f"doubtful-{n}", "prompt": f"doubtful {n}", "max_tokens": 20_000} for n in range(5)]
UNKNOWN_PLAN = """[[faults]]
endpoint = "messages"
kind = "malformed_body"
match = "doubtful 3"
[[faults]]
endpoint = "messages"
kind = "malformed_body"
match = "doubtful 4"
[[faults]]
endpoint = "messages"
kind = "cut_before"
match = "doubtful"
"""


@dataclass(frozen=True)
class Place:
    """What all pages start from: a folder to copy, the environment of the commands, and the server that forks them.

    `ids` names what a page means by its ids: review 17 waits, 18 to 20 are of unknown outcome,
    20 with a raw answer, and so are the attempts, the second with one.
    """

    folder: object
    environment: dict
    warm: object
    ids: dict

    def opened(self, folder):
        """A copy of it that the blocks of a page may change."""
        shutil.copytree(self.folder, folder)
        return DocFolder(folder, self.warm, self.environment, self.ids)


@pytest.fixture(scope="module")
def place(tmp_path_factory, prefect_api, warm):
    """A folder with job files and with the ledger of a run, one job of which waits for a person."""
    folder = tmp_path_factory.mktemp("pages") / "start"
    (folder / "home").mkdir(parents=True)
    plan = folder / "unknown.toml"
    plan.write_text(UNKNOWN_PLAN)
    with running_simulator(plan=plan) as simulator:
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
        jobs = yard.jobs(UNKNOWN, "doubtful.parquet")
        with Command(["run", jobs], folder, environment, warm) as command:
            assert command.finish().code == 4
        (folder / "data/demo").mkdir()
        shutil.copy(folder / "data/ledger.db", folder / "data/demo/ledger.db")
        yield Place(folder, environment, warm, ids_of(yard))


def ids_of(yard):
    """What is in a yard's ledger for the ids of the pages."""
    [waits] = yard.rows("SELECT id FROM reviews WHERE reason <> 'unknown_outcome'")
    first, second, *others = yard.rows(
        "SELECT id, job_id FROM reviews WHERE reason = 'unknown_outcome' ORDER BY id"
    )
    silent, raw, other_raw = others
    attempts = {
        "att_0123456789abcdef0123456789abcdef": silent,
        "att_fedcba9876543210fedcba9876543210": other_raw,
    }
    of_job = "SELECT attempt_id FROM attempts WHERE job_id = ?"
    return {
        "17": waits["id"],
        "18": first["id"],
        "19": second["id"],
        "20": raw["id"],
        **{on_page: yard.one(of_job, review["job_id"]) for on_page, review in attempts.items()},
    }


@contextmanager
def stand_ins(commands, place, request):
    """What is here in the place of the servers that commands name by their address."""
    found = {}
    with ExitStack() as running:
        if any(one in commands for one in LEDGERS):
            found |= dict.fromkeys(LEDGERS, request.getfixturevalue("postgres_url"))
        if DASK in commands:
            folder = request.getfixturevalue("tmp_path_factory").mktemp("cluster")
            found[DASK] = running.enter_context(dask_cluster(folder, place.environment, workers=1)).address
        yield found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_in_their_order(page, place, tmp_path, request):
    text = page.read_text()
    ending = [block for block in blocks(text) if block.ends]
    if not ending:
        return
    folder = tmp_path / "page"
    at = place.opened(folder)
    (folder / "tickets.csv").write_text("\n".join(fences(text, "csv")))
    (folder / "tickets.toml").write_text("\n".join([DEFAULT_POLICY.read_text(), *fences(text, "toml")]))
    with stand_ins("".join(block.text for block in ending), place, request) as places:
        at.places |= places
        for block in ending:
            code, printed = at.run(block)
            assert code == 0, f"{block.text}\n{printed[-3000:]}"


SERVED = [(page, block) for page in PAGES for block in blocks(page.read_text()) if block.ready]


@pytest.mark.xdist_group("the default ports")
@pytest.mark.parametrize(
    ("page", "block"), SERVED, ids=[f"{page.name}-{n}" for n, (page, _) in enumerate(SERVED)]
)
def test_what_serves_comes_up_and_ends_with_ctrl_c(page, block, place, tmp_path):
    at = place.opened(tmp_path / "page")
    (tmp_path / "page/plan.toml").write_text(next(iter(fences(page.read_text(), "toml")), ""))
    others = blocks(page.read_text())
    for asks in [one for one in others if one.asks and SHORTENED in block.text]:
        code, printed = at.answer(asks, "a long pass word")
        assert code == 0, printed
    beside = [one for one in others if one.beside and one.beside in block.text]

    def use(shown):
        for one in beside:
            code, printed = at.run(one, shown)
            assert code == 0, f"{one.text}\n{printed[-3000:]}"

    served, code, printed = at.serve(block, use)
    assert served, printed[-3000:]
    assert code in (0, 130), printed[-3000:]


def test_what_is_not_run_has_one_of_few_reasons():
    reasons = [block.why for page in PAGES for block in blocks(page.read_text()) if block.why]
    assert {reason: reasons.count(reason) for reason in reasons} == NOT_RUN


def test_a_block_says_whether_it_is_run_and_why_not():
    page = "```sh\na\nb\n```\ntext\n\n<!-- not run: takes minutes -->\n```sh\nc\n```\n```text\nd\n```\n"
    assert blocks(page) == [DocBlock("a\nb\n"), DocBlock("c\n", why="takes minutes")]


def test_a_block_says_how_it_shows_that_it_serves():
    page = '<!-- until Ctrl-C{}, ready at "Up" -->\n```sh\na\nb\n```\n'
    assert blocks(page.format("")) == [DocBlock("a\nb\n", ready="Up")]
    assert blocks(page.format(", each line")) == [DocBlock("a\n", ready="Up"), DocBlock("b\n", ready="Up")]


def test_every_block_that_needs_another_one_has_it():
    for page in PAGES:
        served = "".join(block.text for block in blocks(page.read_text()) if block.ready)
        for block in blocks(page.read_text()):
            assert block.beside is None or block.beside in served, page
            assert not block.asks or SHORTENED in served, page


def test_a_block_says_what_serves_meanwhile_and_that_it_asks():
    page = '<!-- while "a --b" runs -->\n```sh\nc\n```\n<!-- asks for a password -->\n```sh\nd\n```\n'
    assert blocks(page) == [DocBlock("c\n", beside="a --b"), DocBlock("d\n", asks=True)]
    assert not [block for block in blocks(page) if block.ends]


def test_a_block_that_fails_is_found(place, tmp_path):
    folder = tmp_path / "page"
    folder.mkdir()
    at = DocFolder(folder, place.warm, place.environment, {})
    assert at.run(DocBlock("weighbridge report --ledger sqlite:///none.db\ntrue\n"))[0] == 2
    assert at.run(DocBlock("no-such-command\ntrue\n"))[0] == 127
    assert at.run(DocBlock("weighbridge --version\n"))[0] == 0
