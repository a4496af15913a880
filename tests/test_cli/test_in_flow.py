"""Where a run's ledger, results and endpoint are, and how a flow is stopped in good order."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from cli.in_flow import endpoint, places, result_of
from flows.final_state import NotComplete
from schemas.errors import BadInput, Interrupted
from schemas.report import RunReport


class State:
    """What a Prefect flow returns with return_state: only its result."""

    def __init__(self, result):
        self._result = result

    def result(self, *, raise_on_failure):
        assert raise_on_failure is False
        return self._result


def test_what_a_flow_returns_is_handed_on_with_its_arguments():
    async def flow(*arguments, return_state, **options):
        assert return_state is True
        return State((arguments, options))

    assert result_of(flow, 1, two=2) == ((1,), {"two": 2})


def test_the_reason_of_a_failure_is_raised():
    async def flow(*, return_state):
        return State(BadInput("no file"))

    with pytest.raises(BadInput, match="no file"):
        result_of(flow)


def test_a_run_that_is_not_complete_hands_its_report_on():
    report = RunReport(run_id="run-1", outcome="budget_stop")

    async def flow(*, return_state):
        return State(NotComplete("money ran out", report))

    assert result_of(flow) is report


@pytest.mark.parametrize(("which", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_the_flow_close_its_books_and_has_its_exit_code(which, code):
    closed = []

    async def flow(*, return_state):
        try:
            os.kill(os.getpid(), which)
            await asyncio.sleep(30)
        finally:
            closed.append(True)

    with pytest.raises(Interrupted) as stopped:
        result_of(flow)
    assert stopped.value.exit_code == code
    assert closed == [True]


def test_a_simulated_run_has_places_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WEIGHBRIDGE_LEDGER", raising=False)
    monkeypatch.delenv("WEIGHBRIDGE_RESULTS", raising=False)
    assert places(None, None, simulate=False) == (None, None)
    ledger, results = places(None, None, simulate=True)
    assert ledger == f"sqlite:///{tmp_path}/data/simulated/ledger.db"
    assert results == "data/simulated/results"


def test_what_a_person_names_goes_before_the_environment_and_both_before_the_defaults(monkeypatch):
    monkeypatch.setenv("WEIGHBRIDGE_LEDGER", "sqlite:///of-environment.db")
    monkeypatch.setenv("WEIGHBRIDGE_RESULTS", "of-environment")
    assert places(None, None, simulate=True) == ("sqlite:///of-environment.db", "of-environment")
    assert places("sqlite:///own.db", Path("own"), simulate=True) == ("sqlite:///own.db", "own")


def test_an_endpoint_needs_a_key_or_an_address_or_the_simulator(monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadInput, match="ANTHROPIC_API_KEY"), endpoint(simulate=False):
        pass
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    with endpoint(simulate=False) as base_url:
        assert base_url is None


def test_the_simulator_is_there_for_the_run_and_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a real one")
    with endpoint(simulate=True) as base_url:
        assert base_url.startswith("http://127.0.0.1:")
        assert os.environ["ANTHROPIC_API_KEY"] == "simulated"
    assert (tmp_path / "data/simulated").is_dir()
