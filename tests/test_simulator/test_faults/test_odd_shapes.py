"""Answers and result lines that are a little off: what is odd about each, and that it is paid for all the same."""

import json

import httpx2
import pytest

from simulator.faults.odd_shapes import HUGE, SEPARATORS, odd_answer, odd_line
from tests.test_simulator.calls import ended, params, sdk

ANSWERS = ("whole_floats", "usage_huge", "stop_reason_missing", "bom", "lone_surrogate", "line_separator")
LINES = ("result_text", "unknown_type")
PLAN = "[batches]\nprocessing_seconds = 0.05\n" + "".join(
    f'[[faults]]\nendpoint = "{place}"\nkind = "odd_shape"\nshape = "{shape}"\nmatch = "<{shape}>"\n'
    for place, shapes in (("messages", ANSWERS), ("batch_items", (*ANSWERS, *LINES, "error_text")))
    for shape in shapes
)
KEY = {"x-api-key": "any"}


def assert_odd(raw, message, shape):
    """What is odd about the bytes of a message, or of a line with it, and about what a lenient reader makes of them."""
    assert raw.startswith(b"\xef\xbb\xbf") == (shape == "bom")
    assert (b"\\ud83d" in raw) == (shape == "lone_surrogate")
    assert (SEPARATORS.encode() in raw) == (shape == "line_separator")
    usage = message["usage"]
    assert isinstance(usage["input_tokens"], float) == (shape == "whole_floats")
    assert (usage["output_tokens"] == HUGE) == (shape == "usage_huge")
    assert ("stop_reason" in message) == (shape != "stop_reason_missing")


@pytest.mark.parametrize("shape", ANSWERS)
def test_an_answer_is_odd_in_its_one_way_and_billed_for_what_it_was(simulator, shape):
    answer = httpx2.post(f"{simulator.base_url}/v1/messages", headers=KEY, json=params(f"<{shape}>"))
    assert answer.status_code == 200
    message = json.loads(answer.content.decode("utf-8-sig"))
    assert_odd(answer.content, message, shape)
    [line] = [line for line in simulator.billed() if line["message_id"] == message["id"]]
    assert (line["message_id"], line["fault"], line["billed"]) == (message["id"], "odd_shape", True)
    assert line["usage"]["output_tokens"] < HUGE
    struck = simulator.faults()[-1]
    assert (struck["shape"], struck["taken"], struck["billed"]) == (shape, True, True)


def test_result_lines_are_odd_at_each_download_and_the_other_lines_are_as_ever(simulator):
    names = [*ANSWERS, *LINES, "error_text", "plain"]
    requests = [{"custom_id": name, "params": params(f"<{name}>")} for name in names]
    with sdk(simulator) as client:
        batch = ended(client, client.messages.batches.create(requests=requests))
    raw, again = (httpx2.get(batch.results_url, headers=KEY).content for _ in range(2))
    assert raw == again
    lines = raw.removesuffix(b"\n").split(b"\n")
    assert len(lines) == len(names)
    found = {json.loads(line.decode("utf-8-sig"))["custom_id"]: line for line in lines}
    for name in (*ANSWERS, "plain"):
        result = json.loads(found[name].decode("utf-8-sig"))["result"]
        assert result["type"] == "succeeded"
        assert_odd(found[name], result["message"], name)
    text = json.loads(found["result_text"])["result"]
    assert json.loads(text)["message"]["type"] == "message"
    assert json.loads(found["unknown_type"])["result"]["type"] == "postponed"
    erred = json.loads(found["error_text"])["result"]
    assert (erred["type"], type(erred["error"])) == ("errored", str)
    billed = {
        line["custom_id"]: line["fault"] for line in simulator.billed() if line.get("batch_id") == batch.id
    }
    assert billed == {
        name: None if name == "plain" else "odd_shape" for name in names if name != "error_text"
    }
    struck = {
        line["custom_id"]: line["billed"] for line in simulator.faults() if line.get("batch_id") == batch.id
    }
    assert struck == {name: name != "error_text" for name in names if name != "plain"}


def test_an_answer_without_a_text_gets_one_for_the_odd_character():
    message = {"content": [{"type": "tool_use"}], "usage": {}, "stop_reason": "tool_use"}
    assert b"\\ud83d" in odd_answer(message, "lone_surrogate")
    assert message["content"] == [{"type": "tool_use"}]


@pytest.mark.parametrize("shape", [*ANSWERS, *LINES, "error_text"])
def test_a_line_without_a_message_stays_readable(shape):
    line = {"custom_id": "a", "result": {"type": "expired"}}
    assert json.loads(odd_line(line, shape).decode("utf-8-sig"))["custom_id"] == "a"
