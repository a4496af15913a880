"""Money that bought no whole answer: each attempt is summed under its one kind, at what it cost or still holds."""

from rules.endings import batch_left_it, item_failed
from schemas.attempt import UnsettledAttempt
from schemas.failures import Transient
from schemas.outcome import Billing, Reason
from services.ledger import run_sums
from tests.ledgers import failed, started, succeeded, unknown
from tests.strategies import take, write_down


def test_each_kind_has_its_jobs_and_its_money(ledger):
    run_id = started(ledger, 8)
    held = take(ledger, [100] * 8).held
    whole, cut, cut_too, refused, unbilled, lost, errored, expired = held
    sent = [one.attempt_id for one in held]
    write_down(
        ledger,
        sent,
        [
            succeeded(whole, 1, stop_reason="end_turn"),
            succeeded(cut, 20, stop_reason="max_tokens"),
            succeeded(cut_too, 30, stop_reason="max_tokens"),
            succeeded(refused, 4, stop_reason="refusal"),
            succeeded(unbilled, 0, stop_reason="refusal", billing=Billing.NOT_BILLED),
            unknown(lost),
            failed(errored),
            batch_left_it(expired.attempt_id, Reason.BATCH_EXPIRED),
        ],
    )
    sums = {one.kind: (one.model, one.payload_class, one.jobs, one.cost) for one in run_sums.bought_nothing(ledger, run_id)}  # fmt: skip
    model, kind = whole.model, whole.traits.payload_class
    assert sums == {
        "cut_off": (model, kind, 2, 50),
        "refused": (model, kind, 1, 4),
        "unknown": (model, kind, 1, 100),
        "errored": (model, kind, 1, 0),
    }


def test_a_job_that_errored_twice_is_one_job_and_what_never_left_is_none(ledger):
    run_id = started(ledger, 2)
    first, never = take(ledger, [100] * 2).held
    write_down(ledger, [first.attempt_id], [_errored(first, 1)])
    (second,) = take(ledger, [100]).held
    write_down(ledger, [second.attempt_id], [_errored(second, 2), failed(never)])
    assert [(one.kind, one.jobs) for one in run_sums.bought_nothing(ledger, run_id)] == [("errored", 1)]


def _errored(attempt, tried):
    unsettled = UnsettledAttempt(attempt.attempt_id, attempt.model, None, None, attempt.traits, tried=tried)
    return item_failed(unsettled, Transient("overloaded"))
