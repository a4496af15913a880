"""When answers are due: batches are stopped, what they answered costs half, and the rest goes out once, at full price,
under every cap and on the deadline's own money. The simulator's log is the witness."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import select

from schemas.errors import RunFailed
from schemas.ledger import BatchRow, BudgetRow
from schemas.money import to_nano, usd_text
from schemas.outcome import Reason
from schemas.policy_sections import BatchLimits
from schemas.run import Deadline
from services.ledger import runs
from services.ledger.journal import Journal
from services.ledger.verify import verify
from tasks.admit import admit
from tasks.collect import collect
from tasks.run import Bell
from tasks.send_queue import SendQueue
from tasks.shards import SHARD_SIZE
from tasks.stop_batch import stop_batch
from tasks.watch_batch import watch
from tests.fake_batches import BatchGateway, begun, only_batch, submitted_all
from tests.offices import QUICK, office, some_rows
from tests.processes import SECONDS
from tests.strategies import abandon

ENDLESS = "[batches]\nprocessing_seconds = 3600\ncancel_seconds = 0.3\n"
SOME_ANSWERED = ENDLESS + "cancel_completes_probability = 0.4\n"
NONE_ANSWERED = ENDLESS + "cancel_completes_probability = 0.0\n"
ROWS = 12
SMALL = {"max_requests": 4, "deadline": "06:30", "deadline_budget_usd": "5"}


AHEAD = timedelta(minutes=10)


class Clock:
    """The clock of a run. A test puts it forward when enough has happened, however long that took."""

    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.ahead


def by_a_clock(run, lead=1_800.0):
    """The run, whose answers are at risk once its clock is put forward by `AHEAD`, and due `lead` seconds later."""
    clock = Clock()
    moment = clock() + AHEAD
    deadline = Deadline(moment + timedelta(seconds=lead), moment)
    scale = replace(run.scale, clock=clock)
    journal = Journal(run.ledger, run.reference.key, partial(scale.today, run.run_id))
    reference = replace(run.reference, deadline=deadline)
    return replace(run, reference=reference, bell=Bell(deadline), scale=scale, journal=journal), clock


def at_once(_desk):
    return True


def never(_desk):
    return False


def made(number):
    """Once the provider has taken this many batches."""
    return lambda desk: desk.made() == number


ALL_MADE = made(3)


def watched(desk):
    """Once each of three batches has been looked at."""
    return desk.simulator.stats()["received"]["batches_retrieve"] >= 3


async def worst_at_full_price(desk, row):
    """The worst case of a job in Messages mode, nano-USD."""
    run = await desk.begin([row], "run-0")
    [job] = desk.queue(run)
    return run.scale.at_full_price().estimate(job).worst_case


async def night(desk, run_id="run-1", *, rows=None, at_risk=ALL_MADE, lead=1_800.0, **changes):
    """A run whose answers are at risk once that is so; the run at its end."""
    rows = some_rows(ROWS) if rows is None else rows
    run = await desk.begin(rows, run_id, batch=SMALL | changes.pop("batch", {}), **changes)
    run, clock = by_a_clock(run, lead)
    if at_risk is at_once:
        clock.ahead = AHEAD
    queue = asyncio.create_task(SendQueue(run, SHARD_SIZE).drain())
    if at_risk is not never:
        await desk.until(lambda: queue.done() or at_risk(desk))
        clock.ahead = AHEAD
    async with asyncio.timeout(SECONDS):
        await queue
    return run


def assert_paid_once(desk):
    """Each payload at most once, each bill in the books, each window the sum of its attempts."""
    billed = desk.simulator.billed()
    assert set(Counter(line["payload_sha256"] for line in billed).values()) <= {1}
    paid = {
        row.attempt_id if row.batch_id else row.request_id: row
        for row in desk.attempts()
        if row.actual_nano_usd
    }
    lines = {line.get("custom_id", line["request_id"]): line for line in billed}
    assert lines.keys() == paid.keys()
    for key, line in lines.items():
        assert paid[key].actual_nano_usd == line["cost_nano_usd"] <= paid[key].worst_case_nano_usd
        assert (paid[key].deadline is not None) == (line["endpoint"] == "messages")
    assert not [row for row in desk.attempts() if row.state == "open" or row.held_nano_usd]
    assert [check for check in verify(desk.ledger).checks if not check.ok and check.name != "results"] == []
    return billed


def window(desk, run):
    period = run.reference.deadline.period
    [row] = desk.all(
        select(BudgetRow.__table__).where(BudgetRow.scope == "deadline", BudgetRow.period == period)
    )
    return row


async def test_what_a_stopped_batch_answered_costs_half_and_the_rest_goes_out_once_at_full_price(tmp_path):
    async with office(tmp_path, SOME_ANSWERED) as desk:
        run = await night(desk)
        billed = assert_paid_once(desk)
        by_endpoint = Counter(line["endpoint"] for line in billed)
        assert by_endpoint["batches"] == desk.simulator.stats()["batch_items"]["succeeded"] > 0
        assert by_endpoint["messages"] == desk.simulator.stats()["batch_items"]["canceled"] > 0
        assert desk.outcomes() == {"succeeded": ROWS}
        full = sum(line["cost_nano_usd"] for line in billed if line["endpoint"] == "messages")
        assert (window(desk, run).settled_nano_usd, window(desk, run).held_nano_usd) == (full, 0)
        assert window(desk, run).cap_nano_usd == to_nano(run.policy.batch.deadline_budget_usd)
        assert all(desk.all(select(BatchRow.cancel_asked_at)))


async def test_batches_that_end_in_time_are_not_stopped_and_nothing_goes_out_at_full_price(tmp_path):
    async with office(tmp_path, QUICK) as desk:
        await night(desk, at_risk=never)
        billed = assert_paid_once(desk)
        assert {line["endpoint"] for line in billed} == {"batches"}
        assert desk.outcomes() == {"succeeded": ROWS}
        assert desk.simulator.stats()["received"].get("batches_cancel", 0) == 0


async def test_a_run_that_begins_when_its_answers_are_due_makes_no_batch(tmp_path):
    async with office(tmp_path, ENDLESS) as desk:
        await night(desk, at_risk=at_once)
        billed = assert_paid_once(desk)
        assert {line["endpoint"] for line in billed} == {"messages"}
        assert (desk.made(), desk.outcomes()) == (0, {"succeeded": ROWS})


async def test_what_is_still_queued_goes_out_in_messages_mode_too(tmp_path):
    async with office(tmp_path, NONE_ANSWERED) as desk:
        await night(desk, at_risk=made(1), batch={"max_queued_requests": 4})
        billed = assert_paid_once(desk)
        assert (desk.made(), len(billed), desk.outcomes()) == (1, ROWS, {"succeeded": ROWS})


@pytest.mark.parametrize(
    "cap", ["deadline", *(pytest.param(cap, marks=pytest.mark.slow) for cap in ("run", "day"))]
)
async def test_what_does_not_fit_is_deferred_for_the_cap_that_it_does_not_fit_under(tmp_path, cap):
    rows = [row | {"prompt": f"{row['job_id']} [[output_tokens=50]]"} for row in some_rows(ROWS)]
    async with office(tmp_path, NONE_ANSWERED) as desk:
        dear = await worst_at_full_price(desk, rows[0])
        usd = usd_text(5 * dear)
        changes = {"batch": {"deadline_budget_usd": usd}} if cap == "deadline" else {cap: {"budget_usd": usd}}
        run = await night(desk, rows=rows, **changes)
        billed = assert_paid_once(desk)
        assert 5 <= len(billed) < ROWS
        assert sum(line["cost_nano_usd"] for line in billed) <= 5 * dear
        deferred = [row for row in desk.jobs() if row.outcome == "deferred"]
        assert len(deferred) == ROWS - len(billed)
        assert {row.reason for row in deferred} == {f"{cap}_budget"}
        assert all(f"of the {cap} budget of {usd} USD" in row.detail for row in deferred)
        assert window(desk, run).held_nano_usd == 0


async def test_a_job_whose_full_price_is_over_its_own_limit_waits_for_a_person(tmp_path):
    async with office(tmp_path, NONE_ANSWERED) as desk:
        rows = some_rows(4)
        # between its price in a batch, which is half, and in Messages mode
        limit = usd_text(await worst_at_full_price(desk, rows[1]) * 3 // 4)
        rows = [rows[0], *({**row, "max_cost_usd": limit} for row in rows[1:])]
        await night(desk, rows=rows, at_risk=made(1))
        assert desk.outcomes() == {"succeeded": 1, "review": 3}
        assert {row.reason for row in desk.jobs() if row.outcome == "review"} == {"over_cost_limit"}
        assert len(desk.simulator.billed()) == 1


async def test_items_that_expire_when_answers_are_due_go_out_again_too(tmp_path):
    plan = "[batches]\nprocessing_seconds = 0.2\nexpired_probability = 0.5\n"
    async with office(tmp_path, plan) as desk:
        # the batch ends by itself, after the moment and before anybody can stop it
        run = await desk.begin(some_rows(ROWS), batch=SMALL | {"max_requests": ROWS, "poll_seconds": "2"})
        await desk.submit_all(run)
        await desk.until(desk.all_ended)
        abandon(desk.ledger, "run-1")
        runs.close_dead_runs(desk.ledger)
        await night(desk, "run-2", at_risk=at_once)
        billed = assert_paid_once(desk)
        expired = desk.simulator.stats()["batch_items"]["expired"]
        assert Counter(line["endpoint"] for line in billed) == {
            "batches": ROWS - expired,
            "messages": expired,
        }
        assert (desk.outcomes("run-2"), expired > 0) == ({"succeeded": ROWS}, True)


async def test_batches_that_a_dead_run_left_are_stopped_by_the_run_that_waits_for_them(tmp_path):
    async with office(tmp_path, SOME_ANSWERED) as desk:
        dead = await desk.begin(some_rows(ROWS), batch=SMALL)
        await desk.submit_all(dead)
        abandon(desk.ledger, "run-1")
        runs.close_dead_runs(desk.ledger)
        await night(desk, "run-2", at_risk=watched)
        billed = assert_paid_once(desk)
        assert (len(billed), desk.made(), desk.outcomes("run-2")) == (ROWS, 3, {"succeeded": ROWS})


async def test_batches_of_a_run_that_is_at_work_are_left_to_it(tmp_path):
    async with office(tmp_path, ENDLESS) as desk:
        other = await desk.begin(some_rows(ROWS), batch=SMALL)
        await desk.submit_all(other)
        await night(desk, "run-2", at_risk=watched, lead=0.5)
        assert desk.outcomes("run-2") == {"deferred": ROWS}
        assert {row.reason for row in desk.jobs("run-2")} == {Reason.IN_FLIGHT_ELSEWHERE}
        assert desk.simulator.billed() == []
        assert desk.simulator.stats()["received"].get("batches_cancel", 0) == 0
        assert set(desk.all(select(BatchRow.cancel_asked_at))) == {(None,)}


async def test_two_runs_that_are_due_at_once_pay_for_each_job_once(tmp_path):
    async with office(tmp_path, SOME_ANSWERED) as desk:
        await asyncio.gather(night(desk, "run-1"), night(desk, "run-2", lead=1.0))
        billed = assert_paid_once(desk)
        assert len(billed) == ROWS
        answered = [row for run in ("run-1", "run-2") for row in desk.jobs(run) if row.outcome == "succeeded"]
        assert {row.job_id for row in answered} == {row["job_id"] for row in some_rows(ROWS)}


async def test_what_somebody_else_settles_meanwhile_goes_out_all_the_same(tmp_path):
    async with office(tmp_path, SOME_ANSWERED) as desk:
        dead = await desk.begin(some_rows(ROWS), batch=SMALL)
        made = await desk.submit_all(dead)
        abandon(desk.ledger, "run-1")
        runs.close_dead_runs(desk.ledger)
        run, clock = by_a_clock(await desk.begin(some_rows(ROWS), "run-2", batch=SMALL))
        clock.ahead = AHEAD
        assert (await admit(run, SHARD_SIZE, may_defer=True)).joined == ROWS
        assert [await stop_batch(run, batch.batch_id) for batch in made] == [True] * 3
        await desk.until(desk.all_ended)
        # `collect` of another process is quicker than the watchers of the run
        assert len((await collect(desk.ledger, desk.gateway)).reports) == 1
        assert desk.outcomes("run-2")["deferred"] == desk.simulator.stats()["batch_items"]["canceled"] > 0
        await SendQueue(run, SHARD_SIZE).drain()
        assert len(assert_paid_once(desk)) == ROWS
        assert desk.outcomes("run-2") == {"succeeded": ROWS}


async def test_a_run_that_may_send_no_more_stops_no_batch(tmp_path):
    plan = "[batches]\nprocessing_seconds = 2\n"
    async with office(tmp_path, plan) as desk:
        run, clock = by_a_clock(await desk.begin(some_rows(ROWS), batch=SMALL))
        queue = asyncio.create_task(SendQueue(run, SHARD_SIZE).drain())
        await desk.until(lambda: desk.made() == 3)
        run.halt.stop(Reason.PROVIDER_SPEND_LIMIT)
        clock.ahead = AHEAD
        await queue
        billed = assert_paid_once(desk)
        assert {line["endpoint"] for line in billed} == {"batches"}
        assert desk.outcomes() == {"succeeded": ROWS}


async def test_what_a_person_stopped_stays_stopped(tmp_path):
    async with office(tmp_path, NONE_ANSWERED) as desk:
        run, _ = by_a_clock(await desk.begin(some_rows(ROWS), batch=SMALL | {"max_requests": ROWS}))
        queue = asyncio.create_task(SendQueue(run, SHARD_SIZE).drain())
        await desk.until(lambda: desk.made() == 1)
        await desk.until(lambda: desk.all(select(BatchRow.provider_batch_id))[0][0] is not None)
        desk.sdk.messages.batches.cancel(desk.all(select(BatchRow.provider_batch_id))[0][0])
        await queue
        assert desk.outcomes() == {"deferred": ROWS}
        assert {row.reason for row in desk.jobs()} == {Reason.BATCH_CANCELED}
        assert desk.simulator.billed() == []


async def test_a_batch_of_another_place_is_not_asked_to_stop(ledger, tmp_path):
    run = await begun(ledger, BatchGateway(), tmp_path)
    [batch] = await submitted_all(run)
    stranger = BatchGateway()
    stranger.endpoint = "http://elsewhere"
    due, clock = by_a_clock(run)
    clock.ahead = AHEAD
    with pytest.raises(RunFailed, match="belongs to http://fake"):
        await watch(replace(due, gateway=stranger), batch)
    assert stranger.canceled == []
    assert only_batch(ledger).cancel_asked_at is None


def test_a_deadline_without_a_budget_of_its_own_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="a deadline needs a deadline_budget_usd"):
        BatchLimits(deadline="06:30")
