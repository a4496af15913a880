import os

import pytest

from cli import early_simulator as early
from cli.early_simulator import early_simulator, start_early_simulator
from simulator.process import starting_simulator


@pytest.fixture
def started(tmp_path, monkeypatch):
    """The logs of the simulators that are started."""
    logs = []

    def starting(log):
        logs.append(log)
        return starting_simulator(log)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(early, "starting_simulator", starting)
    return logs


def test_one_that_was_started_early_is_the_one_of_the_command_and_is_gone_afterwards(started):
    start_early_simulator()
    with early_simulator() as simulator:
        assert simulator.stats()["billed"] == 0
    assert len(started) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(simulator.pid, 0)


def test_where_none_was_started_early_it_is_started_when_it_is_asked_for(started):
    for number in (1, 2):
        with early_simulator() as simulator:
            assert simulator.stats()["billed"] == 0
        assert len(started) == number
