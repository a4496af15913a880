"""The prompt cache as callers of Messages see it: when an entry can be read, for how long, and what it saves."""

import contextlib
import json
import socket

import anthropic
import httpx2
import pytest

from tests.processes import until
from tests.test_simulator.calls import params, sdk, serving

PLAN = """
[[faults]]
endpoint = "messages"
kind = "hang"
seconds = 3600
match = "<held>"
probability = 1
[[faults]]
endpoint = "messages"
kind = "slow"
seconds = 60
match = "<slow>"
probability = 1
"""

QUICK = "seed = 1"

MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def text(words, **more):
    return {"type": "text", "text": f"{words} " * 2_000, **more}


def used(client, *system, **more):
    """(read, written) by a request with some system blocks, in tokens."""
    usage = client.messages.create(**params(system=list(system), **more)).usage
    return usage.cache_read_input_tokens, usage.cache_creation_input_tokens


@contextlib.contextmanager
def held(simulator, **body):
    """A request that is taken, and whose answer does not begin."""
    raw = json.dumps(params("<held>", **body)).encode()
    host, port = simulator.base_url.removeprefix("http://").split(":")
    head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: any\r\ncontent-length: {len(raw)}\r\n\r\n"
    before = len(simulator.billed())
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + raw)
        until(lambda: len(simulator.billed()) > before, "its bill")
        yield


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_a_request_writes_is_not_read_before_its_answer_begins(simulator, client, stream):
    words = f"held {stream}"
    with held(simulator, system=[text(words, **MARK)], stream=stream):
        read, written = used(client, text(words, **MARK))
        assert (read, written > 1_900) == (0, True)
        read, written = used(client, text(words, **MARK))
        assert (read > 1_900, written) == (True, 0)


def test_what_a_stream_writes_is_read_from_its_first_event_on_not_only_from_its_end(client):
    # its first event comes after a pause, as each does, and the last a minute later
    slow = params("<slow> [[output_tokens=900]]", system=[text("late", **MARK)], max_tokens=900, stream=True)
    with client.messages.create(**slow) as events:
        assert next(iter(events)).type == "message_start"
        assert used(client, text("late", **MARK))[0] > 1_900


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    with serving(tmp_path_factory, QUICK) as simulator, sdk(simulator) as client:
        yield simulator, client


def test_entries_live_by_the_clock_of_the_api_which_a_test_can_put_forward(quick):
    simulator, client = quick
    assert used(client, text("five", **MARK))[1] > 1_900
    assert used(client, text("hour", **HOUR))[1] > 1_900
    for _ in range(3):
        simulator.advance_clock(290)
        assert used(client, text("five", **MARK))[0] > 1_900
    simulator.advance_clock(301)
    assert used(client, text("five", **MARK))[0] == 0
    assert used(client, text("hour", **MARK))[0] > 1_900
    simulator.advance_clock(3_601)
    assert used(client, text("hour", **HOUR))[0] == 0


@pytest.mark.parametrize(
    "body", ["[]", "{}", "no", *(f'{{"advance_seconds": {wrong}}}' for wrong in ("0", '"1"', "true", "1e99"))]
)
def test_the_clock_is_put_forward_by_a_number_of_seconds_only(quick, body):
    simulator, _ = quick
    answer = httpx2.post(f"{simulator.base_url}/simulator/clock", content=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_each_marker_writes_an_entry_and_the_bill_splits_the_writes_by_lifetime(quick):
    simulator, client = quick
    system = [text("first", **HOUR), text("second", **MARK), text("third")]
    usage = client.messages.create(**params(system=system)).usage
    split = usage.cache_creation
    assert split.ephemeral_1h_input_tokens > 1_900
    assert split.ephemeral_5m_input_tokens > 1_900
    assert (
        split.ephemeral_1h_input_tokens + split.ephemeral_5m_input_tokens == usage.cache_creation_input_tokens
    )
    line = simulator.billed()[-1]
    assert line["usage"] == usage.model_dump(mode="json", exclude_none=True)
    input_nano = (
        usage.input_tokens * 100
        + split.ephemeral_1h_input_tokens * 200
        + split.ephemeral_5m_input_tokens * 125
    )
    assert line["cost_nano_usd"] == input_nano + usage.output_tokens * 500
    read, written = used(client, text("first", **MARK), text("other", **MARK))
    assert (read, written > 1_900) == (split.ephemeral_1h_input_tokens, True)


def test_a_request_that_is_refused_keeps_nothing_alive_and_writes_nothing(tmp_path_factory):
    plan = '[[faults]]\nendpoint = "messages"\nkind = "status"\nstatus = 529\nmatch = "<busy>"\nprobability = 1\n'
    with serving(tmp_path_factory, plan) as simulator, sdk(simulator) as client:
        used(client, text("law", **MARK))
        simulator.advance_clock(200)
        for words in ("law", "new"):
            with pytest.raises(anthropic.APIStatusError):
                used(client, text(words, **MARK), messages=[{"role": "user", "content": "<busy>"}])
        simulator.advance_clock(200)
        assert used(client, text("law", **MARK))[0] == used(client, text("new", **MARK))[0] == 0
