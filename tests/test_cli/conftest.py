"""A place to call the command in: an empty current folder, nobody's keys, and a ledger with reviews on request."""

import json
import os
import shutil
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from unittest import mock

import prefect  # noqa: F401 - before the command sets what Prefect reads when it is imported
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stamina
from sqlalchemy import insert, select

from cli import resubmit_approved as resubmit_module
from cli import run as run_module
from cli.main import main
from schemas.outcome import RunOutcome
from schemas.report import RunReport
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from tests.strategies import begin, quick_ledger, request

FOREIGN = ("ANTHROPIC_", "WEIGHBRIDGE_", "EDITOR", "VISUAL")


@dataclass
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON text on stdout; fails when there is anything else."""
        assert self.out.count("\n") == 1, self
        return json.loads(self.out)

    @property
    def sentence(self):
        """The only line on stderr."""
        [line] = self.err.splitlines()
        assert line.startswith("weighbridge: "), self
        return line.removeprefix("weighbridge: ")


@pytest.fixture
def weighbridge(tmp_path, monkeypatch, capsys):
    """Calls the command in this process, in an empty folder; calls of the API are tried once."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["weighbridge", *map(str, arguments)])
        capsys.readouterr()
        with (
            mock.patch.dict(os.environ),
            stamina.set_testing(True, attempts=1),
            pytest.raises(SystemExit) as end,
        ):
            main()
        told = capsys.readouterr()
        return Ended(end.value.code or 0, told.out, told.err)

    return call


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """The file of an empty ledger, to copy: migrating each test's own takes longer than the test."""
    file = tmp_path_factory.mktemp("migrated") / "ledger.db"
    quick_ledger(f"sqlite:///{file}").close()
    assert not file.with_name("ledger.db-wal").exists()
    return file


@pytest.fixture
def ledger(tmp_path, migrated):
    """An empty ledger where the commands look for it: below the current folder."""
    (tmp_path / "data").mkdir()
    shutil.copy(migrated, tmp_path / "data/ledger.db")
    opened = quick_ledger(f"sqlite:///{tmp_path}/data/ledger.db")
    yield opened
    opened.close()


@pytest.fixture
def waiting(ledger):
    """Three pending reviews of run-1, of 1, 2 and 3 USD; the last one is of group blue. Their ids."""
    begin(ledger)
    common = {"run_id": "run-1", "reason": "over_cost_limit", "detail": "dear", "model": "claude-opus-5-5"}
    rows = [
        common
        | {
            "job_id": f"job-{row}",
            "row_number": row,
            "created_at": datetime.now(UTC),
            "fingerprint": f"f{row}",
            "input_tokens": 1_000 + row,
            "worst_case_nano_usd": 10**9 * (row + 1),
            "group_name": "blue" if row == 2 else "red",
        }
        for row in range(3)
    ]
    with ledger.write() as connection:
        connection.execute(insert(ReviewRow), rows)
        ids = sorted(connection.scalars(select(ReviewRow.id)))
        payload = json.dumps(request("hello [bold]you[/bold]"))
        connection.execute(insert(ReviewPayloadRow), [{"review_id": i, "payload": payload} for i in ids])
    return ids


@pytest.fixture
def silent_api(monkeypatch):
    """The API's address is a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")


class Flow:
    """Stands for the flow's run: what it was called with, and what it returns or raises."""

    def __init__(self):
        self.calls = []
        self.result = RunReport(run_id="run-1", outcome=RunOutcome.COMPLETE)

    def __call__(self, flow, *arguments, **options):
        self.calls.append((flow, arguments, options))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def flow(monkeypatch, tmp_path):
    pq.write_table(pa.table({"job_id": ["a"], "prompt": ["hello"]}), tmp_path / "jobs.parquet")
    called = Flow()
    monkeypatch.setattr(run_module, "result_of", called)
    monkeypatch.setattr(resubmit_module, "result_of", called)
    return called


@pytest.fixture
def call(weighbridge, monkeypatch, flow):
    """The command, with a key."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    return weighbridge
