"""Marks while a run sends: one job of a cold prefix goes first, entries grow cold, and marks that do not pay end."""

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.cache_plan import FEWEST_FOLLOWERS, break_even
from rules.prices import CacheRates
from schemas.attempt import Charge, HeldAttempt
from schemas.job import QueuedJob
from schemas.money import NanoUsd
from schemas.payload.payload import Payload
from schemas.shared_prefix import CacheMark, PlannedPrefix, SharedPrefix
from tasks import caching as module
from tasks.caching import Caching, without_mark
from tests.strategies import request

MODEL, OTHER = "claude-sonnet-5-5", "claude-opus-5-5"
RATES = dict.fromkeys((MODEL, OTHER), CacheRates(Decimal(3), Decimal("0.3"), Decimal("3.75"), Decimal(6)))
BODY = request("question", system="shared")


@pytest.fixture
def clock(monkeypatch):
    """The monotonic clock as a test sets it, in seconds."""

    class Clock:
        now = 1_000.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


def planned(key="k", model=MODEL, ttl="5m"):
    return PlannedPrefix(SharedPrefix(key, model, "system/0", 2_000, 50), ttl, "5m", 1, 2)


def caching(*plans):
    made = Caching()
    made.follow(plans or [planned()], RATES)
    return made


def queued(row, key="k", model=MODEL, ttl=None):
    return QueuedJob(row, f"job-{row}", f"f{row}", None, None, 100, None, None, ttl, model, 50, "counted", 500,
                     prefix_key=key)  # fmt: skip


def held(job, body=BODY):
    payload = Payload.checked(body)
    return HeldAttempt(
        f"att_{job.row_number}", job.row_number, job.job_id, job.model, payload.text.decode(), payload.traits,
        job.cache_ttl, mark=job.mark,
    )  # fmt: skip


def charge(read=0, written=0):
    return Charge(cost=NanoUsd(1), billing=None, cache_read_tokens=read, cache_write_tokens=written)


def primed(made, key="k", answered=True):
    """The first job of a prefix is sent and has ended."""
    [job] = made.in_turn([queued(0, key)])
    made.held([held(job)])
    if answered:
        made.measured(key, charge(written=2_000), is_prime=True)
    made.prime_ended(key)
    return job


def follower(made, key="k", model=MODEL):
    [job] = made.in_turn([queued(7, key, model)])
    return job


def test_of_a_cold_prefix_one_job_gets_its_turn_with_the_mark_of_the_first():
    made = caching(planned(ttl="1h"))
    [first] = made.in_turn([queued(row) for row in range(5)])
    assert first.row_number == 0
    assert first.mark == CacheMark("k", "system/0", "1h", True, 2_000)
    assert first.cache_ttl == "1h"


def test_a_job_that_was_not_held_does_not_keep_the_others_waiting():
    made = caching()
    made.in_turn([queued(0)])
    assert made.being_primed == []
    [next_first] = made.in_turn([queued(1), queued(2)])
    assert (next_first.row_number, next_first.mark.is_prime) == (1, True)


def test_while_the_first_is_under_way_the_others_wait_and_other_jobs_go():
    made = caching(planned("k"), planned("l"))
    made.held([held(made.in_turn([queued(0)])[0])])
    assert made.being_primed == ["k"]
    assert not made.changed.is_set()
    turn = made.in_turn([queued(1), queued(2, None), queued(3, "l"), queued(4, "l"), queued(5, "unplanned")])
    assert [job.row_number for job in turn] == [2, 3, 5]
    assert [bool(job.mark and job.mark.is_prime) for job in turn] == [False, True, False]


def test_once_the_first_is_answered_all_others_go_at_once_with_the_shorter_life():
    made = caching(planned(ttl="1h"))
    primed(made)
    assert made.changed.is_set()
    assert made.being_primed == []
    turn = made.in_turn([queued(row) for row in range(1, 6)])
    assert [job.row_number for job in turn] == [1, 2, 3, 4, 5]
    assert {job.mark for job in turn} == {CacheMark("k", "system/0", "5m", False, 2_000)}
    assert {job.cache_ttl for job in turn} == {"5m"}


def test_a_first_job_without_an_answer_makes_another_the_first():
    made = caching()
    primed(made, answered=False)
    assert made.changed.is_set()
    assert follower(made).mark.is_prime


def test_after_three_first_jobs_in_vain_the_others_go_without_marks():
    made = caching()
    for _ in range(3):
        assert primed(made, answered=False).mark.is_prime
    turn = made.in_turn([queued(1), queued(2)])
    assert turn == [queued(1), queued(2)]
    assert made.being_primed == []


def test_an_answer_after_two_in_vain_lets_the_others_go_with_marks():
    made = caching()
    for _ in range(2):
        primed(made, answered=False)
    primed(made)
    assert follower(made).mark == CacheMark("k", "system/0", "5m", False, 2_000)


@pytest.mark.parametrize(("ttl", "lives"), [("5m", 300), ("1h", 3_600)])
def test_an_entry_is_cold_some_seconds_before_its_life_is_over(clock, ttl, lives):
    made = caching(planned(ttl=ttl))
    primed(made)
    clock.now += lives * 0.85
    assert not follower(made).mark.is_prime
    clock.now += lives * 0.14
    assert follower(made).mark.is_prime


def test_each_answer_that_used_an_entry_keeps_it_warm(clock):
    made = caching()
    primed(made)
    for _ in range(5):
        clock.now += 200
        assert not follower(made).mark.is_prime
        made.measured("k", charge(read=2_000), is_prime=False)
    clock.now += 299
    assert follower(made).mark.is_prime


def test_the_first_job_after_an_entry_grew_cold_is_waited_for_again(clock):
    made = caching()
    primed(made)
    clock.now += 299
    made.held([held(made.in_turn([queued(1), queued(2)])[0])])
    assert made.being_primed == ["k"]
    assert made.in_turn([queued(2)]) == []
    made.prime_ended("k")
    assert follower(made).mark.is_prime, "what an earlier first job wrote counts for it alone"


def fed(made, number, read, could, key="k"):
    for _ in range(number):
        made.measured(key, charge(read=read, written=could - read), is_prime=False)


def test_marks_that_do_not_pay_end_after_thirty_jobs_and_not_before(caplog):
    made = caching()
    primed(made)
    marked = held(follower(made))
    fed(made, FEWEST_FOLLOWERS - 1, 0, 2_000)
    assert not made.stopped
    assert made.body_of(marked)["system"] != BODY["system"]
    fed(made, 1, 0, 2_000)
    assert made.stopped == {MODEL: 0}
    assert made.body_of(marked) == {"model": MODEL, **BODY}, "what already waits is sent unmarked too"
    assert made.in_turn([queued(8)]) == [queued(8)]
    assert len([one for one in caplog.records if "stopped" in one.message]) == 1


def test_once_marks_have_ended_nobody_waits_for_a_first_job_that_is_under_way():
    made = caching(planned("k"), planned("l"))
    primed(made)
    made.held([held(made.in_turn([queued(1, "l")])[0])])
    made.changed.clear()
    assert made.being_primed == ["l"]
    fed(made, FEWEST_FOLLOWERS, 0, 2_000)
    assert made.changed.is_set()
    assert made.being_primed == []
    assert made.in_turn([queued(2, "l")]) == [queued(2, "l")]


def test_marks_of_one_model_end_and_those_of_another_go_on():
    made = caching(planned("k"), planned("o", OTHER))
    primed(made)
    fed(made, FEWEST_FOLLOWERS, 0, 2_000)
    [job] = made.in_turn([queued(0, "o", OTHER)])
    assert job.mark.is_prime
    assert made.stopped == {MODEL: 0}


@given(st.integers(0, 1_000))
def test_marks_end_exactly_where_the_share_of_hits_is_below_the_break_even(share):
    made = caching()
    fed(made, FEWEST_FOLLOWERS, share, 1_000)
    assert made.stopped == ({MODEL: share} if share < break_even(RATES[MODEL]) else {})


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 3_000)), max_size=80))
def test_marks_end_at_the_first_job_from_the_thirtieth_on_by_which_fewer_were_read_than_pay(answers):
    made = caching()
    expected, seen = {}, []
    for read, written in answers:
        made.measured("k", charge(read, written), is_prime=False)
        seen += [(read, read + written)] if read + written else []
        could = sum(both for _, both in seen)
        if len(seen) >= FEWEST_FOLLOWERS and not expected:
            share = sum(one for one, _ in seen) * 1_000 // could
            expected = {MODEL: share} if share < break_even(RATES[MODEL]) else {}
    assert made.stopped == expected


def test_answers_without_any_cached_token_say_nothing_of_hits():
    made = caching()
    fed(made, 2 * FEWEST_FOLLOWERS, 0, 0)
    assert not made.stopped


def test_what_first_jobs_write_is_no_miss():
    made = caching()
    for _ in range(2 * FEWEST_FOLLOWERS):
        made.measured("k", charge(written=2_000), is_prime=True)
    assert not made.stopped


def test_an_answer_of_a_prefix_of_another_run_is_passed_over():
    made = caching()
    for key in (None, "elsewhere"):
        made.measured(key, charge(read=5), is_prime=True)
        made.measured(key, charge(read=5), is_prime=False)
    assert follower(made).mark.is_prime


def test_a_marked_attempt_is_sent_with_its_marker_and_one_without_a_mark_as_it_is():
    made = caching()
    [first] = made.in_turn([queued(0)])
    assert made.body_of(held(first)) == {
        "model": MODEL,
        **BODY,
        "system": [{"type": "text", "text": "shared", "cache_control": {"type": "ephemeral"}}],
    }
    assert made.body_of(held(queued(1, None))) == {"model": MODEL, **BODY}


def test_a_job_that_now_goes_to_another_model_than_its_prefix_is_sent_unmarked():
    made = caching()
    assert made.in_turn([queued(0, model=OTHER)]) == [queued(0, model=OTHER)]


def test_a_run_without_a_plan_gives_every_job_its_turn_unmarked():
    made = Caching()
    jobs = [queued(0), queued(1, None), queued(2, None, ttl="1h")]
    assert not made.has_plan
    assert made.in_turn(jobs) == jobs
    assert caching().has_plan


def test_a_mark_that_is_taken_off_leaves_the_job_as_it_was():
    job = queued(3)
    [marked] = caching().in_turn([job])
    assert marked != job
    assert without_mark(marked) == job


EVENTS = st.lists(
    st.tuples(st.sampled_from(["turn", "answer", "no answer", "wait", "hit", "miss"]), st.sampled_from("kl")),
    max_size=60,
)


@given(EVENTS)
def test_whatever_happens_two_first_jobs_of_one_prefix_are_never_under_way_and_no_job_waits_for_ever(events):
    clock = [0.0]
    made = caching(planned("k"), planned("l"))
    under_way, row = set(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.time, "monotonic", lambda: clock[0])
        for what, key in events:
            if made.stopped:
                break
            if what == "turn":
                page = [queued(row + n, key) for n in range(3)]
                row += 3
                turn = made.in_turn(page)
                first = [job for job in turn if job.mark and job.mark.is_prime]
                assert len(first) <= 1
                assert bool(turn) is (key not in under_way), (
                    "a job waits only for a first job that is under way"
                )
                assert not first or turn == first
                made.held([held(job) for job in turn])
                under_way |= {key for job in first}
            elif what in ("answer", "no answer") and key in under_way:
                if what == "answer":
                    made.measured(key, charge(written=9), is_prime=True)
                made.prime_ended(key)
                under_way.remove(key)
            elif what == "wait":
                clock[0] += 100
            else:
                made.measured(key, charge(read=9 * (what == "hit"), written=1), is_prime=False)
            assert made.stopped or set(made.being_primed) == under_way
