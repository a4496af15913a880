"""Holding: what may be held, what waits and what is deferred; no job is held that is paid or in flight."""

import pytest

from schemas.ledger import AttemptRow
from schemas.payload.payload import Payload
from services.ledger import jobs, run_sums
from tests.ledgers import budgets, outcomes, rows, settle, started, succeeded, unknown
from tests.strategies import begin, job, request, take


def test_a_job_that_waits_for_what_is_held_before_it_is_not_deferred(ledger):
    started(ledger, 3)
    admission = take(ledger, [60, 50, 40], run=100)
    assert [attempt.row_number for attempt in admission.held] == [0]
    assert (admission.deferred, admission.short) == (0, True)


def test_a_job_that_can_never_fit_is_deferred_and_a_smaller_one_behind_it_still_goes(ledger):
    started(ledger, 3)
    admission = take(ledger, [60, 110, 40], run=100)
    assert [attempt.row_number for attempt in admission.held] == [0, 2]
    assert (admission.deferred, admission.short) == (1, False)
    assert outcomes(ledger)[1] == ("deferred", "run_budget")


def test_while_money_is_in_flight_the_queue_stops_instead_of_deferring(ledger):
    started(ledger, 3)
    admission = take(ledger, [60, 50, 10], day=100, may_defer=False)
    assert [attempt.row_number for attempt in admission.held] == [0]
    assert (admission.deferred, admission.short) == (0, True)
    settle(ledger, succeeded(admission.held[0], 30))
    assert [attempt.row_number for attempt in take(ledger, [50, 10], day=100).held] == [1, 2]


def test_a_cap_that_was_lowered_below_what_is_used_lets_nothing_through(ledger):
    started(ledger, 2)
    take(ledger, [60], day=100)
    assert take(ledger, [1], day=50).deferred == 1


def test_a_job_that_succeeded_is_never_held_again(ledger):
    started(ledger)
    settle(ledger, succeeded(*take(ledger, [10]).held))
    started(ledger, run_id="run-2")
    assert take(ledger, [10], "run-2").held == []
    assert outcomes(ledger, "run-2") == [("succeeded", None)]
    assert run_sums.carried(ledger, "run-2") == 1


def test_a_job_that_succeeds_elsewhere_between_reading_and_holding_is_not_held(ledger):
    started(ledger)
    started(ledger, run_id="run-2")
    settle(ledger, succeeded(*take(ledger, [10]).held))
    assert take(ledger, [10], "run-2").held == []
    assert outcomes(ledger, "run-2") == [("succeeded", None)]


@pytest.mark.parametrize("resend_unknown", [False, True])
def test_a_job_in_flight_in_another_run_is_left_to_the_next(ledger, resend_unknown):
    started(ledger)
    take(ledger, [10])
    started(ledger, run_id="run-2")
    assert take(ledger, [10], "run-2", resend_unknown=resend_unknown).held == []
    assert outcomes(ledger, "run-2") == [("deferred", "in_flight_elsewhere")]


def test_an_unknown_attempt_keeps_its_hold_and_is_sent_again_only_when_the_policy_says_so(ledger):
    started(ledger)
    settle(ledger, unknown(*take(ledger, [10]).held))
    started(ledger, run_id="run-2")
    assert take(ledger, [10], "run-2").held == []
    assert outcomes(ledger, "run-2") == [("unknown", "unknown_outcome")]
    started(ledger, run_id="run-3")
    assert len(take(ledger, [10], "run-3", resend_unknown=True).held) == 1
    assert budgets(ledger)["day"] == (20, 0)


def test_the_same_payload_under_another_id_is_a_job_of_its_own(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0, "a"), job(1, "b")], [])
    assert len(take(ledger, [10, 10]).held) == 2


def test_an_attempt_states_the_effort_and_the_budget_that_its_payload_asks_for(ledger):
    begin(ledger)
    asked = [
        {"output_config": {"effort": "xhigh"}},
        {"thinking": {"type": "enabled", "budget_tokens": 2_000}, "max_tokens": 3_000},
        {},
    ]
    added = [job(number, payload=Payload.checked(request() | more)) for number, more in enumerate(asked)]
    jobs.add(ledger, "run-1", added, [])
    take(ledger, [100] * len(asked))
    found = rows(ledger, AttemptRow, AttemptRow.row_number, AttemptRow.effort, AttemptRow.thinking_budget)
    assert sorted(found) == [(0, "xhigh", None), (1, None, 2_000), (2, None, None)]
