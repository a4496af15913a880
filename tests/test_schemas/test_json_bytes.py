"""JSON that is kept takes no more memory than it is long."""

import tracemalloc

import orjson
import pytest
from hypothesis import given

from schemas.json_bytes import json_bytes
from schemas.payload.payload import Payload
from tests.strategies import request, requests


@given(requests)
def test_it_is_the_json_of_the_value(value):
    assert json_bytes(value) == orjson.dumps(value)


def test_what_has_no_json_is_refused():
    with pytest.raises(TypeError):
        json_bytes({1, 2})


def kept_by(make, count=200):
    """Bytes in memory of so many values that are kept."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = [make(number) for number in range(count)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == count
    return after - before


def test_it_takes_little_more_than_its_length():
    text = "word " * 1_000
    assert kept_by(lambda _: json_bytes(text)) < 200 * 2 * len(text)


def test_the_text_of_a_payload_takes_little_more_than_its_length():
    asked = request("word " * 1_000)
    assert kept_by(lambda _: Payload.checked(asked).text) < 200 * 2 * 5_000
