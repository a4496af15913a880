"""`weighbridge cancel RUN`: what is asked of the provider, and what is said when it does not answer."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from cli import cancel as cancel_module
from schemas.batch import ProviderBatch
from schemas.errors import RunFailed
from schemas.failures import Transient
from services.ledger import batches, jobs
from tests.strategies import begin, job, packed, take


@pytest.fixture
def with_batches(ledger):
    """A run with two batches at the provider and one that was not submitted yet."""
    begin(ledger)
    jobs.add(ledger, "run-1", [job(n, text=f"hello {n}") for n in range(3)], [])
    held = take(ledger, [100, 100, 100]).held
    for number, attempt in enumerate(held):
        batch = packed(ledger, [attempt.attempt_id])
        if number < 2:
            batches.submitted(ledger, batch.batch_id, f"msgbatch_{number}", None)
    return ledger


class Office:
    """A gateway that notes what it is asked to cancel, or fails."""

    endpoint = "http://x"
    workspace = None

    def __init__(self, error=None):
        self.error, self.asked, self.ended = error, [], set()

    async def cancel_batch(self, provider_batch_id):
        if self.error:
            raise self.error
        self.asked.append(provider_batch_id)

    async def batch(self, provider_batch_id):
        if self.error:
            raise self.error
        return ProviderBatch(
            provider_batch_id, provider_batch_id in self.ended, 1, {}, datetime.now(UTC), None
        )


@pytest.fixture
def office(monkeypatch):
    made = Office()

    @asynccontextmanager
    async def opened(_limits):
        yield made

    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    monkeypatch.setattr(cancel_module, "open_gateway", opened)
    return made


def test_only_what_is_with_the_provider_is_asked_to_stop(weighbridge, with_batches, office):
    ended = weighbridge("cancel", "run-1")
    assert (ended.code, ended.err) == (0, "")
    assert sorted(office.asked) == ["msgbatch_0", "msgbatch_1"]
    assert "2 batch(es) of run-1" in ended.out
    assert "weighbridge collect" in ended.out


def test_a_run_that_is_not_on_record_is_bad_input(weighbridge, with_batches, office):
    ended = weighbridge("cancel", "run-of-nobody")
    assert ended.code == 2
    assert "has no run run-of-nobody. Nothing was canceled" in ended.sentence
    assert office.asked == []


def test_without_a_key_nothing_is_asked(weighbridge, with_batches):
    ended = weighbridge("cancel", "run-1")
    assert ended.code == 2
    assert "ANTHROPIC_API_KEY" in ended.sentence


def test_an_api_that_is_away_ends_it_with_1_and_a_sentence(weighbridge, with_batches, silent_api):
    ended = weighbridge("cancel", "run-1")
    assert ended.code == 1
    assert ended.sentence.endswith(".")
    assert "Traceback" not in ended.err
    assert "sk-secret" not in ended.err


def test_one_that_cannot_be_cancelled_keeps_no_other_from_it(weighbridge, with_batches, office, monkeypatch):
    real = office.cancel_batch

    async def cancel(provider_batch_id):
        if provider_batch_id == "msgbatch_0":
            raise RunFailed("The batch msgbatch_0 could not be cancelled: HTTP 529.")
        await real(provider_batch_id)

    monkeypatch.setattr(office, "cancel_batch", cancel)
    ended = weighbridge("cancel", "run-1")
    assert (ended.code, office.asked) == (1, ["msgbatch_1"])
    assert "msgbatch_0 could not be cancelled" in ended.sentence
    assert "1 batch(es) of run-1 were asked to stop" in ended.sentence


def test_one_that_had_ended_is_said_to_have_and_is_no_failure(weighbridge, with_batches, office, monkeypatch):
    real = office.cancel_batch

    async def cancel(provider_batch_id):
        if provider_batch_id in office.ended:
            raise RunFailed("It could not be cancelled: HTTP 400. It goes on with the provider.")
        await real(provider_batch_id)

    monkeypatch.setattr(office, "cancel_batch", cancel)
    office.ended = {"msgbatch_0"}
    ended = weighbridge("cancel", "run-1")
    said = "The provider was asked to stop 1 batch(es) of run-1. 1 batch(es) of run-1 had ended before. "
    assert (ended.code, ended.out) == (0, f"{said}`weighbridge collect` settles them when they have ended.\n")
    office.ended.add("msgbatch_1")
    ended = weighbridge("cancel", "run-1")
    assert (ended.code, ended.out) == (
        0,
        "2 batch(es) of run-1 had ended before. `weighbridge collect` settles them.\n",
    )


def test_a_run_without_a_batch_at_the_provider_has_nothing_to_stop(weighbridge, ledger, office):
    begin(ledger)
    ended = weighbridge("cancel", "run-1")
    assert (ended.code, ended.out) == (
        0,
        "No batch of run-1 is with the provider: there was nothing to stop.\n",
    )


def test_batches_of_another_endpoint_are_not_asked_for(weighbridge, with_batches, office):
    office.endpoint = "http://elsewhere"
    ended = weighbridge("cancel", "run-1")
    assert (ended.code, office.asked) == (1, [])
    assert "belongs to http://x, and this is http://elsewhere" in ended.sentence


def test_any_failed_call_that_gets_out_is_a_sentence(weighbridge, with_batches, office):
    office.error = Transient("HTTP 529 overloaded_error")
    ended = weighbridge("cancel", "run-1")
    assert ended.code == 1
    assert "HTTP 529 overloaded_error" in ended.sentence
    assert "kept in the ledger" in ended.sentence
