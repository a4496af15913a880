"""Memory that one thread has freed is there for all of them."""

import ctypes
import platform
import subprocess
import sys

import pytest

from services import memory

THREADS = """
import ctypes, sys, threading
from services.memory import share_freed_memory
if sys.argv[1] == "shared":
    share_freed_memory()
met = threading.Barrier(4)
def work():
    held = [bytes(2_000 + number) for number in range(2_000)]
    met.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
[one.start() for one in threads]
[one.join() for one in threads]
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@pytest.mark.parametrize(("how", "has_others"), [("shared", False), ("as it comes", True)])
def test_threads_take_memory_from_one_heap(how, has_others):
    done = subprocess.run([sys.executable, "-c", THREADS, how], capture_output=True, text=True, check=True)
    assert "Arena 0:" in done.stderr
    assert ("Arena 1:" in done.stderr) is has_others


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    memory.share_freed_memory()


FREED = """
import sys, time
from services import memory
memory._GIVE_BACK_SECONDS = 0.05
if sys.argv[1] == "given back":
    memory.give_back_freed_memory()
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
held = []
for number in range(15_000):
    held.append(bytes(12_000))
    held.append(bytes(600))
held = held[1::2]
patience = time.monotonic() + float(sys.argv[2])
while resident() > 100_000_000 and time.monotonic() < patience:
    time.sleep(0.05)
print(resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@pytest.mark.parametrize(
    ("how", "patience", "is_kept"), [("given back", 30, False), ("as it comes", 0.5, True)]
)
def test_what_was_freed_between_objects_that_stay_goes_back_to_the_system(how, patience, is_kept):
    done = subprocess.run(
        [sys.executable, "-c", FREED, how, str(patience)], capture_output=True, text=True, check=True
    )
    assert (int(done.stdout) > 100_000_000) is is_kept, "180 MB were freed, and 9 are held"
