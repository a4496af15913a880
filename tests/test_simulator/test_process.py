"""The simulator as a process: it starts from anywhere, says where it is, and never outlives its parent."""

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from simulator import process, running_simulator

ROOT = Path(__file__).resolve().parents[2]
#: before a fixture replaces it
STARTED = process._start
COMMAND = [sys.executable, "-m", "simulator", "--port", "0"]


@pytest.fixture(autouse=True)
def _from_its_file(monkeypatch):
    """Started as a run starts it, not forked from one that is warm."""
    monkeypatch.setattr(process, "_start", STARTED)


def start(*arguments, **options):
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_when_ready_and_stops_cleanly_on_a_signal(tmp_path, signal_number):
    log = tmp_path / "new" / "billed.jsonl"
    child = start("--log", str(log))
    ready = json.loads(child.stdout.readline())
    assert set(ready) == {"simulator", "base_url", "log"}
    assert ready["simulator"] is True
    assert ready["base_url"].startswith("http://127.0.0.1:")
    assert ready["log"] == str(log)
    child.send_signal(signal_number)
    rest, errors = child.communicate(timeout=30)
    assert (child.returncode, rest, errors) == (0, b"", b"")


def test_it_says_why_it_cannot_start(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text("sead = 1")
    child = start("--log", str(tmp_path / "log"), "--plan", str(plan))
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, b"sead" in errors, b"Traceback" in errors) == (2, True, False)
    with pytest.raises(RuntimeError, match="sead"), running_simulator(plan=plan):
        pass


def test_it_runs_from_any_folder_and_stops_when_the_block_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = Path("billed.jsonl")
    seen = []

    def fail():
        with running_simulator(log=log) as simulator:
            seen.append((simulator.pid, simulator.stats()["billed"], simulator.log))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    [(pid, billed, path)] = seen
    assert (billed, path) == (0, tmp_path / "billed.jsonl")
    assert not is_running(pid)
    assert log.exists()


def test_it_ends_when_its_parent_is_killed(tmp_path):
    script = textwrap.dedent("""
        import os, signal, sys
        from simulator import running_simulator
        with running_simulator(sys.argv[1]) as simulator:
            print(simulator.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "log")], cwd=ROOT, stdout=subprocess.PIPE
    )
    pid = int(parent.stdout.readline())
    assert parent.wait(60) == -signal.SIGKILL
    parent.stdout.close()
    for _ in range(3_000):
        if not is_running(pid):
            break
        signal.sigtimedwait([], 0.01)
    assert not is_running(pid)


def is_running(pid):
    """Whether a process is there and not merely unreaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
