"""The lease of a run is renewed from a thread of its own; who cannot renew it stops sending."""

import time

import pytest

from schemas.errors import RunFailed
from schemas.outcome import Reason
from services.ledger import leases
from tasks.keep_alive import kept_alive
from tests.nights import a_run
from tests.processes import until


@pytest.fixture
def renewed(monkeypatch):
    """What the next renewals come to, the last one for ever; and how many there were."""
    answers, asked = [], []

    def renew(*_):
        asked.append(time.monotonic())
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(leases, "renew", renew)
    monkeypatch.setattr(leases, "lease_seconds", lambda: 0.2)
    return answers, asked


def test_a_beat_goes_on_after_an_error_and_while_the_loop_is_blocked(renewed):
    answers, asked = renewed
    answers += [RunFailed("locked"), True]
    run = a_run()
    with kept_alive(run):
        until(lambda: len(asked) >= 3, "beats while this thread is blocked")
    assert run.halt.reason is None
    beats = len(asked)
    time.sleep(0.1)
    assert len(asked) == beats


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(False, Reason.TAKEN_OVER), (RunFailed("away"), Reason.INTERRUPTED)],
    ids=["taken over", "not to be reached for half of the lease"],
)
def test_who_has_lost_the_lease_or_cannot_renew_it_stops_sending(renewed, answer, reason):
    renewed[0].append(answer)
    run = a_run()
    with kept_alive(run):
        until(lambda: run.halt.reason, "a stop", seconds=5)
    assert run.halt.reason is reason
