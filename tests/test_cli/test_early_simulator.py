import os

import pytest

from cli import early_simulator as early
from cli.early_simulator import early_simulator, start_early_simulator
from schemas.errors import BadInput
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


@pytest.mark.parametrize("in_the_way", ["data", "data/simulated/billed.jsonl/"])
def test_where_its_log_cannot_be_written_nothing_is_started(started, tmp_path, in_the_way):
    place = tmp_path / in_the_way
    if in_the_way.endswith("/"):
        place.mkdir(parents=True)
    else:
        place.write_text("a file")
    with pytest.raises(
        BadInput, match=r"billed\.jsonl, which cannot be made or written .* Nothing was counted or sent"
    ):
        start_early_simulator()
    assert started == []
