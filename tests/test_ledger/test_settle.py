"""Settling: the hold is replaced by the bill, once, in every window."""

import pytest

from schemas.ledger import AttemptRow, ResponseRow
from services.ledger import run_sums
from tests.ledgers import budgets, failed, outcomes, rows, settle, started, succeeded, unknown
from tests.strategies import take, write_down


def test_a_hold_is_taken_from_every_window_and_settling_replaces_it_with_the_bill(ledger):
    started(ledger, 3)
    first, second, third = take(ledger, [100, 50, 20], run=200, day=500).held
    assert budgets(ledger) == {"run": (170, 0), "day": (170, 0)}
    settle(ledger, succeeded(first, 60), failed(second), unknown(third))
    assert budgets(ledger) == {"run": (20, 60), "day": (20, 60)}
    assert [outcome for outcome, _ in outcomes(ledger)] == ["succeeded", "failed", "unknown"]
    assert run_sums.held(ledger, "run-1") == 20


# a Counter's `|` drops what is not positive: such a group once released no hold and stopped the run
@pytest.mark.parametrize("end", [failed, unknown, lambda attempt: succeeded(attempt, 0)])
def test_a_group_in_which_nothing_cost_anything_is_settled(ledger, end):
    started(ledger)
    [attempt] = take(ledger, [10]).held
    settle(ledger, end(attempt))
    left = 10 if end is unknown else 0
    assert budgets(ledger) == {"run": (left, 0), "day": (left, 0)}


def test_settling_again_changes_nothing(ledger):
    started(ledger, 2)
    first, second = take(ledger, [100, 100]).held
    settle(ledger, succeeded(first, 60), unknown(second))
    before = budgets(ledger), outcomes(ledger)
    settle(ledger, succeeded(first, 60), unknown(second))
    settle(ledger, failed(first))
    settle(ledger, succeeded(first, 90))
    assert (budgets(ledger), outcomes(ledger)) == before
    assert len(rows(ledger, ResponseRow, ResponseRow.attempt_id)) == 1


def test_an_attempt_is_on_record_before_its_bytes_leave_and_only_an_open_one_can_leave(ledger):
    started(ledger)
    [attempt] = take(ledger, [10]).held
    assert rows(ledger, AttemptRow, AttemptRow.state, AttemptRow.sent_at) == [("open", None)]
    write_down(ledger, [attempt.attempt_id], [])
    [(sent_at,)] = rows(ledger, AttemptRow, AttemptRow.sent_at)
    assert sent_at.tzinfo is not None
    settle(ledger, failed(attempt))
    write_down(ledger, [attempt.attempt_id], [])
    assert rows(ledger, AttemptRow, AttemptRow.sent_at) == [(sent_at,)]


def test_an_odd_text_in_a_detail_does_not_stop_the_others(ledger):
    started(ledger)
    [attempt] = take(ledger, [10]).held
    settle(ledger, failed(attempt, detail="HTTP 400: odd \0 text"))
    assert outcomes(ledger) == [("failed", "api_unavailable")]


@pytest.mark.parametrize("odd", ["end\0turn", "end\ud800turn", "x" * 1_000])
def test_an_odd_word_in_an_answer_does_not_keep_its_bill_off_the_record(ledger, odd):
    started(ledger)
    [attempt] = take(ledger, [10]).held
    settle(ledger, succeeded(attempt, 5, stop_reason=odd, request_id=odd))
    assert budgets(ledger) == {"run": (0, 5), "day": (0, 5)}
    [(stop_reason, request_id)] = rows(ledger, AttemptRow, AttemptRow.stop_reason, AttemptRow.request_id)
    assert stop_reason == request_id == odd.replace("\0", "?").replace("\ud800", "?")
