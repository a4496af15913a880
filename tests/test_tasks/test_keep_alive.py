"""The lease of a run is renewed from a thread of its own; who cannot renew it stops sending."""

import threading

import pytest

from schemas.errors import RunFailed
from schemas.outcome import Reason
from services.ledger import leases
from tasks import keep_alive
from tasks.keep_alive import kept_alive
from tests.nights import a_run
from tests.processes import until


@pytest.fixture
def renewed(monkeypatch):
    """What the next renewals come to, the last one for ever; and on which threads there was one."""
    answers, threads = [], []

    def renew(*_):
        threads.append(threading.current_thread())
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(leases, "renew", renew)
    monkeypatch.setattr(leases, "lease_seconds", lambda: 0.2)
    return answers, threads


def test_a_beat_goes_on_after_an_error_on_a_thread_of_its_own_that_ends_with_the_run(renewed, monkeypatch):
    monkeypatch.setattr(keep_alive, "_now", lambda: 0.0)  # however long a beat takes here, the lease holds
    answers, threads = renewed
    answers += [RunFailed("locked"), True]
    run = a_run()
    with kept_alive(run):
        until(lambda: len(threads) >= 3, "three beats")
    assert run.halt.reason is None
    [thread] = set(threads)
    assert thread is not threading.current_thread()
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(False, Reason.TAKEN_OVER), (RunFailed("away"), Reason.INTERRUPTED)],
    ids=["taken over", "not to be reached for half of the lease"],
)
def test_who_has_lost_the_lease_or_cannot_renew_it_stops_sending(renewed, answer, reason):
    renewed[0].append(answer)
    run = a_run()
    with kept_alive(run):
        until(lambda: run.halt.reason, "a stop")
    assert run.halt.reason is reason
