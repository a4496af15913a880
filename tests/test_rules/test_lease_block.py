"""Blocks of a rate: no turn and no token is given away twice."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from rules.lease_block import ALONE, MINUTE, SECOND, SPAN, Allowance, BlockAsk, lease_block, turn_moment

NOW = 1_700_000_000 * SECOND
RATES = (600, 10_000, None)


def ask(holder="one", beat=1, **more):
    return BlockAsk(holder=holder, beat=beat, per_minute=RATES, **{"turns": 5, **more})


@given(st.integers(1, 100_000), st.lists(st.integers(1, 50), max_size=20))
def test_blocks_one_after_the_other_are_spaced_as_one(per_minute, sizes):
    moments, start = [], NOW
    for size in sizes:
        moments += [turn_moment(start, number, per_minute) for number in range(size)]
        start = turn_moment(start, size, per_minute)
    for earlier, later in itertools.pairwise(moments):
        assert (later - earlier + 1) * per_minute >= 61 * SECOND


def test_a_report_that_arrives_twice_is_booked_once():
    allowance = Allowance()
    for _ in range(2):
        lease_block(allowance, ask(used={NOW // SPAN: (700, 0)}), NOW)
    assert allowance.taken == {NOW // SPAN: (700, 0)}


def test_a_process_alone_gets_turns_for_seconds_and_a_second_one_waits_until_they_are_given_back():
    allowance = Allowance()
    first = lease_block(allowance, ask(), NOW)
    tail = turn_moment(first.start, first.turns, 600)
    assert tail > NOW + ALONE - SECOND
    refused = lease_block(allowance, ask("two"), NOW)
    assert (refused.turns, refused.others) == (0, 1)
    assert refused.again > NOW
    lease_block(allowance, ask(beat=2, tail=tail, keep=NOW + SECOND // 4), NOW)
    assert lease_block(allowance, ask("two"), NOW).turns > 0


def test_tokens_that_are_held_count_as_used_until_a_minute_after_they_can_be_used():
    allowance = Allowance()
    held = lease_block(allowance, ask(need=(10_000, 0), tokens=(10_000, 0)), NOW)
    assert held.tokens[0] == 10_000
    wanted = {"need": (1_000, 0), "tokens": (1_000, 0)}
    assert lease_block(allowance, ask("two", **wanted), held.until + MINUTE - 1).turns == 0
    assert lease_block(allowance, ask("two", beat=2, **wanted), held.until + MINUTE).tokens[0] >= 1_000


def test_a_clock_that_is_put_back_stops_nobody_for_long():
    allowance = Allowance()
    lease_block(allowance, ask(used={NOW // SPAN: (10_000, 0)}), NOW)
    back = NOW - 3_600 * SECOND
    lease_block(allowance, ask(beat=2), back)
    assert (
        lease_block(allowance, ask(beat=3, need=(5_000, 0), tokens=(5_000, 0)), back + MINUTE + SECOND).turns
        > 0
    )


def test_what_others_than_the_known_processes_used_is_counted():
    allowance = Allowance()
    full = lease_block(allowance, ask(need=(500, 0), tokens=(500, 0), seen_used=(9_800, None)), NOW)
    assert full.turns == 0
    assert full.again > NOW
