"""Counting: an endpoint that counts nothing is not asked for every job."""

import asyncio

import pytest

from schemas.failures import Refused, Transient
from tasks.run import MOST_IN_A_ROW
from tests.fakes import FakeGateway
from tests.nights import night, text_row
from tests.strategies import quick_ledger

ROWS = [{"job_id": f"job-{number}"} | text_row(f"number {number}") for number in range(3 * MOST_IN_A_ROW)]


class OneAtATime(FakeGateway):
    """Counts as a gateway of one slot does; `failure` says what becomes of the count of this number."""

    def __init__(self, failure):
        super().__init__()
        self._failure, self._slot = failure, asyncio.Semaphore(1)

    async def count(self, body, *, leaving=lambda: None):
        async with self._slot:
            tokens = await super().count(body, leaving=leaving)
            if failure := self._failure(len(self.counted)):
                raise failure
            return tokens


def one_night(folder, failure):
    ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
    gateway, report = asyncio.run(night(ledger, folder, 1, ROWS, (99, 99, 99), OneAtATime(failure)))
    ledger.close()
    return gateway, report


def test_counts_that_fail_in_a_row_stop_the_run_and_the_rest_waits_for_the_next(tmp_path):
    gateway, report = one_night(tmp_path, lambda number: Transient("HTTP 502 without the API's own error"))
    assert len(gateway.counted) == MOST_IN_A_ROW
    assert gateway.sent == []
    assert (report.jobs.failed, report.jobs.deferred) == (MOST_IN_A_ROW, len(ROWS) - MOST_IN_A_ROW)
    assert "endpoint_unusable" in {item.reason for item in report.reasons}


@pytest.mark.parametrize(
    "answer", [None, Refused("HTTP 400", explanation="no")], ids=["a count", "a refusal"]
)
def test_an_answer_among_them_lets_the_counting_go_on(tmp_path, answer):
    failing = Transient("HTTP 502 without the API's own error")
    gateway, report = one_night(tmp_path, lambda number: failing if number % MOST_IN_A_ROW else answer)
    assert len(gateway.counted) >= len(ROWS)
    assert report.jobs.deferred == 0
