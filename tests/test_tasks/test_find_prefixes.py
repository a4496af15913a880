"""Finding what jobs begin with alike: who is marked, by which weight, and what the marks then save."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from rules.cache_plan import DOCUMENTED_HITS
from schemas.failures import Refused
from schemas.ledger import JobRow
from schemas.outcome import Mode, Reason
from schemas.payload.prefix import cuts_of, up_to
from schemas.saving_tables import CachePrefixRow
from services.ledger import prefixes
from simulator.billing.catalogue import find_model
from simulator.billing.counting import count_tokens
from tasks.find_prefixes import cache_terms, find_prefixes
from tasks.read_jobs import read_jobs
from tasks.send_queue import SendQueue
from tests.fake_batches import all_rows
from tests.marked_runs import AUTO, LONG, MODEL, Scale, a_run_of, is_marked, sharing, weight
from tests.nights import Rows, a_run_on_record, weigh
from tests.offices import QUICK, office
from tests.strategies import examples, quick_ledger, request

pytestmark = pytest.mark.one_database

MARKER = {"cache_control": {"type": "ephemeral"}}
TOOLS = [{"name": "look_up", "description": "facts " * 600, "input_schema": {"type": "object"}}]


def keys(ledger, run_id="run-1"):
    found = select(JobRow.prefix_key).where(JobRow.run_id == run_id).order_by(JobRow.row_number)
    with ledger.read() as connection:
        return list(connection.scalars(found))


async def test_a_shared_system_prompt_is_found_counted_and_written_down_with_its_jobs(ledger, tmp_path):
    bodies = [*sharing(4), request("alone", system="other " * 2_000)]
    run = await a_run_of(ledger, tmp_path, bodies)
    assert await find_prefixes(run) == 1
    assert run.caching.has_plan
    [row] = all_rows(ledger, CachePrefixRow)
    [counted] = run.gateway.counted
    assert counted == {"model": MODEL, "system": [{"type": "text", "text": LONG}], "messages": [{"role": "user", "content": "."}]}  # fmt: skip
    assert (row.ends_at, row.model, row.jobs, row.input_tokens) == ("system/0", MODEL, 4, weight(counted))
    assert keys(ledger) == [*[row.prefix_key] * 4, None]
    assert 0 < row.low_nano_usd < row.high_nano_usd


async def test_by_default_nothing_is_looked_for(ledger, tmp_path):
    run = await a_run_of(ledger, tmp_path, sharing(4), cache={})
    assert run.policy.cache.mode == "off"
    assert await find_prefixes(run) == 0
    assert (keys(ledger), run.gateway.counted, run.caching.has_plan) == ([None] * 4, [], False)


async def test_a_run_that_was_stopped_looks_for_nothing(ledger, tmp_path):
    run = await a_run_of(ledger, tmp_path, sharing(4))
    run.halt.stop(Reason.INTERRUPTED)
    assert await find_prefixes(run) == 0
    assert run.gateway.counted == []


async def test_the_next_run_knows_the_weight_and_counts_nothing(ledger, tmp_path):
    await find_prefixes(await a_run_of(ledger, tmp_path, sharing(4)))
    others = [request(f"tomorrow {row}", system=LONG, max_tokens=7) for row in range(5)]
    run = await a_run_of(ledger, tmp_path, others, run_id="run-2")
    assert await find_prefixes(run) == 1
    assert run.gateway.counted == []
    assert len({row.input_tokens for row in all_rows(ledger, CachePrefixRow)}) == 1


async def test_what_cannot_be_counted_is_not_marked(ledger, tmp_path):
    class Refusing(Scale):
        async def count(self, body, *, leaving=lambda: None):
            raise Refused("HTTP 400 invalid_request_error", explanation="no")

    run = await a_run_of(ledger, tmp_path, sharing(4), Refusing())
    assert await find_prefixes(run) == 0
    assert keys(ledger) == [None] * 4
    assert all_rows(ledger, CachePrefixRow) == []
    await SendQueue(run, 9).drain()
    assert not any(is_marked(body) for body in run.gateway.sent)


async def test_what_counts_for_less_than_the_model_caches_is_not_marked(ledger, tmp_path):
    class Light(Scale):
        async def count(self, body, *, leaving=lambda: None):
            await super().count(body, leaving=leaving)
            return 511

    run = await a_run_of(ledger, tmp_path, sharing(4), Light())
    assert await find_prefixes(run) == 0
    assert len(run.gateway.counted) == 1
    assert keys(ledger) == [None] * 4


async def test_jobs_that_think_within_a_budget_share_a_prefix_like_any_others(ledger, tmp_path):
    thinking = {"type": "enabled", "budget_tokens": 1_024}
    run = await a_run_of(ledger, tmp_path, sharing(4, thinking=thinking, max_tokens=2_000))
    assert await find_prefixes(run) == 1


@pytest.mark.parametrize("letters", ["rules ", "правила ", "規則です"])
async def test_what_is_surely_too_short_is_not_even_counted_whatever_its_letters(ledger, tmp_path, letters):
    short = letters * (1_800 // len(letters.encode()))  # 450 tokens
    run = await a_run_of(ledger, tmp_path, sharing(4, system=short))
    assert await find_prefixes(run) == 0
    assert run.gateway.counted == []


def drawn_body(row, kind, own):
    """A request of a kind; `own`: with a marker of its own."""
    systems = {"a": LONG, "b": "b" * 6_000, "short": "short", "none": None}
    more = {"tools": TOOLS} if row % 2 else {}
    if (system := systems[kind]) is not None:
        more["system"] = [{"type": "text", "text": system}]
        if own:
            more["system"][0] |= MARKER
    elif own:
        more |= MARKER
    return request(f"question {row % 7} " + "x" * (row % 3) * 3_000, **more)


@settings(max_examples=examples(20))
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "a", "b", "short", "none"]), st.booleans() | st.just(False)),
        max_size=25,
    ),
    st.sampled_from(list(Mode)),
)
async def test_a_job_is_marked_for_one_beginning_of_its_own_at_most_and_never_besides_its_own_markers(
    tmp_path_factory, kinds, mode
):
    folder = tmp_path_factory.mktemp("night")
    ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
    bodies = [drawn_body(row, kind, own) for row, (kind, own) in enumerate(kinds)]
    run = await a_run_of(ledger, folder, bodies, mode=mode.value)
    found = await find_prefixes(run)
    planned = {row.prefix_key: row for row in all_rows(ledger, CachePrefixRow)}
    assert len(planned) == found
    assigned = Counter(key for key in keys(ledger) if key is not None)
    assert {key: row.jobs for key, row in planned.items()} == assigned
    for body, key, (_, own) in zip(bodies, keys(ledger), kinds, strict=True):
        if key is None:
            continue
        assert not own
        [cut] = [cut for cut in cuts_of(body, MODEL) if cut.digest == key]
        assert cut.where == planned[key].ends_at
        assert planned[key].input_tokens == weight(up_to(body, cut.where))
    assert all(row.jobs > 1 and row.low_nano_usd > 0 for row in planned.values())
    ledger.close()


async def test_a_model_without_a_price_or_a_shortest_prefix_has_no_terms(ledger, tmp_path):
    run = await a_run_of(ledger, tmp_path, [])
    terms = cache_terms(run.scale, ledger, run.reference.started_at)
    assert MODEL in terms.rates
    assert "claude-of-no-price" not in terms.rates
    assert set(terms.rates) == set(terms.hits) == set(terms.shortest)
    assert set(terms.hits.values()) == {DOCUMENTED_HITS}


def rows_of(number):
    return [
        {
            "job_id": f"job-{row}",
            "prompt": f"question {row} " + "and " * 200,
            "system": LONG,
            "max_tokens": 20,
        }
        for row in range(number)
    ]


@pytest.mark.parametrize("mode", ["batches", pytest.param("messages", marks=pytest.mark.slow)])
async def test_a_night_writes_a_shared_prefix_once_and_reads_it_ever_after_and_its_bills_are_right(
    tmp_path, mode
):
    async with office(tmp_path, QUICK) as desk:
        batch = {"poll_seconds": "0.05", "absent_after_seconds": 1}
        run = await a_run_on_record(
            desk.ledger, desk.gateway, desk.folder, mode=mode, batch=batch, limits={"tries": 4}, cache=AUTO
        )
        await read_jobs(run, Rows(rows_of(12)), None)
        await weigh(run, 1_000)
        assert await find_prefixes(run) == 1
        await SendQueue(run, 5).drain()
        [sums] = prefixes.sums(desk.ledger, run.run_id)
        model = find_model(sums.prefix.model)
        alone = {"system": [{"type": "text", "text": LONG}], "messages": [{"role": "user", "content": "."}]}
        assert sums.prefix.tokens == count_tokens(alone, model)
        tokens = count_tokens({**alone, "messages": []}, model)
        assert (sums.jobs, sums.batch, sums.written) == (12, mode == "batches", tokens)
        assert sums.written_1h == (tokens if mode == "batches" else 0)
        assert sums.read == sums.follower_read == sums.follower_tokens == 11 * tokens
        attempts = desk.attempts()
        assert {one.prefix_key for one in attempts} == {sums.prefix.key}
        assert [one.is_prime for one in attempts].count(True) == 1
        assert sum(one.actual_nano_usd for one in attempts) == sum(
            line["cost_nano_usd"] for line in desk.simulator.billed()
        )
        assert all(one.actual_nano_usd <= one.worst_case_nano_usd for one in attempts)
        desk.assert_books_agree_so_far()
        if mode == "batches":
            assert sorted(Counter(one.batch_id for one in attempts).values()) == [1, 11]
