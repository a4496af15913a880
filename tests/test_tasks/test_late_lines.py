"""Lines of a batch's results that come late, or contradict others: what was billed is booked, whatever came first."""

import json

import pytest

from schemas.ledger import AttemptRow
from services.ledger import reviews
from services.ledger.verify import verify
from services.result_lines import result_line
from tasks import read_results
from tasks.admit import admit
from tasks.collect import collect
from tasks.watch_batch import watch
from tests.fake_batches import (
    BatchGateway,
    all_rows,
    assert_budgets_add_up,
    begun,
    states,
    submitted_all,
)
from tests.strategies import abandon

pytestmark = pytest.mark.one_database


class Twice(BatchGateway):
    """Every item has two lines: its answer, and one that says something else, before it or after it."""

    def __init__(self, other, *, other_first):
        super().__init__()
        self.other, self.other_first = other, other_first

    async def batch_results(self, batch):
        answers = [line async for line in super().batch_results(batch)]
        others = [
            result_line(json.dumps({"custom_id": line.custom_id, "result": self.other}).encode())
            for line in answers
        ]
        for line in others + answers if self.other_first else answers + others:
            yield line


PASSING = {"type": "errored", "error": {"type": "error", "error": {"type": "overloaded_error"}}}
REFUSED = {"type": "errored", "error": {"type": "error", "error": {"type": "invalid_request_error"}}}


@pytest.mark.parametrize("group", [1, 500])
@pytest.mark.parametrize("other_first", [False, True])
@pytest.mark.parametrize("other", [PASSING, REFUSED, {"type": "expired"}, {"type": "canceled"}, "no result"])
async def test_an_answer_is_booked_whatever_another_line_says_of_its_item(
    ledger, tmp_path, monkeypatch, other, other_first, group
):
    monkeypatch.setattr(read_results, "_GROUP", group)
    gateway = Twice(other, other_first=other_first)
    run = await begun(ledger, gateway, tmp_path)
    [batch] = await submitted_all(run)
    await watch(run, batch)
    assert states(ledger) == ["succeeded"] * 3
    assert all(row.actual_nano_usd for row in all_rows(ledger, AttemptRow))
    # nothing is paid again
    while await admit(run, 100, may_defer=True):
        pass
    assert len(gateway.made) == 1
    assert_budgets_add_up(ledger)


@pytest.mark.parametrize("billed", [None, 1, 40])
async def test_an_answer_that_is_readable_after_its_attempt_was_booked_is_booked_in_place_of_that(
    ledger, tmp_path, billed
):
    gateway = BatchGateway()
    gateway.lines[1] = lambda line: json.dumps(line).encode()[:-30]
    run = await begun(ledger, gateway, tmp_path)
    await submitted_all(run)
    abandon(ledger, run.run_id)
    await collect(ledger, gateway)
    attempts = all_rows(ledger, AttemptRow)
    [unknown] = [row for row in attempts if row.state == "unknown"]
    [true_bill] = {row.actual_nano_usd for row in attempts if row.state == "succeeded"}
    [review] = reviews.listed(ledger)
    reviews.approve(ledger, [review.id], "ana")
    reviews.book_attempt(ledger, unknown.attempt_id, "ana", billed)
    gateway.lines.clear()
    assert (await collect(ledger, gateway)).still_out == 0
    assert states(ledger) == ["succeeded"] * 3
    assert {row.actual_nano_usd for row in all_rows(ledger, AttemptRow)} == {true_bill}
    assert_budgets_add_up(ledger)
    found = verify(ledger)
    assert found.ok, found
