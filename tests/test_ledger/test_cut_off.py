"""Answers that were cut off: their jobs wait for a person, and are paid for again only when that person saw it."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from rules.endings import cut_off, cut_off_parked
from schemas.job import Approval, KeptAnswers
from schemas.ledger import AttemptRow, JobRow, ResponseRow
from schemas.outcome import Outcome, Reason
from services.ledger import holds, jobs, prior, reviews
from services.ledger.verify import check_answers, check_paid_once, check_rows
from tests.ledgers import budgets, failed, outcomes, rows, started, succeeded
from tests.strategies import begin, job, take, write_down
from tests.test_ledger.test_reviews.table import FIGURES, NO_LIMITS, edit_of, unknown_review

CUT = ("review", Reason.CUT_OFF)


def whole(attempt, cost=7):
    return succeeded(attempt, cost, stop_reason="end_turn", input_tokens=10, output_tokens=3)


def cut(attempt):
    return cut_off_parked(succeeded(attempt, 5, stop_reason="max_tokens", input_tokens=10, output_tokens=100))


def reviewed(ledger, run_id):
    """What a run does with reviews at its end."""
    with ledger.write() as connection:
        reviews.close_answered(connection, run_id)
        reviews.reopen_unsent(connection, run_id)


def first_night(ledger):
    """A run whose only answer was cut off; the attempt's id."""
    started(ledger)
    [held] = take(ledger, [100]).held
    write_down(ledger, [held.attempt_id], [cut(held)])
    assert reviews.park_over_budget(ledger, "run-1", NO_LIMITS, lambda _: "raise max_tokens") == 1
    return held.attempt_id


def next_night(ledger, run_id="run-2", approval=None, **sent):
    """The same job in another run, weighed again; the jobs in its queue."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, approval=approval, **sent)], [], serving=KeptAnswers(whole=True))
    return jobs.next_in_queue(ledger, run_id, 10)


def approved(ledger):
    """The approval of the only review."""
    [review] = reviews.listed(ledger)
    done = reviews.approve(ledger, [review.id], "ana")
    assert done.changed == 1, done
    return Approval(review.id, 10**6, 10**9)


def states(ledger):
    return dict(rows(ledger, AttemptRow, AttemptRow.attempt_id, AttemptRow.state))


def assert_true(ledger):
    with ledger.read() as connection:
        for check in (check_answers, check_paid_once, check_rows):
            assert check(connection).ok


def test_what_came_is_settled_and_kept_and_the_job_waits(ledger):
    attempt_id = first_night(ledger)
    assert outcomes(ledger) == [CUT]
    assert states(ledger) == {attempt_id: "succeeded"}
    assert budgets(ledger) == {"run": (0, 5), "day": (0, 5)}
    assert rows(ledger, ResponseRow, ResponseRow.attempt_id) == [(attempt_id,)]
    [review] = reviews.listed(ledger)
    assert (review.status, review.reason, review.would_pass) == ("pending", "cut_off", "raise max_tokens")
    assert_true(ledger)


def test_the_job_is_weighed_again_and_waits_until_a_person_has_decided(ledger):
    attempt_id = first_night(ledger)
    queued = next_night(ledger)
    assert holds.cut_off_before(ledger, queued) == {0: cut_off(attempt_id)}
    # whoever does not ask takes the answer as it is, and pays nothing
    assert take(ledger, [100], "run-2").held == []
    assert outcomes(ledger, "run-2") == [("succeeded", None)]


def test_an_answer_that_was_not_cut_off_is_never_weighed_again(ledger):
    started(ledger)
    [held] = take(ledger, [100]).held
    write_down(ledger, [held.attempt_id], [whole(held)])
    assert next_night(ledger) == []
    assert outcomes(ledger, "run-2") == [("succeeded", None)]


def test_who_approves_it_as_it_is_pays_again_and_only_one_attempt_answers_the_job(ledger):
    old = first_night(ledger)
    queued = next_night(ledger, approval=approved(ledger))
    assert holds.cut_off_before(ledger, queued) == {}
    [held] = take(ledger, [100], "run-2").held
    assert states(ledger) == {old: "failed", held.attempt_id: "open"}
    write_down(ledger, [held.attempt_id], [whole(held)])
    assert outcomes(ledger, "run-2") == [("succeeded", None)]
    # both are booked, and what came first is kept
    assert budgets(ledger)["day"] == (0, 12)
    assert len(rows(ledger, ResponseRow, ResponseRow.attempt_id)) == 2
    assert_true(ledger)


def of_model(ledger, attempt_id, model):
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).where(AttemptRow.attempt_id == attempt_id).values(model=model))


def cut_off_under_two_models(ledger):
    """A job whose answer was cut off under one model, and then under another that it was pinned to; both attempts."""
    first = first_night(ledger)
    of_model(ledger, first, "claude-opus-5-5")
    next_night(ledger, model="claude-haiku-5-5")
    [held] = take(ledger, [100], "run-2").held
    write_down(ledger, [held.attempt_id], [cut(held)])
    return first, held.attempt_id


@pytest.mark.parametrize("latest", ["claude-haiku-5-5", "claude-opus-5-5"])
def test_answers_that_were_cut_off_under_several_models_all_give_way_to_the_one_to_come(ledger, latest):
    first, second = cut_off_under_two_models(ledger)
    if latest == "claude-opus-5-5":
        of_model(ledger, second, "claude-sonnet-5-5")
        of_model(ledger, first, "claude-haiku-5-5")
        of_model(ledger, second, latest)
    next_night(ledger, "run-3", approval=approved(ledger))
    [held] = take(ledger, [100], "run-3").held
    assert states(ledger) == {first: "failed", second: "failed", held.attempt_id: "open"}
    write_down(ledger, [held.attempt_id], [whole(held)])
    assert outcomes(ledger, "run-3") == [("succeeded", None)]
    assert budgets(ledger)["day"] == (0, 17)


def test_who_approved_after_one_of_two_answers_was_cut_off_does_not_pay_again(ledger):
    first, second = cut_off_under_two_models(ledger)
    approval = approved(ledger)
    with ledger.write() as connection:
        later = update(AttemptRow).where(AttemptRow.attempt_id == first)
        connection.execute(later.values(ended_at=datetime.now(UTC) + timedelta(hours=1)))
    queued = next_night(ledger, "run-3", approval=approval)
    assert holds.cut_off_before(ledger, queued) == {0: cut_off(first)}
    assert take(ledger, [100], "run-3").held == []
    assert states(ledger) == {first: "succeeded", second: "succeeded"}


def test_an_approval_from_before_the_answer_does_not_pay_again(ledger):
    first_night(ledger)
    approval = approved(ledger)
    next_night(ledger, approval=approval)
    [held] = take(ledger, [100], "run-2").held
    write_down(ledger, [held.attempt_id], [cut(held)])
    # the same approval, after it bought another answer that was cut off
    queued = next_night(ledger, "run-3", approval=approval)
    assert holds.cut_off_before(ledger, queued) == {0: cut_off(held.attempt_id)}
    assert take(ledger, [100], "run-3").held == []


def test_an_approval_for_another_reason_does_not_pay_again(ledger):
    attempt_id = first_night(ledger)
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE reviews SET reason = 'over_cost_limit'")
    queued = next_night(ledger, approval=approved(ledger))
    assert holds.cut_off_before(ledger, queued) == {0: cut_off(attempt_id)}
    assert take(ledger, [100], "run-2").held == []


def test_without_money_the_answer_that_was_cut_off_stays_as_it_was(ledger):
    old = first_night(ledger)
    next_night(ledger, approval=approved(ledger))
    assert take(ledger, [100], "run-2", run=50).held == []
    assert states(ledger) == {old: "succeeded"}
    assert outcomes(ledger, "run-2") == [("deferred", Reason.RUN_BUDGET)]


def test_an_edit_is_sent_in_its_place_and_its_answer_is_the_jobs_from_then_on(ledger):
    first_night(ledger)
    [review] = reviews.listed(ledger)
    payload = edit_of(review)
    reviews.edit(ledger, review.id, "ana", payload, FIGURES)
    [sent], _ = reviews.apply_decisions(ledger, [job(0)], resubmit_approved=True, parks_cut_off=True)
    assert sent.payload.fingerprint == payload.fingerprint
    [[also]] = reviews.approved_jobs(ledger, "run-9", 0)
    assert also.payload.fingerprint == payload.fingerprint
    next_night(ledger, approval=sent.approval, payload=payload)
    [held] = take(ledger, [100], "run-2").held
    write_down(ledger, [held.attempt_id], [whole(held)])
    reviewed(ledger, "run-2")
    for parks in (True, False):
        jobs_left, [end] = reviews.apply_decisions(
            ledger, [job(0)], resubmit_approved=True, parks_cut_off=parks
        )
        assert (jobs_left, end.attempt_id, end.ending.outcome) == ([], held.attempt_id, Outcome.SUCCEEDED)
        run_id = f"run-{parks}"
        begin(ledger, run_id)
        jobs.add(ledger, run_id, [], [], [end], serving=KeptAnswers(whole=parks))
        with ledger.read() as connection:
            assert (
                connection.scalar(select(JobRow.attempt_id).where(JobRow.run_id == run_id)) == held.attempt_id
            )


def test_an_edit_whose_answer_was_cut_off_too_waits_again(ledger):
    first_night(ledger)
    [review] = reviews.listed(ledger)
    payload = edit_of(review)
    reviews.edit(ledger, review.id, "ana", payload, FIGURES)
    next_night(ledger, approval=Approval(review.id, 7, 70), payload=payload)
    [held] = take(ledger, [100], "run-2").held
    write_down(ledger, [held.attempt_id], [cut(held)])
    reviewed(ledger, "run-2")
    assert [one.status for one in reviews.listed(ledger)] == ["pending"]
    _, [end] = reviews.apply_decisions(ledger, [job(0)], resubmit_approved=True, parks_cut_off=True)
    assert end.ending == cut_off(held.attempt_id)


@pytest.mark.parametrize("first", ["failed", "open"])
def test_an_answer_that_comes_late_and_was_cut_off_waits_as_well(ledger, first):
    started(ledger)
    [held] = take(ledger, [100]).held
    write_down(ledger, [held.attempt_id], [failed(held)] if first == "failed" else [])
    write_down(ledger, [], [cut(held)])
    assert outcomes(ledger) == [CUT]
    assert budgets(ledger)["run"] == (0, 5)


def test_a_review_of_unknown_outcome_says_that_the_answer_was_cut_off_once_it_came(ledger):
    review = unknown_review(ledger)
    attempt_id = next(iter(states(ledger)))
    with ledger.write() as connection:
        reviews.name_cut_off(connection, "run-1")
    assert reviews.one_review(ledger, review.id).reason == "unknown_outcome"
    write_down(ledger, [], [cut(SimpleNamespace(attempt_id=attempt_id))])
    with ledger.write() as connection:
        reviews.close_answered(connection, "run-1")
        reviews.name_cut_off(connection, "run-1")
    after = reviews.one_review(ledger, review.id)
    assert (after.status, after.reason, after.detail) == ("pending", "cut_off", cut_off(attempt_id).detail)
    assert "paid for again" in after.would_pass


def test_a_job_that_waits_because_its_answer_was_cut_off_is_not_named_as_paid_for_again(ledger):
    first_night(ledger)
    next_night(ledger)
    assert prior.paid_again(ledger, "run-2") == {}
    [review] = reviews.listed(ledger)
    next_night(ledger, "run-3", payload=edit_of(review))
    assert sum(prior.paid_again(ledger, "run-3").values()) == 1
