"""Given keys: jobs are looked up by id and payload together, on both databases."""

from collections import Counter
from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from schemas.job import KeptAnswers
from schemas.outcome import AttemptState, Outcome
from services.ledger import jobs
from services.ledger.given_keys import given_keys
from services.ledger.prior import answers
from tests.strategies import begin, job, quick_ledger, settlement, take, write_down

printable = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=30)


@given(st.sets(st.tuples(printable, printable), max_size=8))
def test_every_key_comes_out_as_it_went_in(ledger, keys):
    with ledger.read() as connection:
        found = given_keys(connection, keys)
        assert {tuple(row) for row in connection.execute(select(found.c.job_id, found.c.fingerprint))} == keys


@contextmanager
def steps_of(connection):
    """How many thousands of steps SQLite takes in here."""
    taken = Counter()

    def one():
        taken["thousands"] += 1

    driver = connection.connection.driver_connection
    driver.set_progress_handler(one, 1_000)
    yield taken
    driver.set_progress_handler(None, 0)


def test_looking_for_the_answers_to_twice_as_many_jobs_takes_twice_as_many_steps(tmp_path):
    on_sqlite = quick_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    begin(on_sqlite, "run-1")
    asked = [job(number, text=f"question {number}") for number in range(1_000)]
    jobs.add(on_sqlite, "run-1", asked, [])
    held = take(on_sqlite, [10] * len(asked), "run-1").held
    ends = [settlement(one.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=1) for one in held]
    write_down(on_sqlite, [one.attempt_id for one in held], ends)
    taken = {}
    with on_sqlite.read() as connection:
        for number in (500, 1_000):
            with steps_of(connection) as steps:
                assert len(answers(connection, asked[:number], KeptAnswers())) == number
            taken[number] = steps["thousands"]
    assert taken[1_000] < 2.5 * taken[500]
