"""Turns that a process holds, and what it knows of the database's clock."""

from hypothesis import given
from hypothesis import strategies as st

from rules.lease_block import SECOND
from services.turn_trains import DatabaseClock, TurnTrain


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 2), st.floats(0, 1)), min_size=1, max_size=20))
def test_the_clock_is_between_what_was_asked_and_answered(trips):
    clock, now, offset = DatabaseClock(), 100.0, 1_700_000_000
    for pause, trip, part in trips:
        before, after = now + pause, now + pause + trip
        shown = int((before + part * trip + offset) * 1_000) * 1_000  # whole milliseconds
        clock.saw(before, shown, after)
        now = after
        assert clock.latest(now) >= (now + offset) * SECOND - 1
        assert clock.reached(int((now + offset) * SECOND)) >= now - 1e-5


def test_a_clock_that_was_set_is_believed():
    clock = DatabaseClock()
    clock.saw(1.0, 500 * SECOND, 1.1)
    clock.saw(2.0, 100 * SECOND, 2.1)
    assert clock.latest(2.1) < 101 * SECOND


@given(st.integers(1, 10_000), st.integers(1, 500), st.integers(-SECOND, 100 * SECOND))
def test_what_is_cut_and_what_is_over_is_never_used(per_minute, turns, moment):
    train = TurnTrain(0, turns, per_minute)
    train.skip_before(moment)
    assert all(train.moment(number) >= moment for number in range(train.used, train.turns))
    train = TurnTrain(0, turns, per_minute)
    train.cut_after(moment)
    assert 0 <= train.turns <= turns
    assert all(train.moment(number) <= moment for number in range(train.turns))
