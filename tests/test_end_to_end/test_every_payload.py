"""A payload of every kind, from Parquet to reconciliation: what becomes of it is what its file says, and promise 4 (what
was counted is what was sent) holds byte for byte, by a proxy that keeps what passes. The simulator's log says what was
paid."""

import asyncio
import contextlib
import functools
import hashlib
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from aiohttp import ClientSession, web

from simulator.process import running_simulator
from tests.yards import Yard, nano, open_yard

pytestmark = pytest.mark.prefect

FOLDER = Path(__file__).resolve().parents[2] / "data" / "samples"
SAMPLES = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "payloads").glob("*.json"))
}
#: what the tests of a mode are marked with; the payloads are the same in both. One worker makes the night of each
MODES = {"messages": (), "batches": (pytest.mark.slow, pytest.mark.xdist_group("payloads in batches"))}


def in_mode(mode, *more):
    """A case of a mode."""
    return pytest.param(mode, *more, marks=MODES[mode])


def expected_of(kind, mode):
    """What is to become of a sample, by its file."""
    sample = SAMPLES[kind]
    return sample.get("expected_in_batches", sample["expected"]) if mode == "batches" else sample["expected"]


#: what count_tokens takes and what it does not; source: Anthropic token counting guide, Messages API reference
COUNTED = {"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "speed"}  # fmt: skip
UNCOUNTED = {"max_tokens", "stop_sequences", "metadata", "service_tier", "inference_geo"}
#: of a row that names none
DEFAULT_MAX_TOKENS = 1_024


def nights(*, answered=None):
    """The nights and the kinds to look at in each: all, or those that are to be answered, or the others."""
    cases = [
        (mode, kind)
        for mode in MODES
        for kind in SAMPLES
        if answered in (None, expected_of(kind, mode)["outcome"] == "succeeded")
    ]
    return pytest.mark.parametrize(
        ("night", "kind"), [in_mode(mode, kind) for mode, kind in cases], indirect=["night"]
    )


def members(raw):
    """The members of a JSON object as they stand on the wire: name to the bytes of its value.

    Fails unless the object is nothing but these members, each once, without a byte between them.
    """
    written = raw.decode()
    decoder = json.JSONDecoder()
    found, at = {}, 1
    while len(written) > at:
        name, colon = decoder.raw_decode(written, at)
        _, end = decoder.raw_decode(written, colon + 1)
        assert name not in found
        found[name] = written[colon + 1 : end].encode()
        at = end + 1
    inside = ",".join(f"{json.dumps(name)}:{value.decode()}" for name, value in found.items())
    assert f"{{{inside}}}" == written
    return found


def elements(raw):
    """The elements of a JSON list as they stand on the wire."""
    written = raw.decode()
    found, at = [], 1
    while len(written) > at:
        _, end = json.JSONDecoder().raw_decode(written, at)
        found.append(written[at:end].encode())
        at = end + 1
    assert b"[" + b",".join(found) + b"]" == raw
    return found


def canonical_hash(raw):
    """What the simulator's log names a request by."""
    text = json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def request_of(sample):
    """The Messages request that the row of a sample stands for, without a model: read from its file alone."""
    job = {name: value for name, value in sample["job"].items() if name not in ("job_id", "model")}
    request = {"max_tokens": DEFAULT_MAX_TOKENS} | job.pop("params", {}) | job
    if prompt := request.pop("prompt", None):
        request["messages"] = [{"role": "user", "content": prompt}]
    return request


@dataclass
class Wire:
    """What passed the proxy: (path, body) of each request, as it came."""

    passed: list = field(default_factory=list)
    url: str = ""

    def bodies(self, path):
        return [body for asked, body in self.passed if asked == path]

    @property
    def counted(self):
        return self.bodies("/v1/messages/count_tokens")

    @property
    def paid(self):
        """Each paid request's bytes; those of a batch are cut out of its body."""
        batched = [
            members(item)["params"]
            for body in self.bodies("/v1/messages/batches")
            for item in (elements(members(body)["requests"]) if body else ())
        ]
        return self.bodies("/v1/messages") + batched


@contextlib.contextmanager
def recorded(target):
    """A proxy before `target`, which passes every byte on and keeps the requests'."""
    wire = Wire()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin():
        session = ClientSession(auto_decompress=False)

        async def passing(request):
            body = await request.read()
            wire.passed.append((request.path, body))
            async with session.request(
                request.method, target + request.path_qs, data=body, headers=request.headers
            ) as answer:
                kept = {k: v for k, v in answer.headers.items() if k.lower() not in ("transfer-encoding", "content-length")}  # fmt: skip
                return web.Response(body=await answer.read(), status=answer.status, headers=kept)

        app = web.Application(client_max_size=2**28)
        app.router.add_route("*", "/{tail:.*}", passing)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        wire.url = f"http://{host}:{port}"
        return session, runner

    async def end(session, runner):
        await runner.cleanup()
        await session.close()

    try:
        open_things = asyncio.run_coroutine_threadsafe(begin(), loop).result(30)
        try:
            yield wire
        finally:
            asyncio.run_coroutine_threadsafe(end(*open_things), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass
class Night:
    """One run over all samples, and what everyone has on record of it."""

    mode: str
    yard: Yard
    report: dict
    billed: list
    wire: Wire
    #: the same jobs once more, in nested columns: the report, and how many requests it made
    again: tuple

    def __post_init__(self):
        self.jobs = self.yard.jobs_of(self.report)
        paid = self.yard.rows(
            "SELECT * FROM attempts WHERE run_id = ? AND state = 'succeeded'", self.report["run_id"]
        )
        self.attempts = {row["job_id"]: row for row in paid}
        key = "request_id" if self.mode == "messages" else "custom_id"
        own = "request_id" if self.mode == "messages" else "attempt_id"
        lines = {line[key]: line for line in self.billed}
        self.lines = {job_id: lines[row[own]] for job_id, row in self.attempts.items()}
        self.sent = {canonical_hash(raw): raw for raw in self.wire.paid}
        self.view = self.yard.rows("SELECT * FROM reconciliation WHERE run_id = ?", self.report["run_id"])


@pytest.fixture(scope="module")
def made(tmp_path_factory, prefect_api, warm):
    """The night of a mode, made when it is first asked for."""
    return functools.cache(lambda mode: made_night(mode, tmp_path_factory.mktemp(mode), prefect_api, warm))


@pytest.fixture(params=[in_mode(mode) for mode in MODES])
def night(request, made):
    """The night of a mode."""
    return made(request.param)


def made_night(mode, folder, prefect_api, warm):
    yard = open_yard(folder, prefect_api, warm)
    policy = yard.policy()
    rules = f"[output]\ndefault_max_tokens = {DEFAULT_MAX_TOKENS}\n[batch]\nmax_requests = 20\npoll_seconds = 0.3\n"
    (folder / policy).write_text((folder / policy).read_text() + rules)
    (folder / "plan.toml").write_text("seed = 1\n[batches]\nprocessing_seconds = 0.5\n")
    options = ("--policy", policy, "--mode", mode)
    with (
        running_simulator(log=folder / "billed.jsonl", plan=folder / "plan.toml") as simulator,
        recorded(simulator.base_url) as wire,
    ):
        yard.environment["ANTHROPIC_BASE_URL"] = wire.url
        report = yard.run(FOLDER / "payloads.parquet", *options, code=4)
        first = Wire(list(wire.passed))
        again = yard.run(FOLDER / "payloads-nested.parquet", *options, code=4)
        billed = simulator.billed()
    calls = Counter(path for path, _ in wire.passed[len(first.passed) :])
    return Night(mode, yard, report, billed, first, (again, calls))


@nights()
def test_each_becomes_what_its_file_says(night, kind):
    expected, row = expected_of(kind, night.mode), night.jobs[kind]
    assert row["outcome"] == expected["outcome"], row["detail"]
    assert expected.get("reason") in (None, row["reason"])
    assert expected.get("says", "") in (row["detail"] or "")
    if "payload_class" in expected:
        assert json.loads(row["traits"] or "{}").get("payload_class", "text") == expected["payload_class"]


@nights(answered=True)
def test_what_was_paid_is_what_the_file_says_and_what_was_counted_to_the_byte(night, kind):
    attempt, line = night.attempts[kind], night.lines[kind]
    paid = night.sent[line["payload_sha256"]]
    assert json.loads(paid) == {"model": attempt["model"], **request_of(SAMPLES[kind])}
    parts = members(paid)
    assert set(parts) <= COUNTED | UNCOUNTED
    shared = {name: value for name, value in parts.items() if name in COUNTED}
    assert shared in [members(raw) for raw in night.wire.counted]


@nights(answered=True)
def test_each_bill_is_settled_to_the_nano_dollar_and_reconciled(night, kind):
    attempt, line, usage = night.attempts[kind], night.lines[kind], night.lines[kind]["usage"]
    written, read = usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]
    billed = usage["input_tokens"] + written + read
    assert attempt["model"] == line["model"]
    assert attempt["actual_nano_usd"] == line["cost_nano_usd"] <= attempt["worst_case_nano_usd"]
    assert attempt["actual_input_tokens"] == billed <= attempt["input_bound"]
    assert (attempt["cache_write_tokens"], attempt["cache_read_tokens"]) == (written, read)
    assert attempt["actual_output_tokens"] == usage["output_tokens"] <= attempt["max_tokens"]
    assert attempt["held_nano_usd"] == 0
    [row] = [row for row in night.view if row["job_id"] == kind]
    assert row["estimated_input_tokens"] == attempt["input_tokens"]
    assert (row["actual_input_tokens"], row["actual_output_tokens"]) == (billed, usage["output_tokens"])
    assert row["actual_nano_usd"] == line["cost_nano_usd"]


@nights(answered=False)
def test_what_may_not_be_sent_never_was(night, kind):
    named = f"Case {kind}:".encode()
    assert named in json.dumps(SAMPLES[kind]["job"]).encode()
    assert not [raw for raw in night.wire.paid if named in raw]
    assert kind not in night.attempts


def test_the_sums_agree(night):
    yard, report, billed = night.yard, night.report, night.billed
    yard.assert_accounted(report, len(SAMPLES))
    assert (
        len(billed)
        == len(night.attempts)
        == len(night.sent)
        == len(night.view)
        == report["jobs"]["succeeded"]
    )
    cost = sum(line["cost_nano_usd"] for line in billed)
    assert nano(report["usd"]["actual"]) == sum(row["actual_nano_usd"] for row in night.view) == cost
    assert nano(report["usd"]["held"]) == 0
    assert yard.one("SELECT settled_nano_usd FROM budgets WHERE period = ?", report["run_id"]) == cost
    assert yard.one("SELECT count(*) FROM attempts WHERE state <> 'succeeded'") == 0
    yard.assert_budgets_add_up()


def test_log_ledger_report_and_files_agree(night):
    night.yard.assert_agreement(night.report, night.billed)


def test_each_count_takes_only_what_is_counted_and_none_is_asked_twice(night):
    counted = night.wire.counted
    assert all(set(members(raw)) <= COUNTED for raw in counted)
    assert len(set(counted)) == len(counted)


def test_caches_were_written_at_both_lifetimes_and_read(night):
    usages = {kind: line["usage"] for kind, line in night.lines.items()}
    five = {kind for kind, usage in usages.items() if usage["cache_creation"]["ephemeral_5m_input_tokens"]}
    hour = {kind for kind, usage in usages.items() if usage["cache_creation"]["ephemeral_1h_input_tokens"]}
    read = {kind for kind, usage in usages.items() if usage["cache_read_input_tokens"]}
    assert {"cache-system", "cache-request-5m"} <= five
    assert {"cache-tools", "cache-request-1h"} <= hour
    # The items of one batch run side by side, and none reads what another writes.
    assert len(read) == (1 if night.mode == "messages" else 0)
    assert read < {"cache-shared-1", "cache-shared-2"}
    assert "cache-too-short" not in five | hour | read


def test_the_same_jobs_in_nested_columns_are_the_same_payloads_and_cost_no_call(night):
    report, calls = night.again
    rows = pq.read_metadata(FOLDER / "payloads-nested.parquet").num_rows
    night.yard.assert_accounted(report, rows)
    nested = night.yard.jobs_of(report)
    assert {kind: row["outcome"] for kind, row in nested.items()} == {
        kind: night.jobs[kind]["outcome"] for kind in nested
    }
    # a row that is no request has the fingerprint of what was read, which is not the same in other columns
    requests = {kind for kind, row in nested.items() if row["reason"] != "invalid_row"}
    assert all(nested[kind]["fingerprint"] == night.jobs[kind]["fingerprint"] for kind in requests)
    assert len(requests) > len(nested) / 2
    assert report["from_earlier_runs"] == report["jobs"]["succeeded"] > 0
    assert (calls["/v1/messages"], nano(report["usd"]["actual"])) == (0, 0)
    assert report["calls"]["batch_create"] == 0
    refused = sum(row["reason"] == "refused_by_api" for row in nested.values())
    assert calls["/v1/messages/count_tokens"] == refused
