"""The request of a batch on disk: what is sent of it is what was added, to the byte, a piece at a time."""

import asyncio
import errno
import json
import resource
import tempfile

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RunFailed
from services import batch_body
from services.batch_body import BatchBody
from tests.fake_batches import body_of
from tests.strategies import request, requests

bodies = st.lists(
    st.one_of(requests, st.integers(1, 1_500).map(lambda length: request("é" * length))), max_size=30
)
item_lists = bodies.map(
    lambda found: [{"custom_id": f"att_{n}", "params": body} for n, body in enumerate(found)]
)


def sent_of(body):
    async def chunks():
        return [piece async for piece in body.chunks()]

    return asyncio.run(chunks())


@given(item_lists, st.integers(1, 3_000), st.sampled_from([1, 1_000_000]))
def test_what_is_sent_has_its_size_and_is_the_items_in_their_order(items, piece, spool):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_body, "PIECE_BYTES", piece)
        patch.setattr(batch_body, "_SPOOL_BYTES", spool)
        with body_of(*items) as body:
            pieces = sent_of(body)
            assert sent_of(body) == pieces, "a request that is tried again is the same"
            assert list(body) == items
    whole = b"".join(pieces)
    assert json.loads(whole) == {"requests": items}
    assert body_of(*items).size == len(whole) == len(orjson.dumps({"requests": items}))
    longest = max((len(orjson.dumps(item)) for item in items), default=0)
    assert max(map(len, pieces)) <= piece + longest + len('{"requests":[]},')


@given(item_lists, st.sets(st.integers(0, 29)))
def test_what_is_left_out_is_not_sent(items, left_out):
    with body_of(*items) as body:
        body.leave_out({item["custom_id"] for n, item in enumerate(items) if n in left_out})
        kept = [item for n, item in enumerate(items) if n not in left_out]
        whole = b"".join(sent_of(body))
        assert (json.loads(whole), body.size) == ({"requests": kept}, len(whole))
        assert (body.ids, len(body)) == ([item["custom_id"] for item in kept], len(kept))


@given(item_lists.filter(bool))
def test_the_size_with_one_more_item_is_known_before_it_is_added(items):
    with body_of(*items[:-1]) as body:
        foretold = body.size_with(orjson.dumps(items[-1]))
    assert foretold == body_of(*items).size


async def test_two_readers_at_once_do_not_disturb_each_other(monkeypatch):
    monkeypatch.setattr(batch_body, "PIECE_BYTES", 1_000)
    items = [{"custom_id": f"att_{n}", "params": request(f"{n} " * 200)} for n in range(300)]

    async def whole(body):
        return b"".join([piece async for piece in body.chunks()])

    with body_of(*items) as body:
        read = await asyncio.gather(*(whole(body) for _ in range(4)))
    assert [json.loads(one) for one in read] == [{"requests": items}] * 4


def test_a_disk_that_is_full_is_a_sentence_and_nothing_was_sent(monkeypatch):
    class Full(tempfile.SpooledTemporaryFile):
        def write(self, _data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(batch_body, "SpooledTemporaryFile", Full)
    with BatchBody() as body:
        before = body.size
        with pytest.raises(RunFailed, match=r"No space left on device.*not sent.*TMPDIR"):
            body.add("att_0", b"{}")
        assert (len(body), body.size) == (0, before)


def test_a_disk_that_is_full_by_the_end_of_the_last_item_is_noticed_before_anything_is_sent(monkeypatch):
    monkeypatch.setattr(batch_body, "_SPOOL_BYTES", 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with BatchBody() as body:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            body.add("att_0", b"x" * 90)
            with pytest.raises(RunFailed, match="not sent"):
                body.add("att_1", b"x" * 90)
            assert body.ids == ["att_0"]
            body.close()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
