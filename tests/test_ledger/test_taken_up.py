"""Taken up again: a job under one model is not answered by the same job under another one, however they end."""

import pytest
from sqlalchemy import select, update

from schemas.ledger import AttemptRow
from schemas.outcome import AttemptState
from services.ledger import batch_attempts, jobs
from services.ledger.taken_up import taken_up_again
from services.ledger.verify import check_paid_once
from tests.ledgers import budgets, outcomes, succeeded
from tests.strategies import begin, job, settlement, take, write_down

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
OLD, SNAPSHOT = "claude-haiku-4-5", "claude-haiku-4-5-20251001"


def sent(ledger, run_id, pin, model, *ends):
    """A run's attempt at the one job, under a model, with how it ended."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, "a", model=pin)], [])
    [held] = take(ledger, [10], run_id).held
    change(ledger, held, model=model)
    write_down(ledger, [held.attempt_id], [end(held) for end in ends])
    return held


def change(ledger, held, **values):
    with ledger.write() as connection:
        mine = AttemptRow.attempt_id == held.attempt_id
        connection.execute(update(AttemptRow).where(mine).values(**values))


def states(ledger):
    with ledger.read() as connection:
        query = select(AttemptRow.run_id, AttemptRow.state, AttemptRow.actual_nano_usd)
        return {run_id: (state, cost) for run_id, state, cost in connection.execute(query)}


def closed(held):
    return settlement(held.attempt_id, AttemptState.FAILED, "deferred")


def by_the_journal(ledger, *ends):
    write_down(ledger, [], ends)


def by_the_results(ledger, *ends):
    batch_attempts.settle_items(ledger, ends)


@pytest.mark.parametrize("settled", [by_the_journal, by_the_results])
@pytest.mark.parametrize("pins", [(SONNET, OPUS), (None, OPUS)])
def test_answers_under_two_models_both_count_whichever_comes_first(ledger, pins, settled):
    for order in (1, -1):
        names = [f"run-{order}-{number}" for number in range(2)]
        first, second = [
            sent(ledger, name, pin, pin or SONNET) for name, pin in zip(names, pins, strict=True)
        ]
        for held in (first, second)[::order]:
            settled(ledger, succeeded(held, 5))
        assert {state for state, _ in states(ledger).values()} == {"succeeded"}
        assert [outcomes(ledger, name)[0][0] for name in names] == ["succeeded"] * 2
        for held in (first, second):
            # the next two are of a job that nobody answered
            change(ledger, held, job_id=held.attempt_id)


@pytest.mark.parametrize("state", [AttemptState.FAILED, AttemptState.UNKNOWN])
@pytest.mark.parametrize(
    ("pin", "model", "other_pin", "other_model", "is_taken"),
    [
        (None, HAIKU, None, HAIKU, True),
        (None, HAIKU, None, OPUS, True),
        (HAIKU, HAIKU, None, HAIKU, True),
        (OLD, OLD, OLD, SNAPSHOT, True),
        (HAIKU, HAIKU, OPUS, OPUS, False),
        (None, HAIKU, OPUS, OPUS, False),
        (HAIKU, HAIKU, None, OPUS, False),
    ],
)
def test_a_late_answer_counts_unless_its_own_job_was_sent_again(
    ledger, pin, model, other_pin, other_model, is_taken, state
):
    late = sent(ledger, "run-1", pin, model, closed)
    sent(ledger, "run-2", other_pin, other_model, lambda other: succeeded(other, 7))
    change(ledger, late, state=state)
    with ledger.read() as connection:
        assert bool(taken_up_again(connection, [late.attempt_id])) == is_taken
    was_closed = [late.attempt_id] if state is AttemptState.FAILED else []
    assert batch_attempts.settle_items(ledger, [succeeded(late, 5)]) == was_closed
    assert states(ledger) == {"run-1": ("failed" if is_taken else "succeeded", 5), "run-2": ("succeeded", 7)}
    assert budgets(ledger)["day"] == (0, 12)


@pytest.mark.parametrize("state", [AttemptState.FAILED, AttemptState.SUCCEEDED])
@pytest.mark.parametrize(
    ("made", "is_same"),
    [
        ((SONNET, SONNET, OPUS, OPUS), False),
        ((None, SONNET, OPUS, OPUS), False),
        ((SONNET, SONNET, None, OPUS), False),
        ((None, SONNET, None, OPUS), True),
        ((OLD, OLD, SNAPSHOT, SNAPSHOT), True),
    ],
)
def test_only_the_same_job_is_called_paid_twice(ledger, made, is_same, state):
    pin, model, other_pin, other_model = made
    first = sent(ledger, "run-1", pin, model, closed)
    sent(ledger, "run-2", other_pin, other_model, lambda other: succeeded(other, 7))
    change(ledger, first, state=state)
    with ledger.read() as connection:
        found = check_paid_once(connection)
    assert found.ok == (not is_same or state is AttemptState.FAILED), found
