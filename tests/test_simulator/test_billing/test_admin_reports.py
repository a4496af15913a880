"""The usage and cost reports: they add up to the billing log, bucket by bucket and to the last digit."""

import json
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import anthropic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict

from simulator import running_simulator
from simulator.answers.refusals import CATEGORIES, AnsweredRefusal
from simulator.billing.admin_reports import USAGE_GROUPS, cents, cost_report, usage_report
from simulator.billing.billed_usage import BilledUsage, ServerUse
from simulator.billing.billing_log import BillingLog, entry_of, read_billed
from simulator.billing.billing_totals import BillingTotals
from simulator.billing.catalogue import MODELS, find_model
from simulator.http.api_errors import RefusedError
from tests.test_simulator.calls import ended

ADMIN = "sk-ant-admin01-test"
DAY = datetime(2026, 11, 20, tzinfo=UTC)

tokens = st.integers(0, 300_000)
usages = st.builds(
    BilledUsage,
    input_tokens=tokens,
    output_tokens=tokens,
    write_5m=tokens,
    write_1h=tokens,
    read=tokens,
    geo=st.sampled_from(["global", "us"]),
    tier=st.sampled_from(["standard", "batch"]),
    server=st.none() | st.builds(ServerUse, searches=st.integers(0, 5)),
    refusal=st.none() | st.builds(AnsweredRefusal, st.none() | st.sampled_from(CATEGORIES), st.booleans()),
)
billings = st.lists(
    st.tuples(usages, st.sampled_from(MODELS), st.integers(0, 4 * 86_400 - 1), st.sampled_from(["a", "b"])),
    max_size=12,
)


def written(path, found):
    """A log of the given (usage, model, seconds after `DAY`, key id), and its lines."""
    log = BillingLog(path)
    for usage, model, seconds, key in found:
        entry = entry_of(("req", "msg"), ("", ""), (usage, model), payer=(key, None), fault=None, at=DAY)
        moment = DAY + timedelta(seconds=seconds)
        log.write({**entry, "time": moment.isoformat(timespec="milliseconds")})
    log.close()
    return read_billed(path)


def query(*groups, **more):
    made = MultiDict([("group_by[]", group) for group in groups])
    made.update({"starting_at": stamp(DAY), "ending_at": stamp(DAY + timedelta(days=4)), **more})
    return made


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def paid(report):
    """The cents of a report as nano-USD."""
    return sum(Decimal(line["amount"]) for bucket in report["data"] for line in bucket["results"]) * 10**7


@settings(deadline=None, max_examples=60)
@given(
    billings,
    st.sets(st.sampled_from(["workspace_id", "description"])),
    st.sets(st.sampled_from(USAGE_GROUPS)),
)
async def test_the_reports_are_the_sums_of_the_log(found, cost_groups, usage_groups):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "billed.jsonl"
        lines = written(path, found)
        totals = BillingTotals(path)
        costs = await cost_report(totals, query(*cost_groups))
        used = await usage_report(totals, query(*usage_groups))
        assert costs == await cost_report(BillingTotals(path), query(*cost_groups))
    assert [len(report["data"]) for report in (costs, used)] == [4, 4]
    for position, (cost, use) in enumerate(zip(costs["data"], used["data"], strict=True)):
        start = DAY + timedelta(days=position)
        assert (cost["starting_at"], cost["ending_at"]) == (stamp(start), stamp(start + timedelta(days=1)))
        those = [line for line in lines if line["time"].startswith(start.date().isoformat())]
        assert paid({"data": [cost]}) == sum(line["cost_nano_usd"] for line in those)
        for theirs, ours in (
            ("uncached_input_tokens", "input_tokens"),
            ("cache_read_input_tokens", "cache_read_input_tokens"),
            ("output_tokens", "output_tokens"),
        ):
            assert sum(line[theirs] for line in use["results"]) == sum(line["usage"][ours] for line in those)
        writes = [sum(line["cache_creation"].values()) for line in use["results"]]
        assert sum(writes) == sum(line["usage"]["cache_creation_input_tokens"] for line in those)
        assert bool(use["results"]) == bool(those)


async def test_a_cost_line_is_the_tokens_of_one_kind_at_its_price(tmp_path):
    haiku = find_model("claude-haiku-5-5")
    usage = BilledUsage(input_tokens=3, output_tokens=7, read=11, tier="batch", server=ServerUse(searches=2))
    written(tmp_path / "log", [(usage, haiku, 60, "a")])
    report = await cost_report(BillingTotals(tmp_path / "log"), query("description", limit="1"))
    [bucket] = report["data"]
    amounts = {line["description"]: line["amount"] for line in bucket["results"]}
    assert amounts == {
        "Claude Haiku 5.5 Usage - Input Tokens, Batch": "0.000015",
        "Claude Haiku 5.5 Usage - Input Tokens, Cache Hit, Batch": "0.0000055",
        "Claude Haiku 5.5 Usage - Output Tokens, Batch": "0.000175",
        "Web Search Usage": "2",
    }
    assert bucket["results"][0] == {
        "currency": "USD",
        "amount": "0.000015",
        "workspace_id": None,
        "description": "Claude Haiku 5.5 Usage - Input Tokens, Batch",
        "cost_type": "tokens",
        "model": "claude-haiku-5-5",
        "service_tier": "batch",
        "token_type": "uncached_input_tokens",
        "context_window": "0-200k",
        "inference_geo": "global",
    }
    assert report["has_more"]


async def test_usage_is_told_apart_and_restricted_by_what_was_asked_for(tmp_path):
    haiku, old = find_model("claude-haiku-5-5"), find_model("claude-haiku-4-5")
    long = BilledUsage(input_tokens=200_001, output_tokens=1, tier="batch")
    short = BilledUsage(input_tokens=10, output_tokens=2, write_1h=5, server=ServerUse(searches=3))
    written(tmp_path / "log", [(long, haiku, 0, "a"), (short, haiku, 0, "a"), (short, old, 0, "b")])
    totals = BillingTotals(tmp_path / "log")
    [bucket] = (await usage_report(totals, query(*USAGE_GROUPS, limit="1")))["data"]
    assert len(bucket["results"]) == 3
    assert bucket["results"][1] == {
        "uncached_input_tokens": 10,
        "cache_creation": {"ephemeral_1h_input_tokens": 5, "ephemeral_5m_input_tokens": 0},
        "cache_read_input_tokens": 0,
        "output_tokens": 2,
        "server_tool_use": {"web_search_requests": 3},
        "api_key_id": "a",
        "workspace_id": None,
        "model": "claude-haiku-5-5",
        "service_tier": "standard",
        "context_window": "0-200k",
        "inference_geo": "global",
        "speed": "standard",
    }
    assert bucket["results"][0]["context_window"] == "200k-1M"
    assert bucket["results"][2]["inference_geo"] == "not_available"
    for name, value, tokens_in in (
        ("api_key_ids[]", "a", 200_011), ("models[]", "claude-haiku-4-5-20251001", 10),
        ("service_tiers[]", "batch", 200_001), ("context_window[]", "0-200k", 20),
        ("inference_geos[]", "global", 200_011), ("speeds", "standard", 200_021),
    ):  # fmt: skip
        [bucket] = (await usage_report(totals, query(limit="1", **{name: value})))["data"]
        assert [line["uncached_input_tokens"] for line in bucket["results"]] == [tokens_in]
        assert bucket["results"][0]["model"] is None
    [bucket] = (await usage_report(totals, query(limit="1", **{"workspace_ids[]": "wrkspc_1"})))["data"]
    assert bucket["results"] == []


@pytest.mark.parametrize(("width", "limit", "buckets"), [("1m", 50, 2 * 1_440), ("1h", 7, 48), ("1d", 1, 2)])
async def test_pages_hold_every_bucket_once(tmp_path, width, limit, buckets):
    haiku = find_model("claude-haiku-5-5")
    times = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 2 * 86_400 - 1, 2 * 86_400]
    written(tmp_path / "log", [(BilledUsage(2**at, 0), haiku, times[at], "a") for at in range(9)])
    totals = BillingTotals(tmp_path / "log")
    more = {"starting_at": "2026-11-20T01:00:30+01:00", "ending_at": "2026-11-22T00:00:00Z"}
    asked = query(bucket_width=width, limit=str(limit), **more)
    found = []
    while True:
        report = await usage_report(totals, asked)
        assert 0 < len(report["data"]) <= limit
        found += report["data"]
        if not report["has_more"]:
            break
        asked["page"] = report["next_page"]
    assert report["next_page"] is None
    starts = [bucket["starting_at"] for bucket in found]
    assert (len(starts), starts[0]) == (buckets, "2026-11-20T00:00:00Z")
    assert starts == sorted(set(starts))
    assert [bucket["ending_at"] for bucket in found[:-1]] == starts[1:]
    sums = [line["uncached_input_tokens"] for bucket in found for line in bucket["results"]]
    assert sum(sums) == 2**8 - 1
    assert (
        sums
        == {
            "1m": [3, 4, 8, 16, 32, 64, 128],
            "1h": [15, 16, 32, 64, 128],
            "1d": [63, 192],
        }[width]
    )


async def test_lines_of_earlier_runs_and_of_older_logs_count_and_a_half_one_waits(tmp_path):
    path = tmp_path / "log"
    haiku = find_model("claude-haiku-5-5")
    written(path, [(BilledUsage(5, 0), haiku, 0, "a")])
    line = json.loads(path.read_text())
    for name in ("billed", "api_key_id", "workspace_id", "stop_reason", "refusal_category"):
        del line[name]
    path.write_text(json.dumps(line) + "\n")
    totals = BillingTotals(path)
    assert paid(await cost_report(totals, query())) == 500
    written(path, [(BilledUsage(7, 0), haiku, 0, "a")])
    assert paid(await cost_report(totals, query())) == 1_200
    whole = path.read_text()
    with path.open("a") as file:
        file.write(whole[:30])
        file.flush()
        assert paid(await cost_report(totals, query())) == 1_200
        file.write(whole[30:])
    assert paid(await cost_report(totals, query())) == 2_400
    with path.open("a") as file:
        file.write("{}\n")
    with pytest.raises(ValueError, match="line 5 of the billing log"):
        await cost_report(totals, query())


@pytest.mark.parametrize(
    "wrong",
    [
        {"starting_at": None}, {"starting_at": "yesterday"}, {"starting_at": "2026-11-20T00:00:00"},
        {"ending_at": "2026-11-20T00:00:00Z"}, {"bucket_width": "1w"}, {"limit": "0"}, {"limit": "32"},
        {"limit": "x"}, {"limit": "²"}, {"page": "page_zebra"}, {"page": "zebra"}, {"page": "page_MjAyNg=="},
        {"group_by[]": "zebra"}, {"zebra": "1"}, {"limits[]": "1"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("report", [usage_report, cost_report])
async def test_a_parameter_that_does_not_fit_is_refused(tmp_path, report, wrong):
    written(tmp_path / "log", [])
    asked = query(**{name: value for name, value in wrong.items() if value is not None})
    for name, value in wrong.items():
        if value is None:
            del asked[name]
    with pytest.raises(RefusedError) as refused:
        await report(BillingTotals(tmp_path / "log"), asked)
    assert refused.value.status == 400


async def test_the_cost_report_has_days_only(tmp_path):
    written(tmp_path / "log", [])
    with pytest.raises(RefusedError):
        await cost_report(BillingTotals(tmp_path / "log"), query(bucket_width="1h"))
    with pytest.raises(RefusedError):
        await cost_report(BillingTotals(tmp_path / "log"), query("model"))


@given(st.integers(-(10**18), 10**18))
def test_cents_are_exact(shares):
    text = cents(shares)
    assert Decimal(text) == Decimal(shares) / (200 * 10**7)
    assert "E" not in text


def get(simulator, path, key=ADMIN, header="x-api-key"):
    """(status, parsed answer) of a GET."""
    headers = {} if key is None else {header: f"Bearer {key}" if header == "authorization" else key}
    request = urllib.request.Request(simulator.base_url + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize("path", ["usage_report/messages", "cost_report"])
def test_only_an_admin_key_gets_a_report(tmp_path, path):
    with running_simulator() as simulator:
        url = f"/v1/organizations/{path}?starting_at=2026-11-01T00:00:00Z"
        assert get(simulator, url)[0] == 200
        assert get(simulator, url, header="authorization")[0] == 200
        status, answer = get(simulator, url, key=None)
        assert (status, answer["error"]["type"]) == (401, "authentication_error")
        status, answer = get(simulator, url, key="sk-ant-api03-x")
        assert (status, answer["error"]["type"]) == (403, "permission_error")
        assert simulator.stats()["requests"][path.split("/")[0]] == {"200": 2, "401": 1, "403": 1}


def test_what_was_sent_is_in_the_reports_at_once_and_after_a_restart(tmp_path):
    log = tmp_path / "billed.jsonl"
    today = datetime.now(UTC) - timedelta(minutes=5)
    asked = urllib.parse.urlencode({"starting_at": stamp(today), "group_by[]": "api_key_id"})
    texts = ["a", "b [[refusal_before_output=cyber]]", "c [[refusal_before_output=bio]]"]
    bodies = [
        {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
        for text in texts
    ]
    for round_ in (1, 2):
        with running_simulator(log=log) as simulator:
            client = anthropic.Anthropic(api_key=f"key-{round_}", base_url=simulator.base_url)
            for body in bodies:
                client.messages.create(**body)
            items = [{"custom_id": f"c{n}", "params": body} for n, body in enumerate(bodies)]
            batch = client.messages.batches.create(requests=items)
            ended(client, batch)
            status, used = get(simulator, f"/v1/organizations/usage_report/messages?{asked}")
            assert status == 200
            _, costs = get(simulator, f"/v1/organizations/cost_report?starting_at={stamp(today)}")
            lines = simulator.billed()
            assert paid(costs) == sum(line["cost_nano_usd"] for line in lines) > 0
        assert len(lines) == 6 * round_
        results = [line for bucket in used["data"] for line in bucket["results"]]
        assert len({line["api_key_id"] for line in results}) == round_
        counted = sum(line["uncached_input_tokens"] for line in results)
        assert counted == sum(line["usage"]["input_tokens"] for line in lines)
    assert "key-1" not in log.read_text()
