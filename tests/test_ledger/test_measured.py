"""The answers to a run's rows: those of earlier runs too, and only those whose usage says all that was billed."""

from schemas.attempt import MeasuredAnswer
from services.ledger.measured import measured_answers
from tests.ledgers import settle, started, succeeded, unknown
from tests.strategies import take


def test_every_whole_answer_to_a_row_of_the_run_is_measured_whoever_paid_for_it(ledger):
    started(ledger, 4)
    held = take(ledger, [100] * 4).held
    settle(
        ledger,
        succeeded(held[0], cost=50, output_tokens=7, thinking_tokens=3, billing="full"),
        succeeded(held[1], cost=60, output_tokens=8, billing="full"),
        succeeded(held[2], cost=70, output_tokens=9, billing="partial"),
        unknown(held[3]),
    )
    whole = [MeasuredAnswer(7, 3, 50), MeasuredAnswer(8, None, 60)]
    assert sorted(measured_answers(ledger, "run-1"), key=lambda one: one.cost) == whole
    # the same jobs in another run were answered already
    started(ledger, 1, "run-2")
    assert measured_answers(ledger, "run-2") == whole[:1]
