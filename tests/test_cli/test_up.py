"""`weighbridge up`: what it refuses before anything is started. That it starts is shown in test_end_to_end."""

import os
import socket
import sys

import pytest

from cli import up as up_module
from services.children import ChildCommand, hold_folder


@pytest.fixture
def ports():
    """Options that choose free ports."""
    return ["--port", "0", "--review-port", "0", "--simulator-port", "0"]


def test_a_port_in_use_is_2_and_nothing_is_started(weighbridge, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = weighbridge("up", "--simulate", "--port", taken.getsockname()[1])
    assert ended.code == 2
    assert "cannot be used" in ended.sentence
    assert list(tmp_path.iterdir()) == []


def test_without_a_key_and_a_simulator_it_is_2(weighbridge, tmp_path, ports):
    ended = weighbridge("up", *ports)
    assert ended.code == 2
    assert "There is no API key" in ended.sentence
    assert list(tmp_path.iterdir()) == []


def test_a_webhook_that_is_no_address_is_2_and_nothing_is_started(weighbridge, tmp_path, ports):
    ended = weighbridge("up", "--simulate", "--webhook", "hooks.example.com", *ports)
    assert ended.code == 2
    assert "--webhook wants an address" in ended.sentence
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_another_one_holds_is_2(weighbridge, tmp_path, ports):
    (tmp_path / "home").mkdir()
    held = hold_folder(tmp_path / "home")
    ended = weighbridge("up", "--simulate", "--home", "home", *ports)
    os.close(held)
    assert ended.code == 2
    assert "Another `weighbridge up`" in ended.sentence


def test_a_home_that_cannot_be_made_is_2(weighbridge, tmp_path, ports):
    (tmp_path / "file").write_text("")
    ended = weighbridge("up", "--simulate", "--home", "file/home", *ports)
    assert ended.code == 2
    assert "cannot be made" in ended.sentence


def test_a_process_that_does_not_start_is_1_with_its_last_words_and_the_others_are_stopped(
    weighbridge, tmp_path, ports, monkeypatch
):
    def broken(plan):
        words = [sys.executable, "-c", "raise SystemExit('the disk is full')"]
        return ChildCommand("server", words, dict(os.environ), tmp_path)

    started = []
    starting = up_module.Children.start

    def start(children, child):
        starting(children, child)
        started.append(children._running[-1][1])

    monkeypatch.setattr(up_module.UpPlan, "server_process", broken)
    monkeypatch.setattr(up_module.Children, "start", start)
    ended = weighbridge("up", "--simulate", *ports)
    assert ended.code == 1
    assert "The server ended by itself" in ended.err
    assert ended.err.rstrip().endswith("the disk is full")
    assert len(started) == 3
    assert all(process.poll() is not None for process in started)
