"""What caching costs at worst: over any file, any share of hits and any kill, the primes' writes and what was in flight."""

import asyncio
import contextlib
import random
import tempfile
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from rules.cache_plan import FEWEST_FOLLOWERS
from schemas.ledger import AttemptRow
from schemas.money import NanoUsd, usd_text
from simulator.billing.billed_usage import SHARES_PER_NANO_USD
from tasks import caching
from tests.cached_bills import (
    OWN,
    CacheBiller,
    CachedNights,
    CachingProvider,
    assert_bounded,
    batch_of,
    name_of,
)
from tests.dealt_runs import MODELS, RATES, all_runs
from tests.fake_batches import all_rows
from tests.nights import ended
from tests.strategies import examples, quick_ledger, request

MARKER = {"cache_control": {"type": "ephemeral"}}


def system_of(number, tokens):
    return [{"type": "text", "text": f"{number} rule " + "abc " * tokens}]


@st.composite
def files(draw, most=60):
    """Model and request of each job: beginnings that are shared, jobs alone, and jobs with markers of their own."""
    made = []
    for number in range(draw(st.integers(1, 3))):
        model = draw(st.sampled_from(MODELS))
        system = system_of(number, draw(st.integers(400, 1_500)))
        if draw(st.booleans()):
            # a beginning within others
            system = system_of("all", 600) + system
        marked = [*system[:-1], {**system[-1], **MARKER}]
        made += [(model, system, "shared")] * draw(st.integers(1, most))
        made += [(model, marked, OWN)] * draw(st.sampled_from([0, 0, 1, 3]))
    made += [(draw(st.sampled_from(MODELS)), None, "alone")] * draw(st.integers(0, 5))
    random.Random(draw(st.integers(0, 99))).shuffle(made)
    return [
        (model, request(f"{kind} {row}", **({} if system is None else {"system": system})))
        for row, (model, system, kind) in enumerate(made)
    ]


#: most stop marks only where fewer hit than pay
hit_rates = st.integers(0, 98) | st.integers(0, 25)
seeds = st.integers(0, 999)


@pytest.mark.parametrize("mode", ["messages", pytest.param("batches", marks=pytest.mark.slow)])
@settings(max_examples=examples(150))
@given(files(), hit_rates, seeds, st.integers(1, 8), st.lists(st.integers(0, 120), max_size=2))
def test_the_bill_is_at_most_that_without_marks_what_first_jobs_wrote_and_what_missed_before_the_stop(
    mode, bodies, hits, seed, slots, kills
):
    biller = CacheBiller(hits, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caching, "time", SimpleNamespace(monotonic=lambda: biller.seconds))
        primes, all_seen = all_runs(bodies, biller, random.Random(seed), kills, slots, mode)
    assert_bounded(biller.lines, primes, all_seen, RATES)
    assert_own_markers_stay(biller, bodies)
    event(f"runs: {len(all_seen)}, stopped: {sum(bool(one.stopped) for one in all_seen)}")
    event(f"marked: {any(line.is_marked for line in biller.lines)}")


def assert_own_markers_stay(biller, bodies):
    asked = {name_of(body): {"model": model, **body} for model, body in bodies}
    assert all(body == asked[name] for name, body in biller.own.items())


@contextlib.contextmanager
def nights_of(bodies, biller, slots, **changes):
    """Runs over a ledger of their own."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        try:
            yield CachedNights(ledger, folder, bodies, CachingProvider(biller, slots), changes)
        finally:
            ledger.close()


@pytest.mark.parametrize("mode", ["messages", pytest.param("batches", marks=pytest.mark.slow)])
@settings(max_examples=examples(6))
@given(files(30), hit_rates, seeds, st.integers(1, 8), st.lists(st.integers(0, 40), max_size=2))
def test_so_it_is_with_the_ledger_and_the_queue_and_every_job_that_was_not_in_flight_is_answered(
    mode, bodies, hits, seed, slots, kills
):
    biller = CacheBiller(hits, seed)

    async def all_nights(nights):
        for calls in kills:
            if await nights.night(calls):
                return
        assert await nights.night()

    with nights_of(bodies, biller, slots, **batch_of(mode)) as nights:
        asyncio.run(all_nights(nights))
        assert_bounded(biller.lines, nights.primes(), nights.seen, RATES)
        outcomes = Counter(ended(nights.ledger, nights.run.run_id).values())
    assert_own_markers_stay(biller, bodies)
    # a message that was in flight at a kill waits for a person, marked or not; a batch is found again
    may_wait = slots * (len(nights.seen) - 1) if mode == "messages" else 0
    assert outcomes["succeeded"] >= len(bodies) - may_wait
    assert set(outcomes) <= {"succeeded", "unknown"}


async def test_what_waits_for_its_turn_leaves_without_the_mark_that_has_ended_meanwhile(tmp_path):
    bodies = [("claude-sonnet-5-5", request(f"shared {row}", system=system_of(0, 600))) for row in range(60)]
    biller = CacheBiller(hits=0)
    with nights_of(bodies, biller, slots=4, mode="messages") as nights:
        assert await nights.night(size=60)
    marked = [line.is_marked for line in biller.lines]
    # the first one, those that the rule waits for, and those in flight then
    assert 1 + FEWEST_FOLLOWERS <= sum(marked) <= 1 + FEWEST_FOLLOWERS + 3
    assert marked == sorted(marked, reverse=True)


@pytest.mark.parametrize("mode", [pytest.param("messages", marks=pytest.mark.slow), "batches"])
@settings(max_examples=examples(4))
@given(files(20), hit_rates, seeds)
def test_a_cap_with_room_for_the_bill_and_the_last_job_unmarked_defers_none(mode, bodies, hits, seed):
    changes = batch_of(mode)
    plain, free = CacheBiller(hits, seed), CacheBiller(hits, seed)
    with nights_of(bodies, plain, 1, cache={"mode": "off"}, **changes) as nights:
        assert asyncio.run(nights.night())
        last = max(row.worst_case_nano_usd for row in all_rows(nights.ledger, AttemptRow))
    with nights_of(bodies, free, 1, **changes) as nights:
        assert asyncio.run(nights.night())
        primes = nights.primes()
    first = -(-sum(line.surplus for line in free.lines if line.name in primes) // SHARES_PER_NANO_USD)
    most = max(sum(line.cost for line in biller.lines) for biller in (plain, free))
    budget = {"budget_usd": usd_text(NanoUsd(most + first + last))}
    with nights_of(bodies, CacheBiller(hits, seed), 1, run=budget, **changes) as nights:
        assert asyncio.run(nights.night())
        assert set(ended(nights.ledger, nights.run.run_id).values()) == {"succeeded"}
