"""The process of an early server ends with its command; that it serves is shown by the tests of `early_server`."""

import os
import signal

from services import prefect_process


def test_when_standard_input_ends_the_process_is_asked_to_end(monkeypatch):
    asked, pieces = [], [b"x", b""]
    monkeypatch.setattr(os, "read", lambda *_: pieces.pop(0))
    monkeypatch.setattr(os, "kill", lambda *arguments: asked.append(arguments))
    prefect_process._end_with_parent()
    assert asked == [(os.getpid(), signal.SIGTERM)]
