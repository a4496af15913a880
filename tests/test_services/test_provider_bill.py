"""The provider's reports: read in all forms, never half, and asked for as the API wants it."""

import json
import threading
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.read_bill import bill_of
from schemas.bill import LineKind, Pages, Use
from schemas.errors import BadInput, RunFailed
from schemas.money import EXACT
from services import gateway, provider_bill
from services.provider_bill import fetch_reports, read_reports, save_reports
from simulator import running_simulator

DAY = date(2026, 11, 20)
HAIKU = LineKind("tokens", "claude-haiku-5-5", "batch")


def bucket(results, day=DAY, hours=24, start=0):
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    stamps = [midnight + timedelta(hours=start + more) for more in (0, hours)]
    return {
        "starting_at": stamps[0].isoformat().replace("+00:00", "Z"),
        "ending_at": stamps[1].isoformat().replace("+00:00", "Z"),
        "results": results,
    }


def page(*buckets, following=None):
    return {"data": list(buckets), "has_more": following is not None, "next_page": following}


def used(tokens=5, **more):
    return {
        "uncached_input_tokens": tokens,
        "cache_creation": {"ephemeral_1h_input_tokens": 2, "ephemeral_5m_input_tokens": 1},
        "cache_read_input_tokens": 4,
        "output_tokens": 6,
        "server_tool_use": {"web_search_requests": 7},
        "model": "claude-haiku-5-5",
        "service_tier": "batch",
        "workspace_id": None,
        "field_of_a_later_version": [],
    } | more


def paid(amount="1.5", **more):
    return {
        "currency": "USD",
        "amount": amount,
        "cost_type": "tokens",
        "model": "claude-haiku-5-5",
        "service_tier": "batch",
        "workspace_id": None,
    } | more


USAGE, COST = page(bucket([used()])), page(bucket([paid()]))
USE = Use(input=5, cache_writes=3, cache_writes_1h=2, cache_reads=4, output=6, web_searches=7)


@pytest.mark.parametrize(
    ("content", "reports"),
    [
        ({"usage": [USAGE], "cost": [COST]}, "both"),
        ({"usage": USAGE, "cost": COST}, "both"),
        ([USAGE, COST], "both"),
        ({"usage": [USAGE]}, "usage"),
        ({"cost": [COST], "usage": None}, "cost"),
        (USAGE, "usage"),
        (COST, "cost"),
        ([USAGE, page(bucket([], DAY + timedelta(days=1)))], "usage"),
        ([page(bucket([], DAY + timedelta(days=1))), COST], "cost"),
    ],
)
def test_a_file_is_read_in_every_form(tmp_path, content, reports):
    file = tmp_path / "report.json"
    file.write_text(json.dumps(content))
    bill = bill_of(read_reports(file))
    assert bill.usage == (None if reports == "cost" else {(DAY, HAIKU): USE})
    assert bill.cost == (None if reports == "usage" else {(DAY, HAIKU): Decimal("0.015")})
    assert DAY in bill.days
    assert bill.simulated is None


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "not JSON"), ("{}", "usage"), ("[]", "which report"), ("3", "no data"), ("[{}]", "no data"),
        (json.dumps([page(bucket([]))]), "which report"),
        (json.dumps([USAGE, COST, page(bucket([]))]), "which report"),
        (json.dumps([page(bucket([{"zebra": 1}]))]), "neither"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_report_is_refused_in_a_sentence(tmp_path, content, word):
    file = tmp_path / "report.json"
    file.write_text(content)
    with pytest.raises(BadInput, match=word):
        read_reports(file)
    with pytest.raises(
        BadInput, match=r"cannot be read \(No such file or directory\)\. Nothing was compared"
    ):
        read_reports(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("usage", "cost", "word"),
    [
        ([page(bucket([used(model=None)]))], None, "not grouped by model"),
        ([page(bucket([used(service_tier=None)]))], None, "not grouped by model"),
        (None, [page(bucket([paid(cost_type=None)]))], "not grouped by description"),
        ([USAGE, USAGE], None, "twice"),
        (None, [COST, COST], "twice"),
        ([page(bucket([], hours=48))], None, "does not lie within one UTC day"),
        ([page(bucket([], start=12))], None, "does not lie within one UTC day"),
        ([page(bucket([used("5")]))], None, "uncached_input_tokens"),
        ([page(bucket([used(-5)]))], None, "uncached_input_tokens"),
        (None, [page(bucket([paid(1.5)]))], "amount"),
        (None, [page(bucket([paid("1e5")]))], "amount"),
        (None, [page(bucket([paid("NaN")]))], "amount"),
        (None, [page(bucket([paid(currency="EUR")]))], "currency"),
        (None, [{"data": None}], "data"),
        ([page({"starting_at": "2026-11-20T00:00:00", "ending_at": "x", "results": []})], None, "starting_at"),
    ],
)  # fmt: skip
def test_a_report_of_another_shape_is_refused(usage, cost, word):
    with pytest.raises(BadInput, match=word):
        bill_of(Pages(usage, cost, None, "x"))


def test_snapshots_searches_and_other_costs_find_their_lines():
    lines = [
        paid("1", model="claude-haiku-4-5-20251001", service_tier="standard"),
        paid("2", model="claude-haiku-4-5", service_tier=None),
        paid("3", cost_type="web_search", model=None, service_tier=None),
        paid("4", cost_type="code_execution", model=None, service_tier=None),
    ]
    bill = bill_of(Pages(None, [page(bucket(lines))], None, "x"))
    assert bill.cost == {
        (DAY, LineKind("tokens", "claude-haiku-4-5", "standard")): Decimal("0.03"),
        (DAY, LineKind("web_search")): Decimal("0.03"),
        (DAY, LineKind("code_execution")): Decimal("0.04"),
    }


def test_one_workspace_of_several():
    lines = [used(1), used(2, workspace_id="wrkspc_1")]
    pages = Pages([page(bucket(lines))], None, None, "x")
    for workspace, tokens in ((None, 3), ("default", 1), ("wrkspc_1", 2)):
        assert bill_of(pages, workspace).usage[DAY, HAIKU].input == tokens
    with pytest.raises(BadInput, match="default, wrkspc_1"):
        bill_of(pages, "wrkspc_2")


def test_hours_add_up_to_days_and_a_day_with_an_hour_missing_is_not_covered():
    hours = [bucket([used(hour)], hours=1, start=hour) for hour in range(24)]
    whole = bill_of(Pages([page(*hours[:9]), page(*hours[9:])], None, None, "x"))
    assert whole.days == {DAY}
    assert whole.usage[DAY, HAIKU].input == sum(range(24))
    assert bill_of(Pages([page(*hours[1:])], None, None, "x")).days == set()
    both = bill_of(Pages([USAGE], [page(bucket([], DAY + timedelta(days=1)))], None, "x"))
    assert both.days == set()


@given(st.lists(st.decimals("-1e25", "1e25", places=20), max_size=20))
def test_amounts_add_up_exactly(cents):
    lines = [paid(f"{amount:f}") for amount in cents]
    bill = bill_of(Pages(None, [page(bucket(lines))], None, "x"))
    units = sum(int(amount.scaleb(20, context=EXACT)) for amount in cents)
    found = bill.cost.get((DAY, HAIKU), Decimal(0))
    assert int(found.scaleb(22, context=EXACT)) == units


@contextmanager
def server(answers):
    """A server that gives these (status, headers, body) in turn, the last one for ever; and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            status, headers, body = answers[min(len(asked), len(answers)) - 1]
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in ({"content-length": str(len(raw))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}", asked
    finally:
        running.shutdown()
        running.server_close()


async def test_pages_are_followed_and_what_passes_is_tried_again():
    busy = (429, {"retry-after": "0"}, {})
    second = page(bucket([], DAY + timedelta(days=1)))
    with server(
        [
            busy,
            (200, {}, page(bucket([used()]), following="page_2")),
            (529, {"retry-after": "0"}, b"<html>"),
            (200, {}, second),
            (200, {}, COST),
        ]
    ) as (address, asked):
        pages = await fetch_reports(address, "sk-ant-admin01-x", DAY, DAY + timedelta(days=1))
    assert pages.usage == [page(bucket([used()]), following="page_2"), second]
    assert (pages.cost, pages.simulated) == ([COST], False)
    queries = [parse_qs(urlsplit(path).query) for path, _ in asked]
    assert [urlsplit(path).path.split("/")[3] for path, _ in asked] == ["usage_report"] * 4 + ["cost_report"]
    assert [query.get("page") for query in queries] == [None, None, ["page_2"], ["page_2"], None]
    assert queries[0] == {
        "starting_at": ["2026-11-20T00:00:00Z"], "ending_at": ["2026-11-22T00:00:00Z"], "bucket_width": ["1d"],
        "limit": ["31"], "group_by[]": ["model", "service_tier", "workspace_id"],
    }  # fmt: skip
    assert queries[-1]["group_by[]"] == ["description", "workspace_id"]
    headers = {name.lower(): value for name, value in asked[0][1].items()}
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("sk-ant-admin01-x", "2023-06-01")


async def test_today_is_asked_for_without_an_end():
    with server([(200, {}, page())]) as (address, asked):
        await fetch_reports(address, "k", DAY, datetime.now(UTC).date())
        await fetch_reports(address, "k", DAY, None)
    assert all("ending_at" not in path for path, _ in asked)


@pytest.mark.parametrize(
    ("answer", "error", "word"),
    [
        ((401, {}, {}), BadInput, "ANTHROPIC_ADMIN_KEY is not accepted"),
        ((403, {}, {}), BadInput, "ANTHROPIC_ADMIN_KEY is not accepted"),
        ((400, {}, {}), RunFailed, "HTTP 400"),
        ((500, {"retry-after": "0"}, {}), RunFailed, "HTTP 500"),
        ((200, {}, b"<html>"), RunFailed, "not a JSON object"),
        ((200, {}, page(following="page_1")), RunFailed, "lead back"),
        ((302, {"location": "http://127.0.0.1:1/"}, {}), RunFailed, "HTTP 302"),
    ],
)
async def test_what_goes_wrong_is_a_sentence_without_the_key(answer, error, word):
    with server([answer]) as (address, _), pytest.raises(error, match=word) as raised:
        await fetch_reports(address, "sk-ant-secret", DAY, None)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("address", ["ftp://x", "http://", "http://[", "zebra", "http://a:x"])
async def test_an_address_that_is_none_is_bad_input(address):
    with pytest.raises(BadInput, match="address"):
        await fetch_reports(address, "k", DAY, None)


async def test_what_the_simulator_billed_is_fetched_kept_and_read_again(tmp_path):
    today = datetime.now(UTC).date()
    body = {
        "model": "claude-haiku-5-5", "max_tokens": 50,
        "messages": [{"role": "user", "content": "hi [[output_tokens=7]]"}],
    }  # fmt: skip
    with running_simulator(log=tmp_path / "log") as simulator:
        anthropic.Anthropic(api_key="k", base_url=simulator.base_url).messages.create(**body)
        pages = await fetch_reports(simulator.base_url, "sk-ant-admin01-x", today - timedelta(days=70), None)
        [line] = simulator.billed()
        with pytest.raises(BadInput, match="HTTP 403"):
            await fetch_reports(simulator.base_url, "sk-ant-api03-x", today, None)
        behind = await fetch_reports(
            simulator.base_url.replace("://", "://SECRET@"), "sk-ant-admin01-x", today, None
        )
    assert behind.source == simulator.base_url.replace("://", "://***@")
    assert (len(pages.usage), len(pages.cost), pages.simulated) == (3, 3, True)
    assert provider_bill._SIMULATED_HEADER == gateway.SIMULATED_HEADER
    bill = bill_of(pages)
    assert len(bill.days) >= 71
    [((day, kind), cost)] = bill.cost.items()
    assert (kind, cost) == (LineKind("tokens", "claude-haiku-5-5", "standard"), Decimal(line["cost_usd"]))
    assert bill.usage[day, kind].output == 7
    save_reports(pages, tmp_path / "deep" / "kept.json")
    again = read_reports(tmp_path / "deep" / "kept.json")
    assert (again.usage, again.cost, again.simulated) == (pages.usage, pages.cost, True)
    with pytest.raises(BadInput, match="cannot be kept"):
        save_reports(pages, tmp_path / "log" / "kept.json")
