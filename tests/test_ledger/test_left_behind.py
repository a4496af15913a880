"""What is left to collect: while there is nothing, collecting asks nobody and changes nothing."""

import pytest

from schemas.batch import Collection
from services.ledger import reviews, runs
from services.ledger.left_behind import is_something_left
from tasks.collect import collect
from tests.fake_batches import BatchGateway, begun, submitted_all
from tests.ledgers import started
from tests.strategies import abandon, end_early


def at_work(ledger):
    started(ledger)


def ended(ledger):
    started(ledger)
    end_early(ledger, "run-1")


def interrupted(ledger):
    started(ledger)
    abandon(ledger, "run-1")


def given_back(ledger):
    interrupted(ledger)
    runs.close_dead_runs(ledger)


@pytest.mark.parametrize("becomes", [lambda ledger: None, at_work, ended], ids=["empty", "at work", "ended"])
async def test_where_nothing_is_left_collecting_needs_no_gateway(ledger, becomes):
    becomes(ledger)
    assert not is_something_left(ledger)
    assert await collect(ledger, None) == Collection()


@pytest.mark.parametrize("becomes", [interrupted, given_back])
def test_an_interrupted_run_is_left(ledger, becomes):
    becomes(ledger)
    assert is_something_left(ledger)


async def test_batches_with_the_provider_are_left_until_they_are_collected(ledger, tmp_path):
    gateway = BatchGateway()
    run = await begun(ledger, gateway, tmp_path)
    await submitted_all(run)
    assert not is_something_left(ledger)  # its run watches them
    abandon(ledger, run.run_id)
    assert is_something_left(ledger)
    await collect(ledger, gateway)
    assert not is_something_left(ledger)


def test_results_that_lack_an_accepted_answer_are_left(ledger, monkeypatch):
    ended(ledger)
    monkeypatch.setattr(reviews, "runs_to_publish", lambda _: ["run-1"])
    assert is_something_left(ledger)
