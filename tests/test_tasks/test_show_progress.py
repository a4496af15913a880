"""Progress: it costs little however many rows there are, and a display that is gone stops nobody."""

import asyncio
import time
from uuid import uuid4

import pytest

from tasks import show_progress
from tasks.show_progress import LISTENER, showing_progress
from tests.nights import a_run


@pytest.fixture
def rows(monkeypatch):
    """How long counting takes, when it was begun, and what it comes to."""
    asked, took = [], [0.0]

    class Ledger:
        async def off_loop(self, _step, _run_id):
            asked.append(time.monotonic())
            await asyncio.sleep(took[0])
            return {None: 3, "succeeded": len(asked)}

    monkeypatch.setattr(show_progress, "_SECONDS", 0.01)
    return Ledger(), asked, took


async def test_rows_that_take_long_to_count_are_counted_less_often(rows):
    ledger, asked, took = rows
    took[0] = 0.02
    heard = []
    LISTENER.set(lambda ended, total: heard.append((ended, total)))
    async with showing_progress(a_run(ledger)):
        await asyncio.sleep(0.6)
    # the last one is the look at the end
    assert 2 <= len(asked) <= 4
    assert heard == [(n, n + 3) for n in range(1, len(asked) + 1)]


async def test_a_display_that_is_gone_is_asked_once_and_the_run_goes_on(rows, monkeypatch):
    shown = []

    async def gone(_artifact, percent):
        shown.append(percent)
        raise ConnectionError("refused")

    async def artifact(_run):
        return uuid4()

    monkeypatch.setattr(show_progress, "_artifact", artifact)
    monkeypatch.setattr(show_progress, "aupdate_progress_artifact", gone)
    async with showing_progress(a_run(rows[0])):
        await asyncio.sleep(0.2)
    assert len(shown) == 1
