"""Prepared calls: on the wire they are the SDK's own, and whatever answers them is judged as the SDK's own call is."""

import asyncio
import gzip
import json
from collections import Counter
from contextlib import aclosing
from itertools import count

import orjson
import pytest
from anthropic import AsyncAnthropic, Timeout
from anthropic.lib.credentials import AccessToken
from hypothesis import HealthCheck, given, settings

from schemas.failures import CallFailed, Transient
from schemas.payload.payload import Payload
from schemas.policy_sections import RateLimits
from services.api_client import Heard, http_client
from services.gateway import open_gateway
from services.prepared_calls import CONNECT_SECONDS, PreparedCalls
from tests.raw_servers import MESSAGE, RawServer, raw_server, reply
from tests.strategies import requests

SECONDS = 60
LIMITS = RateLimits(tries=1, request_timeout_seconds=SECONDS, max_wait_seconds=1, messages_per_minute=600_000)
MODEL = "claude-haiku-5-5"
BODY = {"model": MODEL, "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
COUNT = orjson.dumps({"input_tokens": 8})
PATHS = {"/v1/messages": MESSAGE, "/v1/messages/count_tokens": COUNT}


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")


async def leaving():
    pass


class Wire:
    """A server that keeps what it reads."""

    def __init__(self):
        self.read = []

    async def answer(self, _server, head, body):
        self.read.append((head, body))
        return reply(200, PATHS[head.split()[1].decode()])


def lines(head):
    """The lines of a head, but for the length of a body that may be written in another order."""
    first, *headers = head.decode().strip().split("\r\n")
    names = Counter(line.partition(":")[0].lower() for line in headers)
    assert names.pop("content-length") == 1
    return first, Counter(line.lower() for line in headers if not line.lower().startswith("content-length:"))


# ------------------------------------------------------------------------------------------------------ on the wire


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(request=requests)
async def test_a_call_is_on_the_wire_what_the_plain_call_of_the_sdk_is(request):
    payload = Payload.checked(request)
    message, counted = payload.message_body(MODEL), payload.count_body(MODEL)
    wire = Wire()
    async with raw_server(wire.answer) as server:
        async with AsyncAnthropic(base_url=server.url) as plain:
            await plain.messages.create(**message, timeout=Timeout(SECONDS, connect=CONNECT_SECONDS))
            await plain.messages.count_tokens(**counted, timeout=Timeout(60, connect=CONNECT_SECONDS))
        async with open_gateway(LIMITS, server.url) as gateway:
            for _ in range(2):
                await gateway.send(message, leaving=leaving)
                await gateway.count(counted)
    for ours in (wire.read[2:4], wire.read[4:6]):
        for (head, body), (plain_head, plain_body) in zip(ours, wire.read[:2], strict=True):
            assert lines(head) == lines(plain_head)
            assert json.loads(body) == json.loads(plain_body)
            assert len(body) == len(plain_body) or b"e" in body  # a number may be written 1e16 or 1e+16


@pytest.fixture
def by_the_sdk(monkeypatch):
    """The paths of the calls that the SDK makes."""
    paths = []
    plain = AsyncAnthropic.post

    async def post(client, path, **options):
        paths.append(path)
        return await plain(client, path, **options)

    monkeypatch.setattr(AsyncAnthropic, "post", post)
    return paths


async def test_of_calls_that_start_together_the_sdk_makes_one_and_none_waits_for_its_answer(by_the_sdk):
    together, all_here = 20, asyncio.Event()

    async def answer(raw, _head, _body):
        if raw.requests == together:
            all_here.set()
        await all_here.wait()
        return reply(200, MESSAGE)

    async with raw_server(answer) as server, open_gateway(LIMITS, server.url) as gateway:
        await asyncio.gather(*(gateway.send(BODY, leaving=leaving) for _ in range(together)))
    assert by_the_sdk == ["/v1/messages"]


async def test_calls_that_start_together_do_not_wait_for_one_that_could_not_be_built(monkeypatch):
    heard, wire, tokens = Heard(), Wire(), iter(range(100))

    async def token(**_):
        await asyncio.sleep(0.01)
        if not (number := next(tokens)):
            raise RuntimeError("no token")
        return AccessToken(f"token-{number}", 0)

    monkeypatch.delenv("ANTHROPIC_API_KEY")
    async with raw_server(wire.answer) as server:
        client = AsyncAnthropic(
            base_url=server.url,
            credentials=token,
            http_client=http_client(heard, paid=True),
            max_retries=0,
        )
        async with client, aclosing(PreparedCalls(client, heard, paid=True, seconds=SECONDS)) as calls:
            ended = await asyncio.wait_for(
                asyncio.gather(
                    *(calls.post("/v1/messages", orjson.dumps(BODY)) for _ in range(4)),
                    return_exceptions=True,
                ),
                SECONDS,
            )
    assert [isinstance(one, Exception) for one in ended].count(True) == 1
    assert len(wire.read) == 3


# ------------------------------------------------------------------------------------------------------- judged alike

ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}, "request_id": "req_1"}
ZIPPED = gzip.compress(MESSAGE)


FAULTS = {
    "hangs up": None,
    "hangs up in the head": reply(200, MESSAGE)[:40],
    "hangs up in the body": reply(200, MESSAGE)[:-20],
    "an error of the API": reply(529, orjson.dumps(ERROR), request_id="req_2", retry_after="100"),
    "an error that is zipped": reply(529, gzip.compress(orjson.dumps(ERROR)), content_encoding="gzip"),
    "a page of a proxy": reply(502, b"<html>"),
    "a refusal": reply(400, orjson.dumps({"type": "error", "error": {"type": "invalid_request_error"}})),
    "a redirect": reply(308, location="https://elsewhere.example/v1"),
    "not modified": reply(304),
    "large headers": reply(200, MESSAGE, x_padding="p" * 9_000),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "no JSON": reply(200, b"{"),
    "a body that is not zipped as it says": reply(200, MESSAGE, content_encoding="gzip"),
    "a body zipped in part": reply(200, ZIPPED[:20], content_encoding="gzip"),
    "no content": reply(204),
}


#: for a call that is never answered
BRIEF = LIMITS.model_copy(update={"request_timeout_seconds": 3})


async def verdict(fault, *, after_a_success, limits=LIMITS):
    """What becomes of a call: its failure, or its answer."""

    async def answer(raw: RawServer, _head, _body):
        return reply(200, MESSAGE) if after_a_success and raw.requests == 1 else fault

    async with raw_server(answer) as server, open_gateway(limits, server.url) as gateway:
        if after_a_success:
            await gateway.send(BODY, leaving=leaving)
        try:
            return (await gateway.send(BODY, leaving=leaving)).body
        except CallFailed as error:
            failure = error.as_failure()
            return type(error), failure, server.requests - after_a_success


#: each takes two time limits; of the two, the first is in the quick suite
HANGING = {"hangs up in the head": (), "hangs up in the body": (pytest.mark.slow,)}


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, marks=HANGING.get(fault, ()), id=fault.replace(" ", "_")) for fault in FAULTS],
)
async def test_whatever_answers_a_prepared_call_is_judged_as_the_sdks_own_call_is(fault):
    limits = BRIEF if fault in HANGING else LIMITS
    first = await verdict(FAULTS[fault], after_a_success=False, limits=limits)
    again = await verdict(FAULTS[fault], after_a_success=True, limits=limits)
    assert first[:1] == again[:1]
    assert again[2] == first[2] == 1
    assert without_cause(again[1]) == without_cause(first[1])


def without_cause(failure):
    """A failure's sentence, less the name of the library's exception, which differs by the layer that raised it."""
    return str(failure).split(" (")[0]


async def test_an_answer_that_is_zipped_is_read():
    assert (
        await verdict(reply(200, ZIPPED, content_encoding="gzip"), after_a_success=True) == MESSAGE.decode()
    )


async def test_a_server_that_is_gone_was_never_reached():
    async with raw_server(Wire().answer) as server:
        gone = open_gateway(LIMITS, server.url)
        gateway = await gone.__aenter__()
        await gateway.send(BODY, leaving=leaving)
    with pytest.raises(Transient, match="no connection could be made"):
        await gateway.send(BODY, leaving=leaving)
    await gone.__aexit__(None, None, None)


async def test_a_server_that_does_not_answer_in_time_may_have_billed():
    gave_up = asyncio.Event()

    async def answer(raw, _head, _body):
        if raw.requests > 1:
            await gave_up.wait()
            return None
        return reply(200, MESSAGE)

    async with raw_server(answer) as server, open_gateway(BRIEF, server.url) as gateway:
        await gateway.send(BODY, leaving=leaving)
        with pytest.raises(CallFailed, match="timed out after the request left"):
            await gateway.send(BODY, leaving=leaving)
        gave_up.set()


async def test_a_call_through_a_proxy_stays_with_the_sdk(monkeypatch):
    wire = Wire()

    async def answer(server, head, body):
        return await wire.answer(server, head.replace(b"http://api.invalid", b""), body)

    async with raw_server(answer) as proxy:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with open_gateway(LIMITS, "http://api.invalid") as gateway:
            for _ in range(3):
                await gateway.send(BODY, leaving=leaving)
    assert len(wire.read) == 3


async def test_a_token_that_changes_is_asked_for_with_each_call(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    tokens = (AccessToken(f"token-{number}", 0) for number in count())
    heard, wire = Heard(), Wire()
    async with raw_server(wire.answer) as server:
        client = AsyncAnthropic(
            base_url=server.url,
            credentials=lambda **_: next(tokens),
            http_client=http_client(heard, paid=True),
            max_retries=0,
        )
        async with client, aclosing(PreparedCalls(client, heard, paid=True, seconds=SECONDS)) as calls:
            for _ in range(3):
                await calls.post("/v1/messages", orjson.dumps(BODY))
    said = [line for head, _ in wire.read for line in lines(head)[1] if line.startswith("authorization")]
    assert len(set(said)) == 3
