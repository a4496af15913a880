"""Lines of results: whatever JSON allows in a string survives, however the bytes come."""

import json
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from services.result_lines import json_text, result_line, result_lines
from tests.strategies import json_values

texts = st.text(st.characters(codec=None, exclude_categories=())) | st.sampled_from(
    ["\u2028", "\u2029", "\x85", "\x0b\x0c\x1c", "\r", "\ud800", "\ufeff"]
)


async def chunks(raw, cuts):
    places = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    for start, end in pairwise(places):
        yield raw[start:end]


@given(st.lists(texts | json_values, max_size=6), st.lists(st.integers(0, 10_000), max_size=9), st.booleans())
@example(["a\u2028b\x85c"], [3, 4, 5], True)
async def test_each_line_comes_whole_wherever_the_stream_is_cut_into_chunks(values, cuts, last):
    lines = [
        json.dumps({"custom_id": f"att_{n}", "result": value}, ensure_ascii=_is_lone(value)).encode()
        for n, value in enumerate(values)
    ]
    raw = b"\n".join(lines) + (b"\n" if last else b"")
    found = [line async for line in result_lines(chunks(raw, cuts))]
    assert [line.custom_id for line in found] == [f"att_{n}" for n in range(len(values))]
    assert [json.dumps(line.found["result"]) for line in found] == [json.dumps(value) for value in values]


def _is_lone(value):
    """Whether a value holds what UTF-8 cannot say."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


@given(st.binary(max_size=60))
@example(b'{"custom_id": "att_1", "resu')
@example(b'["custom_id"]')
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_are_a_line_whose_text_a_database_takes(raw):
    line = result_line(raw)
    assert "\0" not in line.raw
    line.raw.encode()


def test_a_line_that_was_cut_still_says_whose_it_is():
    line = result_line(b'{"custom_id": "att_1", "result": {"ty')
    assert (line.found, line.custom_id) == (None, "att_1")


@given(texts)
def test_the_text_of_an_answer_can_be_stored_and_read_again(text):
    stored = json_text({"text": text})
    stored.encode()
    assert json.loads(stored) == {"text": text}
