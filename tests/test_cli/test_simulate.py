"""`weighbridge simulate`: what it refuses. That it serves is for the tests with real processes."""

import socket

import pytest

from cli import simulate as simulate_module


def test_it_serves_on_the_port_and_makes_the_folder_of_its_log(weighbridge, tmp_path, monkeypatch):
    served = []
    monkeypatch.setattr(simulate_module, "serve", lambda *given: served.append(given))
    ended = weighbridge("simulate", "--port", 0, "--log", "deep/billed.jsonl")
    assert (ended.code, ended.err) == (0, "")
    [(port, log, plan)] = served
    assert (port, str(log), plan) == (0, "deep/billed.jsonl", None)
    assert (tmp_path / "deep").is_dir()


@pytest.mark.parametrize("text", ["seed = 'x'", "not toml", "[nothing]\nx = 1"])
def test_a_plan_that_does_not_fit_is_bad_input(weighbridge, tmp_path, text):
    (tmp_path / "plan.toml").write_text(text)
    ended = weighbridge("simulate", "--port", 0, "--plan", "plan.toml")
    assert ended.code == 2
    assert "plan.toml" in ended.sentence


def test_a_port_that_is_taken_is_bad_input(weighbridge):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = weighbridge("simulate", "--port", taken.getsockname()[1])
    assert ended.code == 2
    assert "choose another --port" in ended.sentence


def test_a_log_below_a_file_is_bad_input(weighbridge, tmp_path):
    (tmp_path / "file").write_text("")
    ended = weighbridge("simulate", "--port", 0, "--log", "file/billed.jsonl")
    assert ended.code == 2
    assert "choose another --log" in ended.sentence


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_cannot_be_ends_with_2(weighbridge, port):
    assert weighbridge("simulate", "--port", port).code == 2


def test_a_log_that_cannot_be_written_is_not_called_a_port_that_is_taken(weighbridge, tmp_path):
    (tmp_path / "billed.jsonl").mkdir()
    ended = weighbridge("simulate", "--port", 0, "--log", "billed.jsonl")
    assert ended.code == 2
    assert "cannot write" in ended.sentence
    assert "choose another --log" in ended.sentence
