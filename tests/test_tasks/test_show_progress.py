"""Progress: it costs little however many rows there are, and a display that is gone stops nobody."""

import asyncio
import logging
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.outcome import Outcome
from services.ledger.rows_so_far import RowsSoFar
from tasks import show_progress
from tasks.show_progress import LISTENER, ProgressDisplay, Stage, outcome_table, progress_line
from tests.jumping_clock import on_jumping_clock
from tests.nights import a_run


class SlowLedger:
    """A ledger in which one more row has come with every look."""

    def __init__(self, took=0.0):
        self.took, self.asked = took, []

    async def off_loop(self, _step, _run_id, *, unweighed):
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.took)
        return RowsSoFar({None: 3, "succeeded": len(self.asked)}, unweighed=2 if unweighed else 0)


class Shelf:
    """Prefect, as far as it is given artifacts; None: it is gone after so many calls."""

    def __init__(self, monkeypatch, gone_after=None):
        self.calls, self.gone_after = [], gone_after
        monkeypatch.setattr(show_progress, "acreate_progress_artifact", self._called("bar"))
        monkeypatch.setattr(show_progress, "aupdate_progress_artifact", self._called("bar again"))
        monkeypatch.setattr(show_progress, "acreate_table_artifact", self._called("table"))
        monkeypatch.setattr(show_progress, "get_client", lambda: self)

    def _called(self, what):
        async def call(*given, **_):
            self.calls.append((what, *given))
            if self.gone_after is not None and len(self.calls) > self.gone_after:
                raise ConnectionError("refused")
            return uuid4()

        return call

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def update_artifact(self, artifact, update):
        await self._called("table again")(artifact, update.data)

    @property
    def kinds(self):
        return [call[0] for call in self.calls]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(show_progress, "_SECONDS", 0.01)


def shown(ledger):
    """A display inside a flow run."""
    display = ProgressDisplay(a_run(ledger))
    display._is_gone = False
    return display


@asynccontextmanager
async def under_way(display, stage):
    with display.of(stage):
        yield


def test_rows_that_take_long_to_count_are_counted_less_often():
    ledger = SlowLedger(took=0.02)
    heard = []

    async def main():
        LISTENER.set(lambda *given: heard.append(given))
        async with ProgressDisplay(a_run(ledger)) as display, under_way(display, Stage.SENDING):
            await asyncio.sleep(0.9)

    on_jumping_clock(main)
    # the first and the last one are the looks at the beginning and the end; one look rests twenty times as long as it took
    assert len(ledger.asked) == 2 + 3
    assert heard == [("done", n, n + 3) for n in range(1, 6)]


def test_both_stages_have_a_bar_and_they_share_one_table(monkeypatch):
    shelf = Shelf(monkeypatch)

    async def main():
        async with shown(SlowLedger()) as display:
            for stage in Stage:
                with display.of(stage):
                    await asyncio.sleep(0.05)

    on_jumping_clock(main)
    assert (shelf.kinds.count("bar"), shelf.kinds.count("table")) == (2, 1)
    assert shelf.kinds[-1] == "table again"
    assert '{"outcome": "succeeded", "rows": 1}' not in shelf.calls[-1][2]


def test_nothing_is_shown_again_that_has_not_changed(monkeypatch):
    shelf = Shelf(monkeypatch)

    class Still:
        looks = 0

        async def off_loop(self, *_, **__):
            self.looks += 1
            return RowsSoFar({"succeeded": 1}, unweighed=0)

    ledger = Still()

    async def main():
        async with shown(ledger) as display, under_way(display, Stage.SENDING):
            await asyncio.sleep(0.1)

    on_jumping_clock(main)
    assert ledger.looks > 2
    assert shelf.kinds == ["bar", "table"]


@pytest.mark.parametrize("answered", [0, 1, 3])
def test_a_display_that_is_gone_is_asked_no_more_and_the_run_goes_on(monkeypatch, answered):
    shelf = Shelf(monkeypatch, gone_after=answered)

    async def main():
        async with shown(SlowLedger()) as display:
            for stage in Stage:
                with display.of(stage):
                    await asyncio.sleep(0.1)

    on_jumping_clock(main)
    assert len(shelf.calls) == answered + 1


def test_a_display_that_is_silent_is_given_up(monkeypatch):
    async def silent(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(show_progress, "acreate_progress_artifact", silent)

    async def main():
        async with shown(SlowLedger()) as display, under_way(display, Stage.COUNTING):
            pass
        return asyncio.get_running_loop().time()

    assert on_jumping_clock(main) == pytest.approx(show_progress._PATIENCE_SECONDS, abs=1)


def test_a_run_goes_on_while_prefect_takes_its_time_and_all_is_shown_at_the_end(monkeypatch):
    shelf = Shelf(monkeypatch)

    async def main():
        may_answer = asyncio.Event()

        async def slow(percent, **_):
            await may_answer.wait()
            shelf.calls.append(("bar", percent))
            return uuid4()

        monkeypatch.setattr(show_progress, "acreate_progress_artifact", slow)
        async with shown(SlowLedger()) as display:
            for stage in Stage:
                with display.of(stage):
                    await asyncio.sleep(0.03)
            assert shelf.kinds == []
            may_answer.set()

    on_jumping_clock(main)
    assert (shelf.kinds.count("bar"), shelf.kinds.count("table")) == (2, 1)
    assert shelf.kinds[-1] == "table again"


async def test_what_ends_a_stage_early_comes_through_and_its_end_is_shown(monkeypatch):
    shelf = Shelf(monkeypatch)
    with pytest.raises(KeyError):
        async with shown(SlowLedger()) as display, under_way(display, Stage.SENDING):
            raise KeyError
    assert shelf.kinds == ["bar", "table", "bar again", "table again"]


def test_the_log_has_a_line_now_and_then_and_not_one_for_each_look(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("weighbridge"), "propagate", True)
    monkeypatch.setattr(show_progress, "_LINE_SECONDS", 0.2)
    caplog.set_level(logging.INFO)
    ledger = SlowLedger()

    async def main():
        async with ProgressDisplay(a_run(ledger)) as display, under_way(display, Stage.SENDING):
            await asyncio.sleep(0.5)

    on_jumping_clock(main)
    assert len([line for line in caplog.messages if "rows done" in line]) == 2
    assert len(ledger.asked) > 40


@given(st.dictionaries(st.sampled_from([None, *Outcome]), st.integers(0, 10**6)))
def test_the_outcomes_so_far_sum_to_all_rows(by_outcome):
    *parts, whole = outcome_table(RowsSoFar(by_outcome, unweighed=0))
    assert sum(part["rows"] for part in parts) == whole["rows"] == sum(by_outcome.values())


def test_a_line_says_how_far_a_stage_has_come():
    rows = RowsSoFar({None: 1_200, Outcome.SUCCEEDED: 3, Outcome.REVIEW: 1}, unweighed=1_000)
    assert progress_line(Stage.COUNTING, rows) == "204 of 1,204 rows weighed (3 succeeded, 1 review)"
    assert progress_line(Stage.SENDING, rows) == "4 of 1,204 rows done (3 succeeded, 1 review)"


def test_prefect_writes_no_line_for_a_task_run_that_went_well_and_others_stay(caplog):
    logger = logging.getLogger("prefect.task_runs")
    with caplog.at_level(logging.INFO, logger="prefect.task_runs"):
        logger.addHandler(caplog.handler)
        try:
            logger.info("Finished in state Completed()")
            logger.error("Finished in state Failed()")
            logger.info("something else")
        finally:
            logger.removeHandler(caplog.handler)
    assert set(caplog.messages) == {"Finished in state Failed()", "something else"}
