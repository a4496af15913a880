"""The prompt cache as callers of Messages see it: when an entry can be read, for how long, and what it saves."""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import anthropic
import httpx2
import pytest

from tests.test_simulator.calls import params, sdk, serving

PLAN = """
[latency]
message_seconds = 0.6
[[faults]]
endpoint = "messages"
kind = "slow"
seconds = 3
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


def test_requests_that_run_at_the_same_time_do_not_read_what_one_of_them_writes(client):
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: used(client, text("law", **MARK)), range(4)))
    assert [(read, written > 1_900) for read, written in together] == [(0, True)] * 4
    read, written = used(client, text("law", **MARK))
    assert (read > 1_900, written) == (True, 0)


@contextlib.contextmanager
def streaming(client, words):
    """A slow stream that writes some words to the cache: (set when its first event is there, set at its end)."""
    begun, ended = threading.Event(), threading.Event()

    def read():
        with client.messages.stream(**params("<slow>", system=[text(words, **MARK)])) as events:
            for _ in events:
                begun.set()
        ended.set()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(read)
        yield begun, ended
        running.result()


def test_what_a_stream_writes_is_not_read_before_its_first_event(client):
    with streaming(client, "early") as (begun, _):
        time.sleep(0.2)
        assert used(client, text("early", **MARK))[0] == 0
        assert begun.wait(30)


def test_what_a_stream_writes_is_read_from_its_first_event_on_not_only_from_its_end(client):
    with streaming(client, "late") as (begun, ended):
        assert begun.wait(30)
        assert used(client, text("late", **MARK))[0] > 1_900
        assert not ended.is_set()


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
