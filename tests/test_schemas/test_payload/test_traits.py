"""Traits: they come back from the ledger as they were, those too that an earlier version wrote."""

import json

from hypothesis import given
from hypothesis import strategies as st

from schemas.payload.traits import PLAIN, PayloadClass, Traits, Uncounted

uncounted = st.builds(
    Uncounted,
    parts=st.lists(st.sampled_from(["MCP server", "server tool x"]), max_size=2).map(tuple),
    images=st.integers(0, 3),
    documents=st.integers(0, 3),
    sampling_calls=st.none() | st.integers(1, 9),
    web_searches=st.integers(0, 9),
)
traits = st.builds(
    Traits,
    payload_class=st.sampled_from(PayloadClass),
    uncounted=uncounted,
    geo=st.sampled_from([None, "us"]),
)


@given(traits)
def test_traits_come_back_from_their_json(one):
    stored = json.loads(json.dumps(one.as_json()))
    assert Traits.from_json(stored) == one
    assert (stored == {}) == (one == PLAIN)


def test_what_earlier_versions_wrote_is_read():
    stored = {
        "payload_class": "image",
        "images": True,
        "uncountable": ["image block with a url source"],
        "uncounted_images": 1,
        "sampling_calls": None,
        "web_searches": 2,
    }
    read = Traits.from_json(stored)
    assert read.uncounted == Uncounted(
        ("image block with a url source",), images=1, sampling_calls=None, web_searches=2
    )
    assert (read.payload_class, read.images) == (PayloadClass.IMAGE, True)
    assert read.as_json() == stored | {"uncountable": ("image block with a url source",)}
    assert Traits.from_json(None) == Traits.from_json({}) == PLAIN
