"""`weighbridge collect`: what it prints, how long it waits, and how it ends when the API is away."""

import asyncio

import pytest

from cli import collect as collect_module
from flows.collect_batches import one_collection
from schemas.batch import Collection
from schemas.outcome import RunOutcome
from schemas.report import RunReport
from tests.ledgers import started
from tests.strategies import abandon


@pytest.fixture
def left(ledger):
    """A ledger with a run that was interrupted."""
    started(ledger)
    abandon(ledger, "run-1")
    return ledger


@pytest.fixture
def rounds(monkeypatch, left):
    """What each call of the flow returns, filled by the test."""
    told = []
    monkeypatch.setattr(collect_module, "result_of", lambda _flow, _url: told.pop(0))
    monkeypatch.setattr(collect_module, "_WAIT_SECONDS", 0)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    return told


def report(run_id):
    return RunReport(run_id=run_id, outcome=RunOutcome.COMPLETE)


def test_it_looks_once_and_prints_what_is_finished_and_what_is_left(weighbridge, rounds):
    rounds += [Collection([report("run-1")], 2), Collection()]
    ended = weighbridge("collect")
    assert (ended.code, ended.err) == (0, "")
    assert "run-1" in ended.out
    assert "1 run finished; 2 batches still with the provider." in ended.out
    assert len(rounds) == 1


def test_with_wait_it_goes_on_until_nothing_is_left_and_prints_one_object(weighbridge, rounds):
    rounds += [Collection([report("run-1")], 2), Collection([], 1), Collection([report("run-2")])]
    told = weighbridge("collect", "--wait", "--json").json
    assert [run["run_id"] for run in told["runs"]] == ["run-1", "run-2"]
    assert told["batches_still_out"] == 0
    assert rounds == []


def test_waiting_ends_when_all_that_is_left_belongs_elsewhere(weighbridge, rounds):
    rounds += [Collection([], 3, 2), Collection([report("run-1")], 2, 2)]
    ended = weighbridge("collect", "--wait")
    assert ended.code == 0
    assert "2 of them at another endpoint or in another workspace" in ended.out
    assert rounds == []


def test_without_a_key_nothing_is_asked(weighbridge, left):
    ended = weighbridge("collect")
    assert ended.code == 2
    assert "ANTHROPIC_API_KEY" in ended.sentence


@pytest.mark.parametrize("more", [(), ("--wait",)])
def test_where_nothing_is_left_it_says_so_and_needs_no_key(weighbridge, ledger, more):
    ended = weighbridge("collect", *more)
    assert (ended.code, ended.err) == (0, "")
    assert "Nothing is left to collect" in ended.out
    told = weighbridge("collect", "--json", *more).json
    assert told == {"runs": [], "batches_still_out": 0, "batches_elsewhere": 0}


def test_the_flow_asks_nobody_either_where_nothing_is_left(weighbridge, ledger):
    found = asyncio.run(one_collection(str(ledger.engine.url), None))
    assert found.nothing_left


def test_a_ledger_that_is_not_there_is_not_made(weighbridge, tmp_path):
    ended = weighbridge("collect")
    assert ended.code == 2
    assert "There is no ledger at" in ended.sentence
    assert not (tmp_path / "data").exists()


def test_an_api_that_is_away_ends_it_with_1_and_a_sentence(weighbridge, left, silent_api, monkeypatch):
    # the flow's own work, without a Prefect server
    monkeypatch.setattr(
        collect_module, "result_of", lambda _flow, url: asyncio.run(one_collection(url, None))
    )
    ended = weighbridge("collect")
    assert ended.code == 1
    assert "could not be listed" in ended.sentence
    assert "sk-secret" not in ended.err
