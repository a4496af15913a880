"""Shared answers: rows of one payload are paid for once, and all end as the one that was sent (promises 2 and 3)."""

import tempfile
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from rules.endings import parked
from schemas.job import KeptAnswers
from schemas.ledger import AttemptRow, JobRow, ResponseRow, RunRow
from schemas.outcome import AttemptState, Outcome, Reason
from schemas.payload.payload import Payload
from services.ledger import jobs, reviews, run_sums
from services.ledger.shared_answers import end_all, mark_sharers, shared_sum
from services.ledger.verify_rows import check_rows
from tests.ledgers import settle, succeeded, unknown
from tests.strategies import begin, end_early, examples, job, job_update, quick_ledger, request, take

SHARED = KeptAnswers(of_others=True)
PAYLOADS = [Payload.checked(request(text)) for text in ("one", "two", "three")]


def read(ledger, run_id, given, serving=SHARED, **marking):
    """A run over these jobs, whose sharers are marked; how many they are."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, given, [], serving=serving)
    return mark_sharers(ledger, run_id, **marking)


def answer_all(ledger, run_id, cost=5):
    """Send and answer all that is queued, each at this cost; how many were sent."""
    held = take(ledger, [10] * 50, run_id).held
    settle(ledger, *(succeeded(attempt, cost) for attempt in held))
    end_all(ledger, run_id)
    return len(held)


def rows_of(ledger, run_id="run-1"):
    with ledger.read() as connection:
        return connection.execute(
            select(JobRow.__table__).where(JobRow.run_id == run_id).order_by(JobRow.row_number)
        ).all()


def shares(ledger, run_id="run-1"):
    return [row.shares_with_row for row in rows_of(ledger, run_id)]


def costs(ledger, run_id="run-1"):
    return [row.cost for row in run_sums.answers(ledger, run_id)]


def assert_true(ledger):
    with ledger.read() as connection:
        found = check_rows(connection)
    assert found.ok, found


payloads = st.sampled_from(range(len(PAYLOADS)))
models = st.sampled_from([None, None, "claude-haiku-5-5"])
groups = st.sampled_from([None, "ana", "ben"])
files = st.lists(st.tuples(payloads, models, groups, st.integers(-1, 1)), min_size=1, max_size=12)


def jobs_of(file, first=0):
    return [
        job(
            number, f"job-{number + first}", payload=PAYLOADS[kind], model=pin, group=group, priority=priority
        )
        for number, (kind, pin, group, priority) in enumerate(file)
    ]


@pytest.mark.slow
@settings(max_examples=examples(40))
@given(files, st.booleans(), st.data())
def test_each_payload_is_paid_once_and_every_row_gets_its_answer(file, private, data):
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        same: dict[tuple, list[int]] = defaultdict(list)
        for number, (kind, pin, group, _) in enumerate(file):
            same[kind, pin, group if private else None].append(number)
        serving = KeptAnswers(of_others=True, same_group=private)
        assert read(ledger, "run-1", jobs_of(file), serving, same_group=private) == len(file) - len(same)
        assert answer_all(ledger, "run-1") == len(same)
        end_early(ledger, "run-1")

        rows = rows_of(ledger)
        assert {row.outcome for row in rows} == {"succeeded"}
        for members in same.values():
            first = min(members, key=lambda number: (-file[number][3], number))
            assert rows[first].shares_with_row is None
            assert {rows[number].shares_with_row for number in members if number != first} <= {first}
            assert {rows[number].attempt_id for number in members} == {rows[first].attempt_id}
        # money is conserved: what the rows cost is what was paid
        assert sum(costs(ledger)) == 5 * len(same)
        assert shared_sum(ledger, "run-1") == (len(file) - len(same), 5 * (len(file) - len(same)))
        assert_true(ledger)

        # later jobs under other ids cost nothing where the same may be shared, and are paid for once where not
        later = data.draw(files)
        read(ledger, "run-2", jobs_of(later, first=100), serving, same_group=private)
        models_paid = defaultdict(set)
        for kind, _, group in same:
            models_paid[kind, group] |= {"claude-haiku-5-5"}
        new = {
            (kind, pin, group if private else None)
            for kind, pin, group, _ in later
            if not models_paid[kind, group if private else None]
        }
        assert answer_all(ledger, "run-2") == len(new)
        end_early(ledger, "run-2")
        assert {row.outcome for row in rows_of(ledger, "run-2")} == {"succeeded"}
        assert sum(costs(ledger, "run-2")) == 5 * len(new)
        assert_true(ledger)
        ledger.close()


def test_without_sharing_each_is_paid_for(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0), job(1)], [])
    assert answer_all(ledger, "run-1") == 2
    begin(ledger, "run-2")
    assert jobs.add(ledger, "run-2", [job(0, "other")], []) == 1


@pytest.mark.parametrize("limits", [False, True])
def test_a_pin_and_where_it_matters_a_limit_make_another_job(ledger, limits):
    given = [job(0), job(1, model="claude-opus-5-5"), job(2, max_cost=7), job(3, group="ana")]
    read(ledger, "run-1", given, same_limits=limits)
    assert shares(ledger) == [None, None, None if limits else 0, 0]


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.REVIEW, Reason.OVER_INPUT_LIMIT),
        (Outcome.DEFERRED, Reason.RUN_BUDGET),
        (Outcome.REJECTED, Reason.REFUSED_BY_API),
        (Outcome.FAILED, Reason.API_UNAVAILABLE),
    ],
)
def test_what_the_one_ends_as_the_others_end_as_in_the_same_words(ledger, outcome, reason):
    read(ledger, "run-1", [job(0), job(1), job(2, text="another")])
    update = job_update(0, decision="review", outcome=outcome, reason=reason, detail="so it is")
    jobs.record(ledger, "run-1", [update])
    assert end_all(ledger, "run-1") == 1
    first, second, other = rows_of(ledger)
    assert (second.outcome, second.reason, second.detail) == (outcome, reason, "so it is")
    assert (first.decision, first.shares_with_row) == (second.decision, None)
    assert other.outcome is None
    assert_true(ledger)


def test_an_attempt_in_doubt_keeps_all_that_share_it_in_doubt_and_its_late_answer_serves_all(ledger):
    read(ledger, "run-1", [job(0), job(1), job(2)])
    [held] = take(ledger, [10] * 3).held
    settle(ledger, unknown(held))
    end_all(ledger, "run-1")
    end_early(ledger, "run-1")
    assert {(row.outcome, row.attempt_id) for row in rows_of(ledger)} == {("unknown", held.attempt_id)}
    # the next run sends none of them
    read(ledger, "run-2", [job(0, "job-2"), job(1), job(2, "job-0")])
    assert shares(ledger, "run-2") == [2, 2, None]
    assert take(ledger, [10] * 3, "run-2").held == []
    settle(ledger, succeeded(held))
    assert {row.outcome for row in rows_of(ledger)} == {"succeeded"}
    assert sum(costs(ledger)) == 5
    assert_true(ledger)


def test_a_run_that_is_closed_early_gives_all_that_share_the_same_ending(ledger):
    read(ledger, "run-1", [job(0), job(1), job(2, text="other"), job(3, text="other")])
    [held] = take(ledger, [10]).held
    settle(ledger, succeeded(held))
    end_early(ledger, "run-1")
    assert [row.outcome for row in rows_of(ledger)] == ["succeeded", "succeeded", "deferred", "deferred"]
    assert {row.reason for row in rows_of(ledger)[2:]} == {"interrupted"}
    assert_true(ledger)


def test_a_job_with_an_attempt_of_its_own_goes_by_that(ledger):
    read(ledger, "run-1", [job(0, "a")])
    [held] = take(ledger, [10]).held
    settle(ledger, unknown(held))
    end_early(ledger, "run-1")
    # who is in doubt leads, whatever the priorities, so that the payload is not sent a second time
    read(ledger, "run-2", [job(0, "b", priority=9), job(1, "a")])
    assert shares(ledger, "run-2") == [1, None]
    # and does not take the answer to another one
    begin(ledger, "run-3")
    jobs.add(ledger, "run-3", [job(0, "c")], [])
    answer_all(ledger, "run-3")
    begin(ledger, "run-4")
    assert jobs.add(ledger, "run-4", [job(0, "a"), job(1, "d")], [], serving=SHARED) == 1
    assert [row.outcome for row in rows_of(ledger, "run-4")] == [None, "succeeded"]


def test_an_answer_that_was_pruned_or_cut_off_serves_no_other_job(ledger):
    read(ledger, "run-1", [job(0, "a")])
    answer_all(ledger, "run-1")
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).values(stop_reason="max_tokens"))
    begin(ledger, "run-2")
    whole = KeptAnswers(whole=True, of_others=True)
    assert jobs.add(ledger, "run-2", [job(0, "b")], [], serving=whole) == 1
    with ledger.write() as connection:
        connection.execute(ResponseRow.__table__.delete())
    begin(ledger, "run-3")
    # its own job has it all the same; others are sent, and do not share what is gone
    assert jobs.add(ledger, "run-3", [job(0, "a"), job(1, "b"), job(2, "c")], [], serving=SHARED) == 2
    mark_sharers(ledger, "run-3")
    assert shares(ledger, "run-3") == [None, None, 1]


def test_a_job_that_was_answered_by_sharing_is_not_sent_again_once_the_answer_is_pruned(ledger):
    read(ledger, "run-1", [job(0, "a"), job(1, "b")])
    answer_all(ledger, "run-1")
    end_early(ledger, "run-1")
    with ledger.write() as connection:
        connection.execute(ResponseRow.__table__.delete())
    begin(ledger, "run-2")
    given = [job(0, "b"), job(1, "new"), job(2, "b", model="claude-opus-5-5")]
    assert jobs.add(ledger, "run-2", given[:2], [], serving=SHARED) == 1
    assert [row.outcome for row in rows_of(ledger, "run-2")] == ["succeeded", None]
    alone = (
        KeptAnswers(),
        KeptAnswers(of_others=True, same_group=True),
        KeptAnswers(of_others=True, whole=True),
    )
    for number, serving in enumerate(alone):
        with ledger.write() as connection:
            connection.execute(update(AttemptRow).values(stop_reason="max_tokens", group_name="ana"))
        run_id = f"run-alone-{number}"
        begin(ledger, run_id)
        assert jobs.add(ledger, run_id, [job(0, "b")], [], serving=serving) == 1
    begin(ledger, "run-3")
    assert jobs.add(ledger, "run-3", given[2:], [], serving=SHARED) == 1


def test_who_shares_has_no_review_of_its_own(ledger):
    read(ledger, "run-1", [job(0), job(1)])
    jobs.record(ledger, "run-1", [_over_limit(0)])
    end_all(ledger, "run-1")
    assert reviews.park_over_budget(ledger, "run-1", reviews.JobLimits(1, 1)) == 1


def _over_limit(row):
    ending = parked(Reason.OVER_INPUT_LIMIT, "too heavy")
    return job_update(
        row, decision=ending.decision, outcome=ending.outcome, reason=ending.reason, detail=ending.detail
    )


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ({"shares_with_row": 7}, "not there"),
        ({"shares_with_row": 1}, "not there"),
        ({"outcome": "failed"}, "another ending"),
        ({"attempt_id": None}, "another ending"),
        ({"fingerprint": "f" * 64}, "another payload"),
    ],
)
def test_verify_finds_a_row_that_shares_what_it_must_not(ledger, damage, what):
    read(ledger, "run-1", [job(0), job(1), job(2, text="another")])
    answer_all(ledger, "run-1")
    end_early(ledger, "run-1")
    assert_true(ledger)
    with ledger.write() as connection:
        connection.execute(update(JobRow).where(JobRow.row_number == 1).values(**damage))
        connection.execute(update(RunRow).values(report=None))
    with ledger.read() as connection:
        found = check_rows(connection)
    assert not found.ok
    assert what in found.found


def test_attempts_are_all_that_was_paid(ledger):
    read(ledger, "run-1", [job(number) for number in range(5)])
    assert answer_all(ledger, "run-1") == 1
    with ledger.read() as connection:
        states = connection.scalars(select(AttemptRow.state)).all()
    assert states == [AttemptState.SUCCEEDED]
