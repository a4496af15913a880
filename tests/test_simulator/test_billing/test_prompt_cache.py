"""The entries of a cache and their lives: who reads what, when, and what it is billed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.answers.usage_meter import billed_input, payload_hash, usage_of
from simulator.billing.cache_prefix import LIFETIME_SECONDS, NOT_CACHED, cut_prefixes
from simulator.billing.catalogue import find_model
from simulator.billing.counting import count_tokens
from simulator.billing.prompt_cache import NO_USE, SWEEP_AT, CacheWrite, PromptCache
from simulator.checks.whole_request import check_body

OPUS = find_model("claude-opus-5")
MARKS = {
    None: {},
    "5m": {"cache_control": {"type": "ephemeral"}},
    "1h": {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
}


def cut(*blocks, model=OPUS):
    """A request of some (name, ttl) as text blocks of 1,000 tokens, cut at its markers."""
    return cut_prefixes(body_of(*blocks), model)


def body_of(*blocks):
    content = [{"type": "text", "text": f"{name:<4000}", **MARKS[ttl]} for name, ttl in blocks]
    content.append({"type": "text", "text": "now"})
    return {"model": OPUS.id, "max_tokens": 90, "messages": [{"role": "user", "content": content}]}


def asked(cache, prefixes, at, *, begun=True):
    """What a request is billed for (read, one hour, five minutes), in thousands of tokens; its answer may begin."""
    use = cache.look_up(prefixes, at)
    cache.refresh(use, at)
    if begun:
        cache.publish(use.writes, at)
    return use.part.read // 1_000, use.part.write_1h // 1_000, use.part.write_5m // 1_000


@pytest.mark.parametrize(("ttl", "life"), LIFETIME_SECONDS.items())
def test_an_entry_lives_from_its_last_read_for_its_lifetime(ttl, life):
    cache, request = PromptCache(), cut(("a", ttl))
    cold = (0, 1, 0) if ttl == "1h" else (0, 0, 1)
    assert asked(cache, request, 0) == cold
    assert asked(cache, request, life - 1) == (1, 0, 0)
    assert asked(cache, request, 2 * life - 2) == (1, 0, 0)
    assert asked(cache, request, 3 * life - 2) == cold


def test_a_look_up_alone_keeps_nothing_alive():
    cache, request = PromptCache(), cut(("a", "5m"))
    asked(cache, request, 0)
    assert cache.look_up(request, 299).part.read
    assert not cache.look_up(request, 300).part.read


def test_the_lifetime_of_a_marker_is_no_part_of_what_it_reads():
    cache = PromptCache()
    asked(cache, cut(("a", "1h")), 0)
    assert asked(cache, cut(("a", "5m")), 1_000) == (1, 0, 0)
    assert asked(cache, cut(("a", "5m")), 1_000 + 3_599) == (1, 0, 0)
    asked(cache, cut(("b", "5m")), 0)
    assert asked(cache, cut(("b", "1h")), 200) == (1, 0, 0)
    assert asked(cache, cut(("b", "1h")), 500) == (0, 1, 0)


def test_nothing_is_read_before_the_answer_of_its_writer_begins():
    cache, request = PromptCache(), cut(("a", "5m"))
    first = cache.look_up(request, 0)
    assert asked(cache, request, 1, begun=False) == (0, 0, 1)
    cache.publish(first.writes, 0)
    assert asked(cache, request, 2) == (1, 0, 0)


def test_the_longest_earlier_entry_is_read_and_the_rest_is_written():
    cache = PromptCache()
    asked(cache, cut(("a", "1h"), ("b", "5m")), 0)
    assert asked(cache, cut(("a", None), ("b", None), ("c", None), ("d", "5m")), 1) == (2, 0, 2)
    assert asked(cache, cut(("a", None), ("x", "1h"), ("y", "5m")), 2) == (1, 1, 1)
    assert asked(cache, cut(("x", "5m")), 3) == (0, 0, 1)


def test_only_markers_write_and_stable_content_behind_a_changing_block_is_never_read():
    cache = PromptCache()
    for number in range(3):
        assert asked(cache, cut(("a", None), (f"{number}", "5m")), number) == (0, 0, 2)


def test_an_entry_twenty_blocks_back_is_missed_and_a_marker_near_it_finds_it():
    cache, names = PromptCache(), [str(number) for number in range(40)]
    asked(cache, cut(*((name, None) for name in names[:14]), (names[14], "5m")), 0)
    near = cut(*((name, None) for name in names[:33]), (names[33], "5m"))
    far = cut(*((name, None) for name in names[:34]), (names[34], "5m"))
    both = cut(*((name, "5m" if number in (14, 34) else None) for number, name in enumerate(names[:35])))
    assert asked(cache, near, 1, begun=False) == (15, 0, 19)
    assert asked(cache, far, 1, begun=False) == (0, 0, 35)
    assert asked(cache, both, 1, begun=False) == (15, 0, 20)


def test_a_read_keeps_the_entries_of_earlier_markers_alive():
    cache = PromptCache()
    asked(cache, cut(("a", "5m"), ("b", "5m")), 0)
    assert asked(cache, cut(("a", "5m"), ("b", "5m")), 299) == (2, 0, 0)
    assert asked(cache, cut(("a", "5m"), ("x", "5m")), 598) == (1, 0, 1)


def test_what_is_written_twice_has_the_longer_of_both_lives():
    cache = PromptCache()
    for seconds in (3_600, 300):
        cache.publish((CacheWrite(b"a", seconds),), 0)
    request = cut(("a", "5m"))
    key = request.ends[0].key
    for seconds in (3_600, 300):
        cache.publish((CacheWrite(key, seconds),), 0)
    assert cache.look_up(request, 3_599).part.read


def test_expired_entries_are_thrown_away():
    cache = PromptCache()
    for number in range(3 * SWEEP_AT):
        cache.publish((CacheWrite(str(number).encode(), 300),), number)
    assert len(cache._entries) < SWEEP_AT


def test_a_request_without_markers_does_nothing_with_the_cache():
    cache = PromptCache()
    assert cut(("a", None)) is None
    assert cache.look_up(None, 0) is NO_USE
    assert NO_USE.part is NOT_CACHED


blocks = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([None, "5m", "1h"])), min_size=1, max_size=6
)


def in_order(blocks):
    """The blocks without markers that the API refuses: more than four, and an hour after five minutes."""
    kept, five = [], False
    for name, ttl in blocks:
        full = sum(each is not None for _, each in kept) == 4
        refused = full or (five and ttl == "1h")
        kept.append((name, None if refused else ttl))
        five = five or (not refused and ttl == "5m")
    return kept


@settings(deadline=None)
@given(st.lists(st.tuples(blocks, st.integers(0, 400), st.booleans()), max_size=30))
def test_tokens_add_up_and_entries_are_never_read_before_they_were_written_or_after_they_died(requests):
    cache, now, waiting, dies = PromptCache(), 0, [], {}
    for drawn, pause, begins in requests:
        now += pause
        names = in_order(drawn)
        body = body_of(*names)
        model = check_body(body, "messages")
        digest, prefixes = payload_hash(body), cut_prefixes(body, model)
        use = cache.look_up(prefixes, now)
        cache.refresh(use, now)
        usage = usage_of(body, model, use.part, digest)
        assert usage.total_input == billed_input(count_tokens(body, model), digest)
        assert usage.input_tokens >= 1
        assert min(usage.read, usage.write_1h, usage.write_5m) >= 0

        starts = ["".join(name for name, _ in names[: end + 1]) for end in range(len(names))]
        marked = [end for end, (_, ttl) in enumerate(names) if ttl]
        reach = [end for end in range(len(names)) if marked and end <= marked[-1]]
        alive = [end for end in reach if dies.get(starts[end], (0, 0))[0] > now]
        hit = max(alive, default=None)
        assert use.part == (NOT_CACHED if prefixes is None else prefixes.part(hit))
        for end in alive:
            if end == hit or end in marked:
                life = dies[starts[end]][1]
                dies[starts[end]] = (max(dies[starts[end]][0], now + life), life)
        written = [
            (starts[end], LIFETIME_SECONDS[names[end][1]]) for end in marked if hit is None or end > hit
        ]
        waiting.append((use, now, written))
        if begins:
            for ready, at, entries in waiting:
                cache.publish(ready.writes, at)
                for start, life in entries:
                    expires, seconds = dies.get(start, (0, 0))
                    if expires <= at:
                        expires = seconds = 0
                    dies[start] = (max(expires, at + life), max(seconds, life))
            waiting.clear()
