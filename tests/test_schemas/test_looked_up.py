"""What a job's attempts come to."""

from datetime import UTC, datetime

from schemas.looked_up import AttemptLine, JobHistory

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def attempt(name, state, actual, held):
    return AttemptLine(name, "run-1", state, "m", NOW, None, None, None, None, None, actual, held, None, None)


def test_the_money_is_the_sum_of_all_attempts_and_the_answer_that_of_the_first_that_succeeded():
    attempts = (
        attempt("c", "unknown", None, 9),
        attempt("b", "succeeded", 5, 0),
        attempt("a", "succeeded", 7, 0),
    )
    found = JobHistory("job", (), attempts, ())
    assert (found.spent_nano_usd, found.held_nano_usd, found.answered_by) == (12, 9, "b")
