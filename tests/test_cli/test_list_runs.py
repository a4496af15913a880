"""`weighbridge runs`."""

import asyncio

from schemas.outcome import RunOutcome
from services.ledger import runs
from tasks.collect import collect
from tests.fake_batches import BatchGateway
from tests.ledgers import settle, started, succeeded
from tests.strategies import abandon, begin, take


def test_each_run_is_a_line_and_an_object(weighbridge, ledger):
    started(ledger, 2)
    settle(ledger, succeeded(take(ledger, [10]).held[0], 1_500_000))
    runs.finish(ledger, "run-1", RunOutcome.INCOMPLETE, {})
    begin(ledger, "run-2")
    ended = weighbridge("runs")
    assert (ended.code, ended.err) == (0, "")
    _, newest, first = ended.out.rstrip().splitlines()
    assert newest.split()[0] == "run-2"
    assert "not ended" in newest
    assert "jobs.parquet  messages (simulated)  incomplete" in first
    assert first.split()[-2:] == ["2", "$0.001500"]
    last = weighbridge("runs", "--json", "--limit", "2").json[1]
    assert last["outcome"] == "incomplete"
    assert (last["jobs"], last["spent_usd"], last["held_usd"]) == (2, "0.001500000", "0.000000000")
    assert last["ended_at"].endswith("+00:00")
    assert last["ended_as"] == "incomplete"
    assert not {"report", "is_left"} & last.keys()


def test_an_interrupted_run_is_called_so_before_and_after_it_is_collected(weighbridge, ledger, tmp_path):
    started(ledger, 2)
    abandon(ledger, "run-1")
    assert "interrupted, not collected" in weighbridge("runs").out
    asyncio.run(collect(ledger, BatchGateway()))
    assert "failed, interrupted" in weighbridge("runs").out
    assert weighbridge("runs", "--json").json[0]["outcome"] == "failed"
    assert "run-1: failed, interrupted" in weighbridge("report").out


def test_a_ledger_without_runs_says_so_and_one_that_is_not_there_is_2(weighbridge, ledger):
    assert "has no runs yet" in weighbridge("runs").out
    assert weighbridge("runs", "--json").json == []
    gone = weighbridge("runs", "--ledger", "sqlite:///elsewhere.db")
    assert gone.code == 2
    assert "There is no ledger at" in gone.sentence
