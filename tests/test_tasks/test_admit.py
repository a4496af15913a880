"""Admission of jobs with cache markers: who gets a turn, what is held for it, and which mark is left off."""

from dataclasses import replace

import pytest

from schemas.attempt import Charge
from schemas.failures import Refused
from schemas.ledger import AttemptRow
from schemas.money import NanoUsd, usd_text
from services.ledger import jobs
from tasks.admit import admit
from tasks.find_prefixes import find_prefixes
from tasks.send_queue import SendQueue
from tests.fake_batches import all_rows, outcomes
from tests.marked_runs import Scale, a_run_of, is_marked, sharing
from tests.nights import ended
from tests.strategies import request

pytestmark = pytest.mark.one_database

NO_TOKENS = Charge(cost=NanoUsd(1), billing=None)


async def marked_run(ledger, folder, number=6, plain=0, **more):
    """A run with jobs that share a prefix, then some that share nothing."""
    bodies = sharing(number) + [request(f"alone {row}") for row in range(plain)]
    run = await a_run_of(ledger, folder, bodies, **more)
    assert await find_prefixes(run) == 1
    return run


def rows_of(admission):
    return sorted(one.row_number for one in admission.held)


def worst_cases(run, job):
    """The worst case of a queued job by what it may write to the cache."""
    return {ttl: run.scale.estimate(replace(job, cache_ttl=ttl)).worst_case for ttl in (None, "5m", "1h")}


@pytest.mark.parametrize("size", [1, 4, 50])
async def test_a_shard_is_filled_with_one_job_of_a_cold_prefix_and_with_others(ledger, tmp_path, size):
    run = await marked_run(ledger, tmp_path, 6, plain=5)
    admission = await admit(run, size, may_defer=True)
    primes = [one for one in admission.held if one.mark is not None]
    assert len(primes) <= 1
    assert all(one.mark.is_prime for one in primes)
    assert len(admission.held) == min(size, 6)
    rest = await admit(run, 50, may_defer=False)
    assert len(admission.held) + len(rest.held if rest else ()) == 6, "five wait for the answer of the first"
    assert len(jobs.next_in_queue(ledger, run.run_id, 50)) == 5


@pytest.mark.parametrize("mode", ["messages", "batches"])
async def test_what_is_held_for_a_marked_job_is_its_worst_case_at_the_price_of_a_write(
    ledger, tmp_path, mode
):
    run = await marked_run(ledger, tmp_path, 12, mode=mode)
    queue = {one.row_number: one for one in jobs.next_in_queue(ledger, run.run_id, 50)}
    [prime] = (await admit(run, 50, may_defer=True)).held
    life = "1h" if mode == "batches" else "5m"
    assert (prime.mark.ttl, prime.cache_ttl) == (life, life)
    run.caching.measured(prime.mark.key, NO_TOKENS, is_prime=True)
    run.caching.prime_ended(prime.mark.key)
    followers = (await admit(run, 50, may_defer=True)).held
    assert [one.cache_ttl for one in followers] == ["5m"] * 11
    found = {one.row_number: one for one in all_rows(ledger, AttemptRow)}
    for one in (prime, *followers):
        worst = worst_cases(run, queue[one.row_number])
        assert worst["1h"] > worst["5m"] > worst[None]
        assert found[one.row_number].held_nano_usd == worst[one.cache_ttl]
        assert found[one.row_number].worst_case_nano_usd == worst[one.cache_ttl]
        assert one.expects.worst_case == worst[one.cache_ttl]


async def test_a_mark_that_would_take_a_job_over_its_own_limit_is_left_off_and_another_goes_first(
    ledger, tmp_path
):
    run = await marked_run(ledger, tmp_path / "before", run_id="run-0")
    [job, *_] = jobs.next_in_queue(ledger, run.run_id, 1)
    worst = worst_cases(run, job)
    between = (worst[None] + worst["5m"]) // 2
    run = await marked_run(ledger, tmp_path, own={0: {"max_cost": between}, 1: {"max_cost": worst["5m"]}})
    admission = await admit(run, 50, may_defer=True)
    marks = {one.row_number: one.mark for one in admission.held}
    assert marks[0] is None
    assert marks[1].is_prime, "a limit that is just reached is kept"
    assert set(marks) == {0, 1}
    found = {one.row_number: one for one in all_rows(ledger, AttemptRow) if one.run_id == run.run_id}
    assert (found[0].prefix_key, found[0].cache_ttl, found[0].is_prime) == (None, None, None)
    assert found[0].held_nano_usd == worst[None] < between
    await SendQueue(run, 50).drain()


async def test_a_job_that_is_over_its_limit_without_a_mark_too_waits_for_a_person(ledger, tmp_path):
    run = await marked_run(ledger, tmp_path, own={0: {"max_cost": 1}})
    admission = await admit(run, 50, may_defer=True)
    assert rows_of(admission) == [1]
    assert ended(ledger, run.run_id)[0] == "review"


async def test_jobs_that_wait_for_the_first_are_deferred_only_once_nothing_is_in_flight(ledger, tmp_path):
    run = await marked_run(ledger, tmp_path / "before", run_id="run-0")
    [job, *_] = jobs.next_in_queue(ledger, run.run_id, 1)
    enough_for_one = usd_text(worst_cases(run, job)["5m"] + 1)
    run = await marked_run(ledger, tmp_path, run={"budget_usd": enough_for_one})
    assert rows_of(await admit(run, 50, may_defer=True)) == [0]
    assert await admit(run, 50, may_defer=False) is None
    assert set(ended(ledger, run.run_id).values()) == {None}


async def test_without_a_plan_a_shard_is_one_page_of_the_queue(ledger, tmp_path):
    run = await a_run_of(ledger, tmp_path, sharing(6), cache={"mode": "off"})
    await find_prefixes(run)
    admission = await admit(run, 4, may_defer=True)
    assert rows_of(admission) == [0, 1, 2, 3]
    assert {one.mark for one in admission.held} == {None}


async def test_every_job_of_a_night_is_answered_and_all_but_the_first_after_its_answer(ledger, tmp_path):
    run = await marked_run(ledger, tmp_path, 8, plain=4)
    await SendQueue(run, 3).drain()
    assert outcomes(ledger) == ["succeeded"] * 12
    assert sum(map(is_marked, run.gateway.sent)) == 8
    primes = [one for one in all_rows(ledger, AttemptRow) if one.is_prime]
    followers = [one for one in all_rows(ledger, AttemptRow) if one.is_prime is False]
    assert (len(primes), len(followers)) == (1, 7)
    assert all(one.sent_at >= primes[0].ended_at for one in followers)


async def test_a_prefix_whose_first_jobs_bring_no_answer_is_given_up_after_three(ledger, tmp_path):
    class RefusesMarks(Scale):
        async def send(self, body, *, leaving, weight=None, came_back=None):
            reply = await super().send(body, leaving=leaving, weight=weight)
            if is_marked(body):
                raise Refused("HTTP 400 invalid_request_error", explanation="no")
            return reply

    run = await marked_run(ledger, tmp_path, 8, gateway=RefusesMarks())
    await SendQueue(run, 50).drain()
    assert sorted(outcomes(ledger)) == ["rejected"] * 3 + ["succeeded"] * 5
    assert [is_marked(body) for body in run.gateway.sent] == [True] * 3 + [False] * 5


async def test_a_job_that_a_cap_has_room_for_without_its_mark_goes_without_it(ledger, tmp_path):
    run = await marked_run(ledger, tmp_path / "before", run_id="run-0")
    [job, *_] = jobs.next_in_queue(ledger, run.run_id, 1)
    worst = worst_cases(run, job)
    run = await marked_run(ledger, tmp_path, run={"budget_usd": usd_text(worst["5m"] - 1)})
    assert await admit(run, 50, may_defer=False) is not None, "while money is in flight it waits"
    assert all_rows(ledger, AttemptRow) == []
    [one] = (await admit(run, 50, may_defer=True)).held
    assert (one.mark, one.cache_ttl, one.expects.worst_case) == (None, None, worst[None])
    assert run.caching.being_primed == []
    assert set(ended(ledger, run.run_id).values()) == {None}


async def test_a_job_that_a_cap_has_no_room_for_without_its_mark_either_is_deferred(ledger, tmp_path):
    run = await marked_run(ledger, tmp_path / "before", run_id="run-0")
    [job, *_] = jobs.next_in_queue(ledger, run.run_id, 1)
    less = usd_text(worst_cases(run, job)[None] - 1)
    run = await marked_run(ledger, tmp_path, run={"budget_usd": less})
    await SendQueue(run, 50).drain()
    assert set(ended(ledger, run.run_id).values()) == {"deferred"}
    assert run.gateway.sent == []
