"""`weighbridge collect`: what it prints, how long it waits, and how it ends when the API is away."""

import asyncio

import pytest

from cli import collect as collect_module
from flows.collect_batches import one_collection
from schemas.batch import Collection
from schemas.outcome import RunOutcome
from schemas.report import RunReport


@pytest.fixture
def rounds(monkeypatch):
    """What each call of the flow returns, filled by the test."""
    left = []
    monkeypatch.setattr(collect_module, "result_of", lambda _flow, _url: left.pop(0))
    monkeypatch.setattr(collect_module, "_WAIT_SECONDS", 0)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    return left


def report(run_id):
    return RunReport(run_id=run_id, outcome=RunOutcome.COMPLETE)


def test_it_looks_once_and_prints_what_is_finished_and_what_is_left(weighbridge, ledger, rounds):
    rounds += [Collection([report("run-1")], 2), Collection()]
    ended = weighbridge("collect")
    assert (ended.code, ended.err) == (0, "")
    assert "run-1" in ended.out
    assert "1 run(s) finished; 2 batch(es) still with the provider." in ended.out
    assert len(rounds) == 1


def test_with_wait_it_goes_on_until_nothing_is_left_and_prints_one_object(weighbridge, ledger, rounds):
    rounds += [Collection([report("run-1")], 2), Collection([], 1), Collection([report("run-2")])]
    told = weighbridge("collect", "--wait", "--json").json
    assert [run["run_id"] for run in told["runs"]] == ["run-1", "run-2"]
    assert told["batches_still_out"] == 0
    assert rounds == []


def test_waiting_ends_when_all_that_is_left_belongs_elsewhere(weighbridge, ledger, rounds):
    rounds += [Collection([], 3, 2), Collection([report("run-1")], 2, 2)]
    ended = weighbridge("collect", "--wait")
    assert ended.code == 0
    assert "2 of them belong to another endpoint or workspace" in ended.out
    assert rounds == []


def test_without_a_key_nothing_is_asked(weighbridge, ledger):
    ended = weighbridge("collect")
    assert ended.code == 2
    assert "ANTHROPIC_API_KEY" in ended.sentence


def test_an_api_that_is_away_ends_it_with_1_and_a_sentence(weighbridge, ledger, silent_api, monkeypatch):
    # the flow's own work, without a Prefect server
    monkeypatch.setattr(
        collect_module, "result_of", lambda _flow, url: asyncio.run(one_collection(url, None))
    )
    ended = weighbridge("collect")
    assert ended.code == 1
    assert "could not be listed" in ended.sentence
    assert "sk-secret" not in ended.err
