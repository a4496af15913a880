"""Packing and submitting: batches within their limits, to the byte; half the price, to the nano; made once at most."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.estimate import estimated
from rules.lesson import LessonKey
from rules.prices import BilledTokens, MostBilled, PriceCard
from schemas.attempt import Admission, HeldAttempt
from schemas.failures import Refused
from schemas.outcome import Mode, Reason
from schemas.payload.payload import Payload
from schemas.policy_sections import BatchLimits
from schemas.shared_prefix import CacheMark, PlannedPrefix, SharedPrefix
from tasks.admit import admit
from tasks.caching import Caching
from tasks.find_prefixes import find_prefixes
from tasks.send_batch import packed, send_batch
from tasks.send_queue import SendQueue
from tasks.shards import SHARD_SIZE
from tests.fake_batches import BatchGateway, assert_budgets_add_up, outcomes
from tests.marked_runs import Scale, a_run_of, is_marked, sharing
from tests.offices import QUICK, fault, office, some_rows
from tests.strategies import request, requests

pytestmark = pytest.mark.one_database

MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")


def held(number, body, model=MODELS[0]):
    payload = Payload.checked(body)
    attempt_id, job_id = f"att_{number:032x}", f"job-{number}"
    return HeldAttempt(
        attempt_id, number, job_id, model, payload.text.decode(), payload.traits, payload.cache_ttl
    )


def of_length(number, length):
    return held(number, request("é" * length))


held_lists = st.one_of(
    st.lists(requests, max_size=12).map(lambda bodies: [held(n, body) for n, body in enumerate(bodies)]),
    st.lists(st.integers(1, 1_500), max_size=30).map(
        lambda lengths: [of_length(n, length) for n, length in enumerate(lengths)]
    ),
)
batch_limits = st.builds(BatchLimits, max_requests=st.integers(1, 9), max_bytes=st.integers(1_000, 6_000))


@given(held_lists, batch_limits)
def test_packing_keeps_every_attempt_once_and_in_order_within_both_limits(attempts, limits):
    packets = [list(body) for body in packed(attempts, limits, Caching())]
    items = [item for packet in packets for item in packet]
    assert [item["custom_id"] for item in items] == [attempt.attempt_id for attempt in attempts]
    for item, attempt in zip(items, attempts, strict=True):
        assert item["params"] == {**json.loads(attempt.payload), "model": attempt.model}
    for packet in packets:
        assert 1 <= len(packet) <= limits.max_requests
        assert len(packet) == 1 or len(orjson.dumps({"requests": packet})) <= limits.max_bytes


@given(held_lists, batch_limits)
def test_no_batch_is_closed_while_the_next_attempt_would_fit(attempts, limits):
    packets = [list(body) for body in packed(attempts, limits, Caching())]
    for packet, following in pairwise(packets):
        more = orjson.dumps({"requests": [*packet, following[0]]})
        assert len(packet) == limits.max_requests or len(more) > limits.max_bytes


@given(
    st.sampled_from(MODELS),
    st.integers(0, 199_999),
    st.integers(1, 64_000),
    st.sampled_from([None, "5m", "1h"]),
)
def test_a_batch_holds_half_of_the_worst_case_rounded_up(model, bound, max_tokens, ttl):
    card = PriceCard(model, datetime(2026, 11, 23, tzinfo=UTC))
    most = MostBilled(bound, max_tokens, ttl)
    full = card.worst_case(most)
    assert card.worst_case(most, batch=True) == -(-full // 2)
    tokens = BilledTokens(bound, max_tokens, 3, 5, 7)
    assert card.price(tokens, batch=True) == -(-card.price(tokens) // 2)


def shared_prefix(ttl):
    """A system prompt that is cached for a lifetime, other than that of another lifetime."""
    return [
        {
            "type": "text",
            "text": f"shared {ttl} " * 3_000,
            "cache_control": {"type": "ephemeral", "ttl": ttl},
        }
    ]


def heavy_rows():
    """Rows of every model, with prompt caching, above a price cliff, and with odd numbers of tokens."""
    rows = some_rows(20)
    rows += [
        {
            "job_id": f"cached-{ttl}-{n}",
            "messages": json.dumps([{"role": "user", "content": f"question {n}"}]),
            "system": json.dumps(shared_prefix(ttl)),
            "max_tokens": 33,
        }
        for ttl in ("5m", "1h")
        for n in range(3)
    ]
    rows += [row | {"job_id": f"pinned-{row['job_id']}", "model": MODELS[2]} for row in some_rows(5)]
    rows += [{"job_id": "cliff", "prompt": "word " * 110_000, "max_tokens": 7, "model": MODELS[0]}]
    return rows


async def test_holds_and_bills_are_half_and_the_bill_is_the_providers_to_the_nano(tmp_path):
    async with office(tmp_path) as desk:
        run = await desk.begin(
            heavy_rows(),
            request={"max_input_tokens": 200_000, "max_cost_usd": "5"},
            routes=[{"name": "all", "model": MODELS[0], "up_to_input_tokens": 200_000}],
        )
        admission = await admit(run, SHARD_SIZE, may_defer=True)
        weighed = {row.row_number: row for row in desk.jobs()}
        assert len(admission.held) == len(weighed) == 32
        for attempt in desk.attempts():
            card = run.models.price_card(attempt.model, NOW)
            ttl = weighed[attempt.row_number].cache_ttl
            full = card.worst_case(MostBilled(attempt.input_bound, attempt.max_tokens, ttl))
            assert attempt.held_nano_usd == attempt.worst_case_nano_usd == -(-full // 2)
            half = card.price(BilledTokens(attempt.input_tokens, max(1, attempt.max_tokens // 4)), batch=True)
            assert attempt.expected_nano_usd == half
        # The items of one batch do not read what they write; a batch that has ended before is read.
        desk.prime(MODELS[0], shared_prefix("1h"))
        await send_batch(run, admission)
        assert desk.outcomes() == {"succeeded": 32}
        desk.assert_books_agree()
        billed = {line["custom_id"]: line["usage"] for line in desk.simulator.billed()}
        kinds = Counter()
        for attempt in desk.attempts():
            usage = billed[attempt.attempt_id]
            kinds["written"] += bool(usage["cache_creation_input_tokens"])
            kinds["read"] += bool(usage["cache_read_input_tokens"])
            kinds["cliff"] += attempt.actual_input_tokens > 100_000
        assert all(kinds[name] for name in ("written", "read", "cliff"))


async def test_one_batch_has_jobs_of_every_model(tmp_path):
    rows = [row | {"model": MODELS[n % 3]} for n, row in enumerate(some_rows(9))]
    async with office(tmp_path) as desk:
        run = await desk.begin(rows)
        assert await send_batch(run, await admit(run, SHARD_SIZE, may_defer=True)) == 1
        assert desk.made() == 1
        assert {line["model"] for line in desk.simulator.billed()} == set(MODELS)
        desk.assert_books_agree()


async def test_the_estimate_of_a_run_in_messages_mode_is_the_full_price(tmp_path):
    async with office(tmp_path) as desk:
        run = await desk.begin(some_rows(3))
        full_price = run.policy.model_copy(update={"mode": Mode.MESSAGES})
        for job in desk.queue(run):
            card = run.models.price_card(job.model, NOW)
            full, half = (
                estimated(job, rules, [card], run.scale.lesson_of(LessonKey.of(job.model, job.traits)))
                for rules in (full_price, run.policy)
            )
            assert (half.worst_case, half.expected) == (-(-full.worst_case // 2), -(-full.expected // 2))


#: any day whose prices are known
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOT_MADE = {
    "refused": ({"kind": "status", "status": 400}, "failed", Reason.REFUSED_BY_API, None),
    "too large": ({"kind": "status", "status": 413}, "failed", Reason.REFUSED_BY_API, None),
    "overloaded": ({"kind": "status", "status": 529, "retry_after": 0}, "failed", Reason.API_UNAVAILABLE, None),
    "spend cap": ({"kind": "spend_cap"}, "deferred", Reason.PROVIDER_SPEND_LIMIT, Reason.PROVIDER_SPEND_LIMIT),
    "no money": (
        {"kind": "status", "status": 402}, "deferred", Reason.PROVIDER_SPEND_LIMIT, Reason.PROVIDER_SPEND_LIMIT
    ),
    "no key": ({"kind": "status", "status": 401}, "deferred", Reason.ACCESS_DENIED, Reason.ACCESS_DENIED),
}  # fmt: skip


@pytest.mark.parametrize(
    "why",
    [
        why if why in ("refused", "spend cap") else pytest.param(why, marks=pytest.mark.slow)
        for why in NOT_MADE
    ],
)
async def test_a_batch_that_is_surely_not_made_costs_nothing_and_holds_nothing(tmp_path, why):
    wrong, outcome, reason, stops = NOT_MADE[why]
    plan = QUICK + fault("batches_create", every_nth=1, **wrong)
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(4), batch={"max_requests": 2}, limits={"tries": 4})
        first = await admit(run, SHARD_SIZE, may_defer=True)
        assert await send_batch(run, first) == 0
        assert run.halt.reason == stops
        second = await admit(run, SHARD_SIZE, may_defer=True)
        assert await send_batch(run, second or Admission()) == 0
        assert desk.made() == 0
        assert {row.reason for row in desk.jobs()} == {reason}
        assert desk.outcomes() == {outcome: 4}
        assert desk.batch_states() == {"absent": 1 if stops else 2}
        desk.assert_books_agree()
        creates = desk.simulator.stats()["received"]["batches_create"]
        assert creates == (1 if stops else 8 if why == "overloaded" else 2)


async def test_a_spend_cap_withholds_the_batches_after_it(tmp_path):
    plan = QUICK + fault("batches_create", "spend_cap", first_n=1)
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(6))
        admission = await admit(run, SHARD_SIZE, may_defer=True)
        small = run.policy.model_copy(update={"batch": BatchLimits(max_requests=2)})
        run = replace(run, scale=replace(run.scale, policy=small))
        assert await send_batch(run, admission) == 0
        assert desk.simulator.stats()["received"]["batches_create"] == 1
        assert desk.outcomes() == {"deferred": 6}
        desk.assert_books_agree()


@pytest.mark.parametrize(
    "kind",
    ["cut_after", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("cut_before", "malformed_body"))],
)
async def test_a_create_without_an_answer_is_never_repeated_blindly(tmp_path, kind):
    plan = QUICK + fault("batches_create", kind, first_n=1)
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(4))
        [batch] = await desk.submit_all(run)
        assert batch.provider_batch_id is None
        assert desk.simulator.stats()["received"]["batches_create"] == 1
        assert desk.batch_states() == {"prepared": 1}
        attempts = desk.attempts()
        assert {attempt.state for attempt in attempts} == {"open"}
        assert all(attempt.held_nano_usd == attempt.worst_case_nano_usd for attempt in attempts)
        assert await admit(run, SHARD_SIZE, may_defer=True) is None


async def test_a_batch_is_on_record_with_its_attempts_before_it_is_created(tmp_path):
    plan = QUICK + fault("batches_create", "hang", seconds=1, every_nth=1)
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(3))
        sending = asyncio.create_task(send_batch(run, await admit(run, SHARD_SIZE, may_defer=True)))
        await desk.until(lambda: desk.made() or sending.done())
        assert desk.batch_states() == {"prepared": 1}
        assert all(attempt.sent_at and attempt.batch_id for attempt in desk.attempts())
        await sending
        desk.assert_books_agree()


async def test_a_batch_fills_up_to_the_money_and_the_rest_is_deferred(tmp_path):
    async with office(tmp_path) as desk:
        probe = await desk.begin(some_rows(1), "probe")
        [job] = desk.queue(probe)
        lesson = probe.scale.lesson_of(LessonKey.of(job.model, job.traits))
        worst = estimated(job, probe.policy, [probe.models.price_card(job.model, NOW)], lesson).worst_case
        budget = Decimal(worst * 3 + worst // 2) / 10**9
        run = await desk.begin(some_rows(8), "run-1", run={"budget_usd": str(budget)})
        admission = await admit(run, SHARD_SIZE, may_defer=True)
        assert len(admission.held) == 3
        assert admission.short or admission.deferred == 5
        await send_batch(run, admission)
        assert sum(line["cost_nano_usd"] for line in desk.simulator.billed()) <= int(budget * 10**9)


def with_marks(attempts, kinds):
    """The attempts, some of them marked for one prefix: True for its first job."""
    marks = {
        None: None,
        True: CacheMark("k", "messages/0/0", "1h", True, 600),
        False: CacheMark("k", "messages/0/0", "5m", False, 600),
    }
    return [replace(one, mark=marks[kind]) for one, kind in zip(attempts, kinds, strict=False)]


def following(attempts):
    """What marks the attempts, while a run sends."""
    caching = Caching()
    [prefix] = {one.mark.key for one in attempts if one.mark} or {"k"}
    shared = SharedPrefix(prefix, MODELS[0], "messages/0/0", 600, 9)
    caching.follow([PlannedPrefix(shared, "1h", "5m", 1, 2)], {})
    return caching


@given(
    st.lists(st.integers(1, 1_500), max_size=30),
    st.lists(st.sampled_from([None, True, False]), min_size=30, max_size=30),
    batch_limits,
)
def test_first_jobs_of_prefixes_and_all_others_are_in_batches_apart_within_both_limits(
    lengths, kinds, limits
):
    attempts = with_marks([of_length(n, length) for n, length in enumerate(lengths)], kinds)
    caching = following(attempts)
    packets = [(list(body), body.size) for body in packed(attempts, limits, caching)]
    assert [item["custom_id"] for packet, _ in packets for item in packet] == [
        one.attempt_id for one in attempts
    ]
    first = {one.attempt_id for one in attempts if one.mark and one.mark.is_prime}
    bodies = {one.attempt_id: caching.body_of(one) for one in attempts}
    for packet, size in packets:
        assert len({item["custom_id"] in first for item in packet}) == 1
        assert all(item["params"] == bodies[item["custom_id"]] for item in packet)
        assert size == len(orjson.dumps({"requests": packet}))
        assert len(packet) <= limits.max_requests
        assert len(packet) == 1 or size <= limits.max_bytes
    for (packet, _), (after, _) in pairwise(packets):
        more = orjson.dumps({"requests": [*packet, after[0]]})
        apart = (packet[0]["custom_id"] in first) != (after[0]["custom_id"] in first)
        assert apart or len(packet) == limits.max_requests or len(more) > limits.max_bytes


class BatchScale(Scale, BatchGateway):
    """Batches that end at once, of requests that are weighed whole."""


async def batch_run(ledger, folder, gateway, plain=3):
    bodies = sharing(12) + [request(f"alone {row}") for row in range(plain)]
    batch = {"poll_seconds": "0.01", "absent_after_seconds": "60"}
    run = await a_run_of(ledger, folder, bodies, gateway, mode="batches", batch=batch)
    assert await find_prefixes(run) == 1
    return run


async def test_the_first_job_of_a_prefix_goes_alone_and_the_others_once_its_batch_has_ended(ledger, tmp_path):
    gateway = BatchScale()
    run = await batch_run(ledger, tmp_path, gateway)
    admission = await admit(run, SHARD_SIZE, may_defer=True)
    [key] = run.caching.being_primed
    assert await send_batch(run, admission) == 2
    assert [len(items) for items in gateway.made.values()] == [1, 3], "the first jobs go before the others"
    [first] = gateway.made["msgbatch_0"].values()
    assert first["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert run.caching.being_primed == []
    rest = await admit(run, SHARD_SIZE, may_defer=True)
    assert {one.mark for one in rest.held} == {
        CacheMark(key, "system/0", "5m", False, rest.held[0].mark.tokens)
    }
    assert await send_batch(run, rest) == 1
    assert outcomes(ledger) == ["succeeded"] * 15
    assert_budgets_add_up(ledger)


async def test_a_batch_of_first_jobs_that_is_not_made_keeps_no_job_waiting(ledger, tmp_path):
    gateway = BatchScale()
    gateway.fail["create"] = [Refused("HTTP 400", explanation="no") for _ in range(3)]
    run = await batch_run(ledger, tmp_path, gateway, plain=0)
    await SendQueue(run, SHARD_SIZE).drain()
    assert Counter(outcomes(ledger)) == {"failed": 3, "succeeded": 9}
    *_, sent = gateway.made.values()
    assert len(gateway.made) == 4
    assert len(sent) == 9
    assert not any(is_marked(body) for body in sent.values())
    assert_budgets_add_up(ledger)
