"""A cut conversation is one that the API takes, within its budget, found in few counts, and not cut again."""

import copy
import math

from hypothesis import event, given
from hypothesis import strategies as st

from rules.prune_conversation import Budget, Counted, cut_search, cuts_of, most_counts, weight_of
from schemas.payload.edit import turn_starts
from schemas.payload.payload import Payload
from simulator.billing.counting import count_tokens
from simulator.checks.whole_request import check_body
from tests.conversations import cited, conversations, sources

MODEL = "claude-sonnet-5-5"


def counted(request):
    """Input tokens by the simulator, which first checks the request as the API does."""
    check_body({"model": MODEL, **request}, "messages")
    body = {key: value for key, value in request.items() if key != "max_tokens"}
    return count_tokens(body, check_body({"model": MODEL, **body}, "count_tokens"))


class Scales:
    """An oracle that keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        return counted(request)


def pruned(request, min_turns, whole_tokens, allowed_tokens, count):
    """What pruning makes of a request; None when it fits as it is, or no cut fits."""
    if whole_tokens <= allowed_tokens:
        return None
    search = cut_search(cuts_of(request, min_turns), Budget(whole_tokens, weight_of(request), allowed_tokens))
    try:
        cut = next(search)
        while True:
            tokens = count(cut.request())
            cut = search.send(Counted(tokens, tokens <= allowed_tokens))
    except StopIteration as end:
        return end.value


shares = st.integers(1, 99)


def search(request, min_turns, share):
    """What pruning to this share of the whole weight, in percent, makes of a request."""
    whole = counted(request)
    scales = Scales()
    allowed = whole * share // 100
    return allowed, scales, pruned(request, min_turns, whole, allowed, scales)


@given(conversations(), st.integers(1, 3), shares)
def test_every_candidate_is_accepted_and_what_is_found_is_within_the_budget_in_few_counts(talk, least, share):
    turns = len(turn_starts(talk["messages"]))
    before = copy.deepcopy(talk)
    allowed, scales, found = search(talk, least, share)
    assert talk == before
    # each of them passed the simulator's checks: else its count would have raised
    assert len(scales.asked) <= most_counts(turns) == 2 + math.ceil(math.log2(turns))
    event(f"counts: {len(scales.asked)}")
    if found is None:
        assert all(counted(cut.request()) > allowed for cut in cuts_of(talk, least))
        return
    cut, weight = found
    assert weight.fits
    assert weight.tokens == counted(cut.request()) <= allowed
    assert cut.turns >= least
    assert cut.turns + cut.dropped == turns


@given(conversations(), st.integers(1, 3), shares)
def test_it_keeps_the_most_that_fits(talk, least, share):
    allowed, _, found = search(talk, least, share)
    for cut in cuts_of(talk, least):
        if found is None or cut.turns > found[0].turns:
            assert counted(cut.request()) > allowed


@given(conversations(), st.integers(1, 3), shares)
def test_what_was_cut_once_is_not_cut_again(talk, least, share):
    allowed, _, found = search(talk, least, share)
    if found is not None:
        kept = found[0].request()
        assert pruned(kept, least, counted(kept), allowed, Scales()) is None


@given(conversations(), st.integers(1, 3))
def test_every_cut_is_the_end_of_the_conversation_with_its_sources_cited_where_they_stand(talk, least):
    assert all(source == stands for source, stands in cited(talk))
    for cut in cuts_of(talk, least):
        kept = cut.request()
        check_body({"model": MODEL, **kept}, "messages")
        assert Payload.checked(kept).request == kept
        assert {key: value for key, value in kept.items() if key != "messages"} == {
            key: value for key, value in talk.items() if key != "messages"
        }
        # a citation that is kept points at the source that it cites
        assert all(source == stands for source, stands in cited(kept))
        # and it is kept whenever its source is
        titles = {title for found in sources(kept).values() for title in found}
        own = talk["messages"][-len(kept["messages"]) :]
        for before, after in zip(own, kept["messages"], strict=True):
            assert without_citations(before) == without_citations(after)
            if thinks(before):
                assert after == before
            assert len(quotes(after)) == sum(quote in titles for quote in quotes(before)) or thinks(before)


def thinks(message):
    return isinstance(message["content"], list) and any(
        block["type"] == "thinking" for block in message["content"]
    )


def quotes(message):
    content = message["content"] if isinstance(message["content"], list) else []
    return [
        one["cited_text"]
        for block in content
        if block["type"] == "text"
        for one in block.get("citations", ())
    ]


def without_citations(message):
    if not isinstance(message["content"], list):
        return message
    blocks = [
        {key: value for key, value in block.items() if block["type"] != "text" or key != "citations"}
        for block in message["content"]
    ]
    return {**message, "content": blocks}


@given(conversations(), st.integers(1, 12))
def test_no_cut_keeps_fewer_than_the_newest_turns(talk, least):
    turns = len(turn_starts(talk["messages"]))
    kept = [cut.turns for cut in cuts_of(talk, least)]
    assert all(least <= number < turns for number in kept)
    assert kept == sorted(kept, reverse=True)


def test_a_web_page_that_is_gone_is_cited_no_more():
    page = {"type": "web_search_result", "url": "https://x.test", "title": "x", "encrypted_content": "e"}
    citation = {"type": "web_search_result_location", "url": "https://x.test", "cited_text": "x"}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [page]}
    says = {"type": "text", "text": "As read", "citations": [citation]}
    talk = {
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "Look it up"},
            {"role": "assistant", "content": [found, says]},
            {"role": "user", "content": "Again"},
            {"role": "assistant", "content": [says]},
            {"role": "user", "content": "And?"},
        ],
    }
    [first, second] = [cut.request() for cut in cuts_of(talk, 1)]
    assert first["messages"][1]["content"] == [{"type": "text", "text": "As read"}]
    assert second["messages"] == [{"role": "user", "content": "And?"}]
