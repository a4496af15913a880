"""Processes of one command: what they write is kept, and stopping leaves none of them, nor of theirs."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from services.children import ChildCommand, Children, hold_folder
from tests.processes import SECONDS, until

SLEEPS = "import time; print('ready', flush=True); time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
#: starts another process in a session of its own, as a worker may start a flow run
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {DEAF!r}], start_new_session=True); {SLEEPS}"


@pytest.fixture
def children(tmp_path):
    made = Children(tmp_path)
    yield made
    made.kill()


def start(children, tmp_path, code, name="one of them"):
    children.start(ChildCommand(name, [sys.executable, "-c", code], dict(os.environ), tmp_path))
    until(lambda: "ready" in children.last_words(name), f"{name}")


def descendants():
    return [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_stopping_ends_each_process_and_what_it_started_also_what_does_not_listen(children, tmp_path):
    before = set(descendants())
    start(children, tmp_path, PARENT, "parent")
    start(children, tmp_path, SLEEPS)
    until(lambda: children.last_words("parent").count("ready") == 2, "what the parent started")
    started = set(descendants()) - before
    assert len(started) == 3
    assert children.ended() is None
    begun = time.monotonic()
    children.stop(patience=1)
    assert time.monotonic() - begun < SECONDS
    assert [one for one in started if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.slow
def test_what_a_process_started_ends_before_it_so_that_it_can_be_seen_to_its_end(children, tmp_path):
    ending = f"import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (print('child', flush=True), sys.exit())); {SLEEPS}"
    code = (
        f"import signal, subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {ending!r}]); "
        "signal.signal(signal.SIGTERM, lambda *_: (print('parent', child.wait(), flush=True), sys.exit())); "
        f"{SLEEPS}"
    )
    start(children, tmp_path, code, "worker")
    until(lambda: children.last_words("worker").count("ready") == 2, "both")
    begun = time.monotonic()
    children.stop(patience=2 * SECONDS)
    # the parent hears of its child's end only when it is stopped itself
    assert time.monotonic() - begun < SECONDS
    assert children.last_words("worker").splitlines()[-2:] == ["child", "parent 0"]


def test_who_cannot_wait_kills_also_what_is_just_being_waited_for(children, tmp_path):
    start(children, tmp_path, DEAF)
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as thread:
        stopping = thread.submit(children.stop, patience=2 * SECONDS)
        time.sleep(1)
        children.kill()
        stopping.result(timeout=SECONDS)
    assert time.monotonic() - begun < SECONDS


def test_a_process_that_ends_by_itself_is_named_with_its_last_words(children, tmp_path):
    start(children, tmp_path, SLEEPS, "other")
    start(children, tmp_path, "print('ready', flush=True); raise SystemExit('I had enough')", "tired one")
    assert until(children.ended, "its end") == "tired one"
    assert children.last_words("tired one").endswith("I had enough")
    assert children.log_of("tired one") == tmp_path / "tired-one.log"


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path):
    held = hold_folder(tmp_path)
    assert held is not None
    assert hold_folder(tmp_path) is None
    os.close(held)
    again = hold_folder(tmp_path)
    assert again is not None
    os.close(again)
