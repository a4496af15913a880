"""Collecting: whose batch it is, what a 404 proves, and that one fault stops only itself."""

import asyncio
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from sqlalchemy import update

from rules.prices import BilledTokens
from schemas.errors import RunFailed
from schemas.failures import AccessDenied, MayBeBilled, Refused, Transient
from schemas.ledger import AttemptRow, BatchRow, JobRow, RunRow
from schemas.money import NANO_PER_USD, NanoUsd
from schemas.policy_sections import BatchLimits
from services.ledger import batch_attempts, batches, leases, reviews, runs
from services.ledger.verify import verify
from tasks import collect as collect_module
from tasks import find_batch
from tasks import watch_batch as watch_module
from tasks.admit import admit
from tasks.collect import collect
from tasks.send_batch import send_batch
from tasks.watch_batch import look, watch
from tests.fake_batches import (
    BatchGateway,
    all_rows,
    assert_budgets_add_up,
    begun,
    kept,
    only_batch,
    outcomes,
    states,
    submitted_all,
)
from tests.processes import until
from tests.strategies import abandon, end_early

pytestmark = pytest.mark.one_database


@pytest.fixture
def gateway():
    return BatchGateway()


@pytest.fixture(autouse=True)
def heard(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("weighbridge"), "propagate", True)
    return caplog


def not_found():
    error = Refused("HTTP 404 not_found_error", explanation="no such batch")
    error.status = 404
    return error


def change(ledger, table, **values):
    with ledger.write() as connection:
        connection.execute(update(table).values(**values))


async def left_behind(ledger, gateway, folder, **more):
    """A run that died with its batches out."""
    run = await begun(ledger, gateway, folder, **more)
    made = await submitted_all(run)
    abandon(ledger, run.run_id)
    return run, made


@pytest.mark.parametrize("lost", [False, True], ids=["its id known", "its creation lost"])
@pytest.mark.parametrize(
    "other", [{"endpoint": "http://elsewhere"}, {"workspace": "wrkspc_b"}], ids=["endpoint", "workspace"]
)
async def test_a_batch_of_another_place_is_left_alone_and_collected_from_there(
    ledger, gateway, tmp_path, heard, other, lost
):
    gateway.workspace = "wrkspc_a"
    if lost:
        gateway.fail["create"] = [MayBeBilled("the connection was lost")]
    await left_behind(ledger, gateway, tmp_path)
    change(ledger, BatchRow, missing_since=datetime.now(UTC) - timedelta(days=3))
    if lost:
        change(ledger, BatchRow, doubtful_since=datetime.now(UTC) - timedelta(days=3))
        find_batch._doubts.clear()
    before = only_batch(ledger)
    stranger = BatchGateway()
    stranger.workspace = "wrkspc_a"
    for name, value in other.items():
        setattr(stranger, name, value)
    stranger.fail["batch"] = [not_found()] * 9
    collected = await collect(ledger, stranger)
    assert (collected.reports, collected.still_out, collected.elsewhere) == ([], 1, 1)
    assert only_batch(ledger) == before
    assert states(ledger) == ["open"] * 3
    assert "belongs to http://fake, workspace wrkspc_a" in heard.text
    collected = await collect(ledger, gateway)
    assert ([report.run_id for report in collected.reports], collected.still_out) == (["run-1"], 0)
    assert outcomes(ledger) == ["succeeded"] * 3
    assert_budgets_add_up(ledger)


async def test_a_row_that_joined_a_batch_of_another_place_is_deferred_and_stops_no_run(
    ledger, gateway, tmp_path
):
    await left_behind(ledger, gateway, tmp_path)
    stranger = BatchGateway()
    stranger.endpoint = "http://elsewhere"
    second = await begun(ledger, stranger, tmp_path, run_id="run-2")
    assert (await admit(second, 100, may_defer=True)).joined == 3
    [batch] = batches.open_of_run(ledger, "run-2")
    await watch(second, batch)
    assert {row.outcome for row in all_rows(ledger, JobRow) if row.run_id == "run-2"} == {"deferred"}
    assert states(ledger) == ["open"] * 3


async def test_a_batch_is_settled_at_the_prices_of_the_run_that_holds_its_money(ledger, gateway, tmp_path):
    half = [{"model": "claude-haiku-5-5", "discount_percent": "50"}]
    await left_behind(ledger, gateway, tmp_path, prices=half)
    second = await begun(ledger, gateway, tmp_path, run_id="run-2")
    assert (await admit(second, 100, may_defer=True)).joined == 3
    [batch] = batches.open_of_run(ledger, "run-2")
    await watch(second, batch)
    for attempt in all_rows(ledger, AttemptRow):
        tokens = BilledTokens(attempt.actual_input_tokens, attempt.actual_output_tokens)
        listed = second.models.price_card(attempt.model, attempt.opened_at).price(tokens, batch=True)
        assert attempt.actual_nano_usd == -(-listed // 2)
    assert_budgets_add_up(ledger)


async def test_a_404_passes(ledger, gateway, tmp_path):
    gateway.fail = {"batch": [not_found() for _ in range(5)], "results": [not_found() for _ in range(5)]}
    run = await begun(ledger, gateway, tmp_path)
    [batch] = await submitted_all(run)
    await watch(run, batch)
    assert outcomes(ledger) == ["succeeded"] * 3
    assert (only_batch(ledger).given_up_at, only_batch(ledger).missing_since) == (None, None)


@pytest.mark.parametrize("call", ["batch", "results"])
async def test_a_day_of_404s_gives_up_and_what_is_found_later_is_settled_and_published(
    ledger, gateway, tmp_path, call
):
    run, _ = await left_behind(ledger, gateway, tmp_path)
    gateway.fail[call] = [not_found() for _ in range(3)]
    assert (await collect(ledger, gateway)).still_out == 1
    assert states(ledger) == ["open"] * 3
    change(ledger, BatchRow, missing_since=datetime.now(UTC) - timedelta(hours=25))
    [report] = (await collect(ledger, gateway)).reports
    assert report.jobs.unknown == 3
    assert only_batch(ledger).given_up_at is not None
    # the third answer is a 404 too: nothing changes, and nobody waits for it
    collected = await collect(ledger, gateway)
    assert (collected.reports, collected.still_out) == ([], 0)
    [report] = (await collect(ledger, gateway)).reports
    assert (report.run_id, report.jobs.succeeded) == (run.run_id, 3)
    assert only_batch(ledger).given_up_at is None
    assert (await collect(ledger, gateway)).reports == []
    assert_budgets_add_up(ledger)


async def test_what_a_person_booked_as_unbilled_and_is_answered_after_all_is_answered_and_published(
    ledger, gateway, tmp_path
):
    run, _ = await left_behind(ledger, gateway, tmp_path)
    gateway.fail["batch"] = [not_found()]
    change(ledger, BatchRow, missing_since=datetime.now(UTC) - timedelta(hours=25))
    await collect(ledger, gateway)
    for attempt in all_rows(ledger, AttemptRow):
        reviews.book_attempt(ledger, attempt.attempt_id, "ana", None)
    assert outcomes(ledger) == ["failed"] * 3
    [report] = (await collect(ledger, gateway)).reports
    assert (report.run_id, report.jobs.succeeded) == (run.run_id, 3)
    assert outcomes(ledger) == states(ledger) == ["succeeded"] * 3
    assert (await collect(ledger, gateway)).reports == []
    assert_budgets_add_up(ledger)
    assert verify(ledger).ok


async def test_what_was_given_up_is_not_looked_for_once_its_results_are_gone(ledger, gateway, tmp_path):
    await left_behind(ledger, gateway, tmp_path)
    gateway.fail["batch"] = [not_found()]
    change(ledger, BatchRow, missing_since=datetime.now(UTC) - timedelta(hours=25))
    await collect(ledger, gateway)
    change(ledger, BatchRow, prepared_at=datetime.now(UTC) - timedelta(days=30))
    assert (await collect(ledger, gateway)).reports == []
    assert states(ledger) == ["unknown"] * 3


async def test_a_step_of_the_clock_does_not_make_a_batch_absent(ledger, gateway, tmp_path, monkeypatch):
    gateway.fail["create"] = [MayBeBilled("the connection was lost")]
    run = await begun(ledger, gateway, tmp_path)
    [batch] = await submitted_all(run)
    gateway.made.clear()

    class Ahead(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=5)

    monkeypatch.setattr(find_batch, "datetime", Ahead)
    assert not await look(run, batch.batch_id)
    assert only_batch(ledger).state == "prepared"
    monkeypatch.setattr(find_batch.time, "monotonic", lambda real=find_batch.time.monotonic: real() + 61)
    await look(run, batch.batch_id)
    assert only_batch(ledger).state == "absent"


async def test_a_clock_hours_ahead_still_finds_its_own_batch(ledger, gateway, tmp_path):
    gateway.fail["create"] = [MayBeBilled("the connection was lost")]
    run = await begun(ledger, gateway, tmp_path)
    [batch] = await submitted_all(run)
    change(ledger, BatchRow, prepared_at=datetime.now(UTC) + timedelta(hours=5))
    assert await look(run, batch.batch_id)
    assert outcomes(ledger) == ["succeeded"] * 3


@pytest.mark.parametrize("cancel", [[], [RunFailed("it could not be cancelled.")]], ids=["", "in vain"])
async def test_what_a_batch_answers_that_was_given_up_while_it_was_made_is_booked(
    ledger, gateway, tmp_path, cancel
):
    run = await begun(ledger, gateway, tmp_path)
    gateway.fail["cancel"] = cancel
    canceled = [] if cancel else ["msgbatch_0"]

    def taken_for_dead():
        gateway.while_creating = None
        [row] = all_rows(ledger, BatchRow)
        ends = [find_batch.batch_never_made(a.attempt_id) for a in all_rows(ledger, AttemptRow)]
        batches.absent(ledger, row.batch_id, "never made", ends)

    gateway.while_creating = taken_for_dead
    admission = await admit(run, 100, may_defer=True)
    assert await send_batch(run, admission) == 1
    assert gateway.canceled == canceled
    assert {a.actual_nano_usd for a in all_rows(ledger, AttemptRow)} - {None, 0}
    assert all(a.actual_nano_usd for a in all_rows(ledger, AttemptRow))
    assert_budgets_add_up(ledger)
    # the answers count: nothing is paid again
    while await admit(run, 100, may_defer=True):
        pass
    assert outcomes(ledger) == ["succeeded"] * 3
    assert len(gateway.made) == 1


def with_result(result):
    return lambda line: json.dumps(line | {"result": result}).encode()


def with_usage(**usage):
    def changed(line):
        line["result"]["message"]["usage"] |= usage
        return json.dumps(line).encode()

    return changed


def without_stop_reason(line):
    del line["result"]["message"]["stop_reason"]
    return json.dumps(line).encode()


def with_text(text, **options):
    def changed(line):
        line["result"]["message"]["content"][0]["text"] = text
        return json.dumps(line, **options).encode()

    return changed


ODD = {
    "a result that is text": (with_result("succeeded"), "unknown"),
    "an error that is text": (with_result({"type": "errored", "error": "no"}), "failed"),
    "an error in an error that is text": (
        with_result({"type": "errored", "error": {"error": "no"}}),
        "failed",
    ),
    "a kind that nobody knows": (with_result({"type": "paused"}), "unknown"),
    "a kind that is no text": (with_result({"type": ["succeeded"]}), "unknown"),
    "usage beyond every integer": (with_usage(input_tokens=2**63), "unknown"),
    "usage that is not whole": (with_usage(output_tokens=2.5), "unknown"),
    "whole floats": (with_usage(output_tokens=2.0), "succeeded"),
    "no stop_reason": (without_stop_reason, "succeeded"),
    "a byte-order mark": (lambda line: b"\xef\xbb\xbf" + json.dumps(line).encode(), "succeeded"),
    "a lone surrogate": (with_text("a \ud800 b"), "succeeded"),
    "a line separator": (with_text("a \u2028 b", ensure_ascii=False), "succeeded"),
}


@pytest.mark.parametrize("what", ODD)
async def test_an_odd_line_concerns_its_own_item_and_is_read_once(ledger, gateway, tmp_path, what):
    line, state = ODD[what]
    gateway.lines[1] = line
    await left_behind(ledger, gateway, tmp_path)
    collected = await collect(ledger, gateway)
    assert collected.still_out == 0
    by_row = {row.row_number: row for row in all_rows(ledger, AttemptRow)}
    assert [by_row[number].state for number in range(3)] == ["succeeded", state, "succeeded"]
    assert gateway.readings == 1
    bodies = kept(ledger)
    if state == "unknown":
        assert "lack" not in by_row[1].error
        assert by_row[1].attempt_id in bodies[by_row[1].attempt_id]
        assert only_batch(ledger).given_up_at is None
    assert_budgets_add_up(ledger)


async def test_a_reading_of_results_asks_for_the_attempts_of_its_lines_once(
    ledger, gateway, tmp_path, monkeypatch
):
    gateway.lines[1] = lambda line: json.dumps(line).encode()[:-30]
    run = await begun(ledger, gateway, tmp_path)
    [batch] = await submitted_all(run)
    asked, attempts_named = [], batch_attempts.attempts_named

    def named(ledger, batch_id, ids):
        asked.append((gateway.readings, len(ids)))
        return attempts_named(ledger, batch_id, ids)

    monkeypatch.setattr(batch_attempts, "attempts_named", named)
    gateway_results = gateway.batch_results

    async def well_at_last(seen):
        if gateway.readings == 2:
            gateway.lines.clear()
        async for line in gateway_results(seen):
            yield line

    monkeypatch.setattr(gateway, "batch_results", well_at_last)
    await watch(run, batch)
    assert (gateway.readings, asked) == (3, [(1, 3), (2, 1), (3, 1)])
    assert outcomes(ledger) == ["succeeded"] * 3


async def test_a_line_that_is_not_json_is_kept_with_its_attempt(ledger, gateway, tmp_path):
    gateway.lines[1] = lambda line: json.dumps(line).encode()[:-30] + b"\xff\0"
    await left_behind(ledger, gateway, tmp_path)
    await collect(ledger, gateway)
    by_row = {row.row_number: row for row in all_rows(ledger, AttemptRow)}
    assert by_row[1].state == "unknown"
    assert "is not JSON" in by_row[1].error
    assert kept(ledger)[by_row[1].attempt_id].endswith("\\xff\\x00")
    # read well later, it is the answer
    gateway.lines.clear()
    [report] = (await collect(ledger, gateway)).reports
    assert report.jobs.succeeded == 3
    assert set(states(ledger)) == {"succeeded"}


@pytest.mark.parametrize("figure", ["wrong", "right"])
async def test_what_a_person_accepted_unread_has_its_own_usage_and_bill_once_its_line_can_be_read(
    ledger, gateway, tmp_path, figure
):
    gateway.lines[1] = lambda line: json.dumps(line).encode()[:-30]
    await left_behind(ledger, gateway, tmp_path)
    await collect(ledger, gateway)
    by_row = {row.row_number: row for row in all_rows(ledger, AttemptRow)}
    bill = by_row[0].actual_nano_usd
    reviews.accept_attempt(ledger, by_row[1].attempt_id, "ana", NanoUsd(bill - (figure == "wrong")))
    assert outcomes(ledger) == states(ledger) == ["succeeded"] * 3
    gateway.lines.clear()
    reports = (await collect(ledger, gateway)).reports
    assert {report.jobs.succeeded for report in reports} == {3}
    by_row = {row.row_number: row for row in all_rows(ledger, AttemptRow)}
    told = {(row.state, row.actual_nano_usd, row.actual_input_tokens, row.error) for row in by_row.values()}
    assert told == {("succeeded", bill, by_row[0].actual_input_tokens, None)}
    assert outcomes(ledger) == ["succeeded"] * 3
    assert (await collect(ledger, gateway)).reports == []
    assert_budgets_add_up(ledger)
    assert verify(ledger).ok


async def test_a_batch_that_cannot_be_settled_and_a_policy_of_old_stop_no_other(
    ledger, gateway, tmp_path, heard, monkeypatch
):
    await left_behind(ledger, gateway, tmp_path, run_id="run-1", batch={"max_requests": 1})
    await left_behind(ledger, gateway, tmp_path, run_id="run-2", first=9)
    with ledger.write() as connection:
        policy = {"name": "old", "routes": "by weight", "tier": 1, "batch": {"max_requests": 0}}
        connection.execute(update(RunRow).where(RunRow.run_id == "run-2").values(policy=policy))
    first = min(all_rows(ledger, BatchRow), key=lambda row: row.prepared_at).batch_id

    async def looked(run, batch_id, seen):
        if batch_id == first:
            raise TypeError("secret words")
        return await look(run, batch_id, seen)

    monkeypatch.setattr(collect_module, "look", looked)
    collected = await collect(ledger, gateway)
    assert [report.run_id for report in collected.reports] == ["run-2"]
    assert collected.still_out == 1
    assert states(ledger).count("open") == 1
    assert f"Batch {first} could not be settled (TypeError)" in heard.text
    assert "secret words" not in heard.text
    assert "The policy of run-2 is not valid any more (batch, routes, tier)" in heard.text
    monkeypatch.undo()
    assert [report.run_id for report in (await collect(ledger, gateway)).reports] == ["run-1"]
    assert set(states(ledger)) == {"succeeded"}


async def test_a_run_is_taken_over_when_its_turn_comes_and_its_lease_is_renewed_until_it_is_finished(
    ledger, gateway, tmp_path, monkeypatch
):
    await left_behind(ledger, gateway, tmp_path, run_id="run-1")
    await left_behind(ledger, gateway, tmp_path, run_id="run-2")
    monkeypatch.setattr(leases, "lease_seconds", lambda: 3)
    published, taken = collect_module.publish, []

    def at_work():
        return {run.run_id for run in all_rows(ledger, RunRow)} - {
            run.run_id for run in runs.left_unended(ledger)
        }

    async def slowly(run):
        taken.append({row.run_id for row in all_rows(ledger, RunRow) if row.owner is not None})
        abandon(ledger, run.run_id)
        await asyncio.to_thread(until, lambda: run.run_id in at_work(), "the lease is renewed")
        return await published(run)

    monkeypatch.setattr(collect_module, "publish", slowly)
    reports = (await collect(ledger, gateway)).reports
    first, second = [report.run_id for report in reports]
    assert {first, second} == {"run-1", "run-2"}
    assert taken[0] == {first}


async def test_a_run_that_cannot_be_finished_is_named_and_the_others_go_on(
    ledger, gateway, tmp_path, heard, monkeypatch
):
    await left_behind(ledger, gateway, tmp_path, run_id="run-1")
    await left_behind(ledger, gateway, tmp_path, run_id="run-2")

    async def published(run):
        if run.run_id == "run-1":
            raise OSError("a full disk")

    monkeypatch.setattr(collect_module, "publish", published)
    assert [report.run_id for report in (await collect(ledger, gateway)).reports] == ["run-2"]
    assert "Run run-1 could not be collected (OSError)" in heard.text
    monkeypatch.undo()
    assert [report.run_id for report in (await collect(ledger, gateway)).reports] == ["run-1"]


async def test_the_report_of_a_collected_run_has_its_own_seconds_and_calls(ledger, gateway, tmp_path):
    await left_behind(ledger, gateway, tmp_path)
    calls = {"count": 3, "message": 0, "batch_create": 1, "retried": 2, "failed": 1}
    change(ledger, RunRow, calls=calls, started_at=datetime.now(UTC) - timedelta(hours=1))
    gateway.tally.count = gateway.tally.message = 77
    [report] = (await collect(ledger, gateway)).reports
    assert 3_600 <= report.seconds < 3_700
    assert report.calls.model_dump() == calls


@pytest.mark.parametrize(
    ("looks", "ends"),
    [("e.e.e.e.", False), ("ee.ee.", False), ("e.eee", True)],
    ids=["now and then", "two in a row", "three in a row"],
)
async def test_only_errors_in_a_row_that_nobody_expected_end_the_watching(
    ledger, gateway, tmp_path, monkeypatch, looks, ends
):
    run = await begun(ledger, gateway, tmp_path)
    [batch] = await submitted_all(run)
    left = list(looks)

    async def looked(run, batch_id, seen):
        if not left:
            return await look(run, batch_id, seen)
        if left.pop(0) == "e":
            raise TypeError
        return False

    monkeypatch.setattr(watch_module, "look", looked)
    monkeypatch.setattr(watch_module.Pause, "wait", lambda *_, **__: asyncio.sleep(0))
    if ends:
        with pytest.raises(RunFailed, match=r"could not be settled \(TypeError\)"):
            await watch(run, batch)
    else:
        await watch(run, batch)
    assert states(ledger) == ["open" if ends else "succeeded"] * 3


async def test_a_revoked_key_ends_the_watching_and_collect_goes_on_later(ledger, gateway, tmp_path):
    run = await begun(ledger, gateway, tmp_path)
    gateway.fail["batch"] = [AccessDenied("HTTP 401 authentication_error") for _ in range(9)]
    with pytest.raises(RunFailed, match="weighbridge collect"):
        await send_batch(run, await admit(run, 100, may_defer=True))
    assert states(ledger) == ["open"] * 3
    end_early(ledger, run.run_id)
    gateway.fail.clear()
    [report] = (await collect(ledger, gateway)).reports
    assert report.jobs.succeeded == 3


async def test_an_end_that_nobody_expected_leaves_the_batches_next_to_it_in_peace(ledger, gateway, tmp_path):
    run = await begun(ledger, gateway, tmp_path, count=2)
    admission = await admit(run, 100, may_defer=True)
    small = run.policy.model_copy(update={"batch": BatchLimits(max_requests=1, poll_seconds="0.01")})
    run = replace(run, scale=replace(run.scale, policy=small))
    gateway.fail["batch"] = [Transient("HTTP 529"), *[KeyError("odd") for _ in range(20)]]
    real = gateway.batch

    async def only_the_first_is_odd(provider_batch_id):
        if provider_batch_id == "msgbatch_0":
            return await real(provider_batch_id)
        return gateway.seen(provider_batch_id)

    gateway.batch = only_the_first_is_odd
    with pytest.raises(RunFailed, match="KeyError"):
        await send_batch(run, admission)
    assert states(ledger) == ["open", "succeeded"]


async def test_payloads_are_dropped_once_their_batch_is_made(ledger, gateway, tmp_path):
    run = await begun(ledger, gateway, tmp_path)
    admission = await admit(run, 100, may_defer=True)
    sent = []

    async def create(items, real=gateway.create_batch):
        sent.append(items)
        return await real(items)

    gateway.create_batch = create
    await send_batch(run, admission)
    assert (admission.held, [len(body) for body in sent]) == ([], [0])


async def test_an_answer_that_a_person_accepted_is_in_the_results_and_the_report_of_its_run(
    ledger, gateway, tmp_path
):
    gateway.lines[1] = lambda line: json.dumps(line).replace('"usage"', '"used"').encode()
    run, _ = await left_behind(ledger, gateway, tmp_path)
    [report] = (await collect(ledger, gateway)).reports
    assert (report.jobs.succeeded, report.jobs.unknown, len(report.holds_to_book)) == (2, 1, 1)
    [review] = reviews.listed(ledger)
    [raw] = reviews.raw_answers(ledger, review.id)
    assert '"used"' in raw.body
    assert (await collect(ledger, gateway)).reports == []
    reviews.accept(ledger, review.id, "ana", raw.held_nano_usd)
    [report] = (await collect(ledger, gateway)).reports
    assert (report.run_id, report.jobs.succeeded, report.jobs.unknown) == (run.run_id, 3, 0)
    assert (report.holds_to_book, report.usd.held) == ([], 0)
    parts = [pq.read_table(part).to_pylist() for part in run.results.glob("results-*.parquet")]
    rows = {row["job_id"]: row for part in parts for row in part}
    assert [row["text"] for row in rows.values()] == ["answer"] * 3
    assert rows[review.job_id]["response"] == raw.body
    assert rows[review.job_id]["cost_usd"] * NANO_PER_USD == raw.held_nano_usd
    assert (await collect(ledger, gateway)).reports == []
    found = verify(ledger)
    assert found.ok, found
    assert_budgets_add_up(ledger)
