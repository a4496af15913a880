"""The gateway on connections that fail: what never left is not billed, and each sentence names the cause and the fix."""

import asyncio
import logging
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest
import stamina

from schemas.errors import BadInput, RunFailed
from schemas.failures import EndpointUnusable, MayBeBilled, Refused, Transient
from schemas.policy_sections import RateLimits
from services.api_client import Heard, client_for
from services.gateway import open_gateway
from services.limiter import CallWeight
from simulator import running_simulator
from tests.fake_batches import body_of
from tests.raw_servers import MESSAGE, always, raw_server, reply

LIMITS = RateLimits(tries=3, request_timeout_seconds=20, max_wait_seconds=2, messages_per_minute=60_000)
BODY = {"model": "claude-haiku-5-5", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
NOT_FOUND = reply(404, b'{"detail": "Not Found"}')


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    with stamina.set_testing(True, attempts=100, cap=True):  # waits nowhere, keeps the number of tries
        yield


async def leaving():
    pass


async def failure_of_sending(url, limits=LIMITS, body=BODY):
    async with open_gateway(limits, url) as gateway:
        with pytest.raises((Transient, MayBeBilled, EndpointUnusable, Refused)) as error:
            await gateway.send(body, leaving=leaving)
        return error.value, gateway


# -------------------------------------------------------------------------------------------------- connections


@pytest.mark.parametrize("idle", [0.0, 0.05, 5.0])
async def test_connections_that_the_server_closes_when_idle_lose_no_paid_call(idle):
    async with (
        raw_server(always(reply(200, MESSAGE)), idle=idle) as server,
        open_gateway(LIMITS, server.url) as gateway,
    ):
        for pause in (0, 0, 0.001, 0.05, 0.051, 0):
            await asyncio.gather(*(gateway.send(BODY, leaving=leaving) for _ in range(5)))
            await asyncio.sleep(pause)
            time.sleep(pause)  # noqa: ASYNC251 - a busy loop, which does not see that the server hung up
        assert server.requests == server.connections == 30


async def test_a_simulator_that_resets_every_kept_connection_loses_no_paid_call(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('[[faults]]\nendpoint = "messages"\nkind = "reset_kept_alive"\nprobability = 1.0\n')
    with running_simulator(plan=plan) as simulator:
        async with open_gateway(LIMITS, simulator.base_url) as gateway:
            for _ in range(3):
                await asyncio.gather(*(gateway.send(BODY, leaving=leaving) for _ in range(5)))
        assert simulator.stats()["billed"] == 15


async def test_a_server_that_reads_a_request_and_hangs_up_may_have_billed_it():
    async with raw_server(always(None)) as server:
        error, gateway = await failure_of_sending(server.url)
    assert (type(error), error.tries, server.requests) == (MayBeBilled, 1, 1)
    assert "lost or timed out after the request left" in str(error)
    assert (gateway.tally.message, gateway.tally.retried, gateway.tally.failed) == (1, 0, 1)


async def test_what_cannot_be_put_together_never_left(monkeypatch):
    async with raw_server(always(reply(200, MESSAGE))) as server:
        error, _ = await failure_of_sending(server.url, body=BODY | {"system": "\ud800"})
        assert (type(error), server.requests) == (Transient, 0)
        assert "could not be put together on this side, and nothing left (TypeError)" in str(error)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://", "127.0.0.1:1"])
async def test_an_address_that_none_can_call_stops_the_run(url):
    error, _ = await failure_of_sending(url)
    assert type(error) is EndpointUnusable
    assert "correct ANTHROPIC_BASE_URL" in str(error)


async def test_a_dead_proxy_is_named_and_the_request_never_left(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    error, _ = await failure_of_sending("http://api.invalid")
    assert type(error) is Transient
    assert "the proxy does not answer; correct HTTPS_PROXY" in str(error)


async def test_a_proxy_that_refuses_to_connect_is_named_and_the_request_never_left(monkeypatch):
    async with raw_server(always(reply(407))) as proxy:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        error, _ = await failure_of_sending("https://api.invalid")
    assert type(error) is Transient
    assert "the proxy answered HTTP 407" in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_server_of_ones_own_is_reached_without_the_proxy(monkeypatch, host):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with (
        raw_server(always(reply(200, MESSAGE))) as server,
        open_gateway(LIMITS, server.url.replace("127.0.0.1", host)) as gateway,
    ):
        await gateway.send(BODY, leaving=leaving)


# ---------------------------------------------------------------------------------------- what is told, at once


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "k.pem",
            "-out",
            "c.pem",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    return context, str(folder / "c.pem")


async def test_a_certificate_of_ones_own_is_told_at_once_and_trusted_when_named(tls, monkeypatch):
    context, authority = tls
    async with raw_server(always(reply(200, MESSAGE)), tls=context) as server:
        error, _ = await failure_of_sending(server.url)
        assert (type(error), error.tries, server.requests) == (EndpointUnusable, 1, 0)
        assert "not trusted (self-signed certificate); set SSL_CERT_FILE" in str(error)
        async with open_gateway(LIMITS, server.url) as gateway:
            with pytest.raises(RunFailed, match="not trusted"):
                await gateway.models()
        monkeypatch.setenv("SSL_CERT_FILE", authority)
        async with open_gateway(LIMITS, server.url) as gateway:
            await gateway.send(BODY, leaving=leaving)


async def test_https_to_a_server_that_speaks_http_is_told_at_once():
    with running_simulator() as simulator:
        error, _ = await failure_of_sending(simulator.base_url.replace("http:", "https:"))
        assert (type(error), error.tries, simulator.stats()["billed"]) == (EndpointUnusable, 1, 0)
    assert "does the address speak https?" in str(error)


async def test_headers_that_are_too_large_are_told_with_their_cause():
    async with raw_server(always(reply(200, MESSAGE, x_padding="p" * 9_000))) as server:
        error, _ = await failure_of_sending(server.url)
        assert (type(error), server.requests) == (MayBeBilled, 1)
        assert "headers of the answer are larger than the 8 KB" in str(error)
        async with open_gateway(LIMITS, server.url) as gateway:
            with pytest.raises(RunFailed, match="larger than the 8 KB"):
                await gateway.models()
        assert server.requests == 2  # a free call is not tried again either


async def test_a_redirect_is_told_with_its_location_and_not_followed():
    async with raw_server(always(reply(308, location="https://elsewhere.example/v1?key=secret"))) as server:
        error, _ = await failure_of_sending(server.url)
        assert (type(error), error.tries, server.requests) == (EndpointUnusable, 1, 1)
    assert "redirects to https://elsewhere.example/v1?key=***" in str(error)


async def test_an_address_without_batches_is_told_so_and_nothing_is_doubtful():
    async with raw_server(always(NOT_FOUND)) as server, open_gateway(LIMITS, server.url) as gateway:
        with pytest.raises(EndpointUnusable, match="has no Message Batches") as error:
            await gateway.create_batch(body_of({"custom_id": "a", "params": BODY}))
        assert error.value.status == 404
        assert (gateway.tally.batch_create, gateway.tally.failed) == (1, 1)


async def test_a_404_of_a_creation_where_there_is_a_list_of_batches_proves_nothing():
    async def answer(_server, head, _body):
        page = {"data": [], "has_more": False, "first_id": None, "last_id": None}
        return NOT_FOUND if head.startswith(b"POST") else reply(200, orjson.dumps(page))

    async with raw_server(answer) as server, open_gateway(LIMITS, server.url) as gateway:
        with pytest.raises(MayBeBilled):
            await gateway.create_batch(body_of({"custom_id": "a", "params": BODY}))


@pytest.mark.parametrize(
    ("status", "kind", "expected", "requests"),
    [
        (500, "api_error", MayBeBilled, 1),
        (529, "overloaded_error", Transient, 3),
        (429, "rate_limit_error", Transient, 3),
        (503, "", MayBeBilled, 1),
    ],
)
async def test_a_creation_that_ends_in_5xx_is_doubtful_but_for_two_errors(status, kind, expected, requests):
    body = orjson.dumps({"type": "error", "error": {"type": kind, "message": "m"}} if kind else "a page")
    async with raw_server(always(reply(status, body))) as server, open_gateway(LIMITS, server.url) as gateway:
        with pytest.raises(expected):
            await gateway.create_batch(body_of({"custom_id": "a", "params": BODY}))
    assert server.requests == requests


# ------------------------------------------------------------------------------------------------------- figures


async def test_counts_that_fail_are_counted_with_all_their_tries():
    async with (
        raw_server(always(reply(502, b"<html>"))) as server,
        open_gateway(LIMITS, server.url) as gateway,
    ):
        for _ in range(2):
            with pytest.raises(Transient):
                await gateway.count({"model": "m", "messages": []})
        tally = gateway.tally
    assert (tally.count, tally.retried, tally.failed, server.requests) == (2, 4, 2, 6)


@pytest.mark.parametrize("count", [True, -1, 2**63, 1.5, "12", None])
async def test_a_count_that_is_no_number_of_tokens_is_no_count(count):
    async with (
        raw_server(always(reply(200, orjson.dumps({"input_tokens": count})))) as server,
        open_gateway(LIMITS, server.url) as gateway,
    ):
        with pytest.raises(Transient, match="not a number of tokens"):
            await gateway.count({"model": "m", "messages": []})


# ----------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
@pytest.mark.parametrize("around", ["\n", "\r\n", " ", "\t\n"])
async def test_white_space_around_a_key_is_left_out(monkeypatch, name, around):
    heads = []

    async def answer(_server, head, _body):
        heads.append(head)
        return reply(200, MESSAGE)

    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv(name, f"{around}sk-ant-0123{around}")
    async with raw_server(answer) as server, open_gateway(LIMITS, server.url) as gateway:
        await gateway.send(BODY, leaving=leaving)
    assert b"sk-ant-0123\r\n" in heads[0]


@pytest.mark.parametrize("key", ["sk-ant\n0123", "sk-änt", "sk ant", "“sk-ant”", "sk\x7f"])
def test_a_key_that_no_header_takes_is_bad_input_and_is_not_shown(monkeypatch, key):
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    with pytest.raises(BadInput, match="Copy the key again") as error:
        client_for("http://127.0.0.1:1")
    assert key not in str(error.value)


def test_a_key_of_white_space_is_none(monkeypatch, tmp_path):
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANTHROPIC_API_KEY", " \n")
    with pytest.raises(BadInput, match="There is no API key"):
        client_for()


async def test_the_endpoint_is_shown_masked():
    async with open_gateway(LIMITS, "http://user:secret@127.0.0.1:1/v1?token=secret") as gateway:
        assert "secret" not in gateway.endpoint
        assert "127.0.0.1:1" in gateway.endpoint


# -------------------------------------------------------------------------------------------- what every answer says


@pytest.mark.parametrize("minutes", [-70, -6, 0, 6, 70])
async def test_the_clocks_are_compared_and_a_large_skew_is_told_once(caplog, minutes):
    async def answer(_server, _head, _body):
        now = datetime.now(UTC) - timedelta(minutes=minutes)
        return reply(200, MESSAGE, date=format_datetime(now, usegmt=True))

    caplog.set_level(logging.WARNING, "weighbridge")
    async with raw_server(answer) as server, open_gateway(LIMITS, server.url) as gateway:
        assert gateway.clock_skew is None
        for _ in range(3):
            await gateway.send(BODY, leaving=leaving)
        assert abs(gateway.clock_skew - timedelta(minutes=minutes)) < timedelta(seconds=3)
    warnings = [
        record.getMessage() for record in caplog.records if "clock of this machine" in record.getMessage()
    ]
    assert len(warnings) == (abs(minutes) > 5)
    assert all(("ahead of" if minutes > 0 else "behind") in warning for warning in warnings)


async def test_one_odd_date_does_not_move_the_skew():
    heard = Heard()
    now = datetime.now(UTC)
    for seconds in range(5):
        heard.hear({"date": format_datetime(now - timedelta(seconds=seconds), usegmt=True)})
    far = "Mon, 01 Jan 2001 00:00:00 +99999999999999999999"
    for date in ("Mon, 01 Jan 2001 00:00:00 GMT", "yesterday", "", "Mon, 99 Jan 2001 00:00:00 GMT", far):
        heard.hear({"date": date})
    assert abs(heard.clock_skew) < timedelta(seconds=10)


async def test_the_workspace_is_kept_from_any_answer_also_of_a_runs_own_tally():
    with running_simulator() as simulator:
        async with open_gateway(LIMITS, simulator.base_url) as gateway:
            own = gateway.counting_in(gateway.tally.model_copy())
            assert own.workspace is None
            await gateway.models()
            assert own.workspace == gateway.workspace == "wrkspc_sim_default"
            assert own.clock_skew is not None


# -------------------------------------------------------------------------------------------------------- rates


async def test_a_job_heavier_than_a_given_rate_never_leaves():
    limits = LIMITS.model_copy(update={"output_tokens_per_minute": 100})
    async with raw_server(always(reply(200, MESSAGE))) as server, open_gateway(limits, server.url) as gateway:
        with pytest.raises(Refused) as error:
            await gateway.send(BODY, leaving=leaving, weight=CallWeight(10, 101))
        assert "limits.output_tokens_per_minute (100)" in error.value.explanation
        await gateway.send(BODY, leaving=leaving, weight=CallWeight(10, 100))
    assert server.requests == 1


@pytest.mark.slow
async def test_the_simulators_limits_of_a_model_are_kept_with_few_refusals(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[[limits.models]]\nmodels = ["claude-haiku-5-5"]\nrequests_per_minute = 1_200\n'
        '[[limits.models]]\nmodels = ["claude-sonnet-5-5"]\ninput_tokens_per_minute = 60_000\n'
        "output_tokens_per_minute = 30_000\n"
    )
    limits = RateLimits(tries=10)
    with running_simulator(plan=plan) as simulator:
        async with open_gateway(limits, simulator.base_url) as gateway:
            started = time.monotonic()
            light = (gateway.send(BODY, leaving=leaving, weight=CallWeight(10, 5)) for _ in range(100))
            heavy = {
                "model": "claude-sonnet-5-5",
                "max_tokens": 5,
                "messages": [{"role": "user", "content": "word " * 1_000}],
            }
            counted = await gateway.count({key: heavy[key] for key in ("model", "messages")})
            weight = CallWeight(counted, 5)
            heavies = (gateway.send(heavy, leaving=leaving, weight=weight) for _ in range(50_000 // counted))
            await asyncio.gather(*light, *heavies)
            seconds = time.monotonic() - started
            assert gateway.tally.retried <= 5
        assert simulator.stats()["billed"] == 100 + 50_000 // counted
    # 100 calls at 1,200 a minute; the heavy ones fit a minute's tokens, and wait for none to pass
    assert 4 < seconds < 60
