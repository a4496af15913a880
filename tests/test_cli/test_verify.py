"""`weighbridge verify`: a line a check, its exit codes, and that it changes nothing."""

import hashlib

import pytest
from sqlalchemy import text

from services.ledger import jobs
from tests.strategies import begin, job

NAMES = [
    "schema",
    "windows",
    "days",
    "holds",
    "rows",
    "answers",
    "paid_once",
    "batches",
    "reviews",
    "results",
]


@pytest.fixture
def a_run(ledger):
    """A run of two rows that has not ended."""
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0), job(1, text="other")], [])
    return ledger


def changed(ledger, statement):
    with ledger.write() as connection:
        connection.execute(text(statement))


def test_a_true_ledger_is_0_with_a_line_a_check(weighbridge, a_run):
    ended = weighbridge("verify")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split()[:2] for line in ended.out.splitlines()] == [["ok", name] for name in NAMES]
    found = weighbridge("verify", "--json").json
    assert found["ok"] is True
    assert [check["name"] for check in found["checks"]] == NAMES
    assert {key for check in found["checks"] for key in check} == {"name", "ok", "found", "what_to_do"}


def test_a_ledger_that_contradicts_itself_is_4_and_says_what_to_do(weighbridge, a_run):
    changed(a_run, "INSERT INTO budgets VALUES ('day', '2026-11-22', '', NULL, 0, 5)")
    ended = weighbridge("verify")
    assert ended.code == 4
    [line] = [line for line in ended.out.splitlines() if not line.startswith("ok")]
    assert line.startswith("OFF  windows ")
    assert "(day 2026-11-22). To do: Keep a copy of the ledger" in line
    found = weighbridge("verify", "--json")
    assert (found.code, found.json["ok"]) == (4, False)
    assert [check["name"] for check in found.json["checks"] if not check["ok"]] == ["windows"]


@pytest.mark.parametrize("version", ["0001", "9999"])
def test_a_ledger_of_another_version_is_a_failed_check_and_is_not_migrated(weighbridge, a_run, version):
    changed(a_run, f"UPDATE alembic_version SET version_num = '{version}'")
    found = weighbridge("verify", "--json")
    assert found.code == 4
    [check] = found.json["checks"]
    assert check["name"] == "schema"
    assert version in check["found"]
    assert "weighbridge report" in check["what_to_do"]
    with a_run.read() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == version


def test_the_ledger_file_is_the_same_afterwards(weighbridge, a_run, tmp_path):
    a_run.close()
    file = tmp_path / "data/ledger.db"
    before = hashlib.sha256(file.read_bytes()).digest()
    assert weighbridge("verify").code == 0
    assert hashlib.sha256(file.read_bytes()).digest() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ledger", "sqlite:///elsewhere/ledger.db"], "There is no ledger at"),
        (["--ledger", "nonsense"], "The ledger URL cannot be used"),
        (["--ledger", "sqlite:///empty.db"], "There are no tables of a ledger at sqlite:///empty.db"),
        (["--results", "elsewhere"], "There is no folder"),
    ],
)
def test_what_cannot_be_verified_is_2_and_makes_nothing(weighbridge, a_run, tmp_path, arguments, words):
    (tmp_path / "empty.db").touch()
    ended = weighbridge("verify", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.sentence
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "empty.db").read_bytes() == b""
