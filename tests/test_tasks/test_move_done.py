"""Moving job files aside: only those of which nothing is left, after the report, and never what was not read."""

import json
import logging
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from schemas.errors import BadInput
from schemas.ledger import JobRow
from schemas.outcome import RunOutcome
from schemas.report import RunReport
from schemas.run import RunOptions, SampleOptions
from services.job_file import JobFile
from tasks.move_done import check_move_done, move_done
from tasks.read_jobs import read_jobs
from tests.nights import a_run_on_record
from tests.strategies import policy

pytestmark = pytest.mark.one_database

MOMENT = datetime(2026, 11, 27, 1, tzinfo=UTC)


@pytest.fixture
def files(tmp_path):
    """Three files of two rows each, in a folder."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    for name in "abc":
        rows = [{"job_id": f"{name}{number}", "prompt": "hello"} for number in range(2)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return JobFile(str(folder))


async def ended(ledger, folder, file, **outcomes):
    """A run over the files, whose rows succeeded, but those that are named by their job id."""
    run = await a_run_on_record(ledger, folder=folder)
    await read_jobs(run, file, None)
    with ledger.write() as connection:
        connection.execute(update(JobRow).values(outcome="succeeded"))
        for job_id, outcome in outcomes.items():
            connection.execute(update(JobRow).where(JobRow.job_id == job_id).values(outcome=outcome))
    return run


async def moved(run, file, folder, outcome=RunOutcome.COMPLETE, **more):
    options = RunOptions(jobs=file.path, move_done=str(folder), scheduled_for=MOMENT, **more)
    report = RunReport(run_id=run.run_id, outcome=outcome)
    return [place.name for place in await move_done(run, file, options, report)]


def there(folder):
    return sorted(path.name for path in folder.iterdir())


async def test_files_of_which_nothing_is_left_are_moved_and_the_others_stay(ledger, files, tmp_path):
    run = await ended(ledger, tmp_path, files, a0="review", b1="deferred")
    assert await moved(run, files, tmp_path / "done-{date}", RunOutcome.BUDGET_STOP) == ["a.jsonl", "c.jsonl"]
    assert there(tmp_path / "done-2026-11-27") == ["a.jsonl", "c.jsonl"]
    assert there(tmp_path / "incoming") == ["b.jsonl"]


@pytest.mark.parametrize("outcome", ["failed", "unknown", "rejected", None])
async def test_a_row_that_is_not_done_with_keeps_its_file(ledger, files, tmp_path, outcome):
    run = await ended(ledger, tmp_path, files, a0=outcome)
    assert await moved(run, files, tmp_path / "done", RunOutcome.BUDGET_STOP) == ["b.jsonl", "c.jsonl"]


@pytest.mark.parametrize("outcome", [RunOutcome.FAILED, RunOutcome.INCOMPLETE])
async def test_a_run_that_is_not_whole_moves_nothing(ledger, files, tmp_path, outcome):
    run = await ended(ledger, tmp_path, files)
    assert await moved(run, files, tmp_path / "done", outcome) == []
    assert there(tmp_path / "incoming") == ["a.jsonl", "b.jsonl", "c.jsonl"]


async def test_a_file_that_a_limit_cut_stays(ledger, files, tmp_path):
    run = await ended(ledger, tmp_path, files)
    assert await moved(run, files, tmp_path / "done", limit=3) == ["a.jsonl"]


async def test_a_file_that_was_changed_or_is_a_link_or_is_gone_stays_and_is_named(
    ledger, files, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(logging.getLogger("weighbridge"), "propagate", True)
    run = await ended(ledger, tmp_path, files)
    folder = tmp_path / "incoming"
    with (folder / "a.jsonl").open("a") as file:
        file.write('{"job_id": "late", "prompt": "hello"}\n')
    (folder / "b.jsonl").rename(tmp_path / "b.jsonl")
    (folder / "b.jsonl").symlink_to(tmp_path / "b.jsonl")
    (folder / "c.jsonl").unlink()
    assert await moved(run, files, tmp_path / "done") == []
    assert [name for name in "abc" if f"{name}.jsonl stays where it is" in caplog.text] == ["a", "b", "c"]


async def test_a_file_that_cannot_be_moved_stops_neither_the_others_nor_the_run(
    ledger, files, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(logging.getLogger("weighbridge"), "propagate", True)
    run = await ended(ledger, tmp_path, files)
    done = tmp_path / "done"
    done.mkdir()
    from tasks import move_done as module  # noqa: PLC0415 - its function has the same name

    whole = module.move_aside

    def refused(file, *where):
        if file.name == "b.jsonl":
            raise PermissionError(13, "Permission denied")
        return whole(file, *where)

    monkeypatch.setattr(module, "move_aside", refused)
    assert await moved(run, files, done) == ["a.jsonl", "c.jsonl"]
    assert "b.jsonl could not be moved" in caplog.text
    assert "(Permission denied)" in caplog.text


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"sample": SampleOptions(3)}, "read whole"),
        ({"deployment": "d", "move_done": "done"}, "absolute folder"),
        ({"move_done": "incoming"}, "would be read again"),
    ],
)
def test_nonsense_is_refused_at_the_start(files, tmp_path, monkeypatch, more, words):
    monkeypatch.chdir(tmp_path)
    options = RunOptions(**{"jobs": files.path, "move_done": str(tmp_path / "done")} | more)
    with pytest.raises(BadInput, match=words):
        check_move_done(options, policy(), files)
    assert not (tmp_path / "done").exists()


def test_without_a_job_file_there_is_nothing_to_move(tmp_path):
    with pytest.raises(BadInput, match="name a job file"):
        check_move_done(RunOptions(jobs=None, move_done=str(tmp_path / "done")), policy(), None)
    check_move_done(RunOptions(jobs=None), policy(), None)
