"""The limiter, on a clock that jumps: order and counts without waiting."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.policy_sections import RateLimits
from services.limiter import (
    NO_WEIGHT,
    RATE_HEADER,
    START_FABLE_TOKENS_PER_MINUTE,
    START_MESSAGES_PER_MINUTE,
    START_TOKENS_PER_MINUTE,
    CallWeight,
    EndpointLimiter,
    RequestPace,
    TokenWindow,
    message_limiter,
)
from tests.jumping_clock import on_jumping_clock


async def turns(limiter, number):
    """When each of so many callers that come at once gets its turn."""
    loop = asyncio.get_running_loop()
    moments = []

    async def caller():
        await limiter.turn()
        moments.append(loop.time())

    await asyncio.gather(*(caller() for _ in range(number)))
    return moments


@given(st.integers(1, 5_000), st.integers(2, 300))
def test_no_minute_sees_more_turns_than_the_rate(per_minute, callers):
    async def main():
        return await turns(EndpointLimiter(RequestPace(per_minute, 1_000)), callers)

    moments = sorted(on_jumping_clock(main))
    assert len(moments) == callers
    for index, moment in enumerate(moments[per_minute:]):
        assert moment - moments[index] > 60 - 1e-6


def test_neither_the_given_rate_nor_the_accounts_is_exceeded():
    async def main():
        limiter = EndpointLimiter(RequestPace(60, 1_000))
        seen = []
        for stated in ("6000", "1", "600"):
            limiter.observe({RATE_HEADER: stated})
            seen.append(limiter.pace.per_minute)
        return seen

    assert on_jumping_clock(main) == [60, 1, 60]


def test_a_given_rate_above_the_lowest_tiers_waits_for_the_first_answer():
    async def main():
        limiter = EndpointLimiter(RequestPace(6_000, 1_000))
        careful = await turns(limiter, 100)
        limiter.observe({})
        return careful[-1] - careful[0], limiter.pace.careful_per_minute

    took, after = on_jumping_clock(main)
    assert took == pytest.approx(95.9 * 61 / 1_000, abs=0.1)
    assert after == 6_000


@pytest.mark.parametrize(
    ("headers", "rate"),
    [
        ({RATE_HEADER: "4000"}, 4_000),
        ({RATE_HEADER: "10"}, 10),
        ({}, 1_000),
        ({RATE_HEADER: "0"}, 1_000),
        ({RATE_HEADER: "-5"}, 1_000),
        ({RATE_HEADER: "many"}, 1_000),
        ({RATE_HEADER: ""}, 1_000),
    ],
)
def test_a_rate_that_is_not_given_follows_the_account_once_it_says_so(headers, rate):
    async def main():
        limiter = EndpointLimiter(RequestPace(None, 1_000))
        limiter.observe(headers)
        return limiter.pace.per_minute, await turns(limiter, min(3 * rate, 300))

    per_minute, moments = on_jumping_clock(main)
    assert per_minute == rate
    assert max(moments) == pytest.approx((len(moments) - max(1, rate / 244)) * 61 / rate, abs=0.01)


def test_a_pause_holds_every_caller_that_comes_during_it():
    async def main():
        limiter = EndpointLimiter(RequestPace(60_000, 1_000))
        limiter.pause(7)
        limiter.pause(3)  # a shorter one does not shorten it
        return await turns(limiter, 5)

    assert min(on_jumping_clock(main)) >= 7


def test_a_longer_pause_extends_the_one_under_way():
    async def main():
        limiter = EndpointLimiter(RequestPace(60_000, 1_000))
        limiter.pause(3)
        asyncio.get_running_loop().call_later(2, limiter.pause, 10)
        return await turns(limiter, 2)

    assert min(on_jumping_clock(main)) >= 12


def test_a_pause_holds_callers_that_were_waiting_for_their_turn_already():
    async def main():
        limiter = EndpointLimiter(RequestPace(60, 1_000))  # about one a second
        asyncio.get_running_loop().call_later(1.5, limiter.pause, 100)
        return await turns(limiter, 6)

    # the one at the head of the queue is at the bucket already; those behind it wait
    assert len([moment for moment in on_jumping_clock(main) if 1.5 < moment < 101.5]) <= 1


def test_a_new_rate_holds_for_callers_that_were_waiting_already():
    async def main():
        limiter = EndpointLimiter(RequestPace(None, 6_000))
        asyncio.get_running_loop().call_later(0.01, limiter.observe, {RATE_HEADER: "6"})
        return await turns(limiter, 110)

    assert max(on_jumping_clock(main)) > 60


# ------------------------------------------------------------------------------------------------- changing rates


rates = st.integers(1, 20_000)


@given(rates, st.lists(st.tuples(st.floats(0, 30), rates), max_size=30), st.integers(1, 60))
def test_a_rate_that_changes_opens_no_burst(start, changes, callers):
    """No minute sees more turns than the highest rate that held within it."""

    async def main():
        limiter = EndpointLimiter(RequestPace(None, start))
        loop = asyncio.get_running_loop()
        moments, in_force = [], [(0.0, start)]

        async def caller():
            await limiter.turn()
            moments.append(loop.time())

        waiting = []
        for pause, rate in changes:
            waiting += [asyncio.create_task(caller()) for _ in range(callers)]
            await asyncio.sleep(pause)
            limiter.observe({RATE_HEADER: str(rate)})
            in_force.append((loop.time(), rate))
        for task in waiting:
            task.cancel()
        return moments, in_force

    moments, in_force = on_jumping_clock(main)
    for moment in moments:
        held = [rate for at, rate in in_force if moment <= at < moment + 60]
        held.append([rate for at, rate in in_force if at <= moment + 1e-3][-1])
        before = [rate for at, rate in in_force if at <= moment]
        assert sum(moment <= other < moment + 60 for other in moments) <= max(held + before[-1:])


def test_two_rates_that_take_turns_in_the_header_make_no_new_buckets():
    async def main():
        limiter = EndpointLimiter(RequestPace(None, 600))
        loop = asyncio.get_running_loop()
        for number in range(300):
            await limiter.turn()
            limiter.observe({RATE_HEADER: "600" if number % 2 else "660"})
        return loop.time()

    assert on_jumping_clock(main) > 300 / 660 * 60 - 2


# --------------------------------------------------------------------------------------------------- tokens a minute


def limits(**given):
    return message_limiter("claude-haiku-5-5", RateLimits(messages_per_minute=60_000, **given))


async def departures(limiter, weights):
    """When each call of these weights leaves, all of them coming at once."""
    loop = asyncio.get_running_loop()
    left = []

    async def caller(weight):
        await limiter.turn(weight)
        left.append((loop.time(), weight))

    await asyncio.gather(*(caller(weight) for weight in weights))
    return left


weights = st.lists(st.builds(CallWeight, st.integers(0, 1_000), st.integers(0, 300)), min_size=1, max_size=60)


@given(weights, st.integers(1_000, 10_000), st.integers(300, 3_000))
def test_no_minute_takes_more_tokens_than_the_rates_given(calls, input_rate, output_rate):
    async def main():
        return await departures(
            limits(input_tokens_per_minute=input_rate, output_tokens_per_minute=output_rate), calls
        )

    left = on_jumping_clock(main)
    assert [weight for _, weight in left] == calls  # in the order in which they came
    for start, _ in left:
        within = [weight for at, weight in left if start <= at < start + 60 - 1e-6]
        assert sum(weight.input_tokens for weight in within) <= input_rate
        assert sum(weight.output_tokens for weight in within) <= output_rate


@given(st.integers(2, 30))
def test_two_models_do_not_share_a_limit(number):
    async def main():
        policy = RateLimits(messages_per_minute=60_000, input_tokens_per_minute=1_000)
        calls = [CallWeight(1_000, 0)] * number
        one, two = (message_limiter(model, policy) for model in ("a", "b"))
        lefts = await asyncio.gather(departures(one, calls), departures(two, calls))
        return [[at for at, _ in left] for left in lefts]

    one, two = on_jumping_clock(main)
    assert one == pytest.approx(two, abs=1)
    assert max(one) == pytest.approx(60 * (number - 1), abs=1)


def test_what_was_taken_too_much_is_given_back_when_the_answer_says_so():
    async def main():
        limiter = limits(input_tokens_per_minute=1_000)
        turn = await limiter.turn(CallWeight(1_000, 10))
        turn.weighed(CallWeight(100, 10))
        await limiter.turn(CallWeight(900, 10))
        return asyncio.get_running_loop().time()

    assert on_jumping_clock(main) < 1


def test_an_answer_longer_than_expected_holds_the_next_one_back():
    async def main():
        limiter = limits(output_tokens_per_minute=1_000)
        turn = await limiter.turn(NO_WEIGHT)
        turn.weighed(CallWeight(0, 990))
        await limiter.turn(CallWeight(0, 20))
        return asyncio.get_running_loop().time()

    assert on_jumping_clock(main) == pytest.approx(60, abs=0.1)


def test_a_correction_after_the_minute_has_passed_changes_nothing():
    async def main():
        limiter = limits(output_tokens_per_minute=1_000)
        turn = await limiter.turn(CallWeight(0, 500))
        await asyncio.sleep(61)
        turn.weighed(CallWeight(0, 5_000))
        await limiter.turn(CallWeight(0, 1_000))
        return asyncio.get_running_loop().time()

    assert on_jumping_clock(main) < 62


def stated(name, limit, remaining):
    start = f"anthropic-ratelimit-{name}"
    return {f"{start}-limit": str(limit), f"{start}-remaining": str(remaining)}


def test_what_others_used_of_the_account_is_counted_and_a_rate_given_is_left_alone():
    async def main(**given):
        limiter = limits(**given)
        limiter.observe(stated("input-tokens", 100_000, 10_000) | stated("output-tokens", 9_000, 9_000))
        await limiter.turn(CallWeight(10_000, 1))
        before = asyncio.get_running_loop().time()
        await limiter.turn(CallWeight(5_000, 1))
        return before, asyncio.get_running_loop().time()

    before, after = on_jumping_clock(main)
    assert before < 1
    assert after == pytest.approx(60, abs=1)
    _, after = on_jumping_clock(lambda: main(input_tokens_per_minute=50_000))
    assert after < 1


def test_what_this_process_used_itself_is_not_counted_again():
    async def main():
        limiter = limits()
        limiter.observe(stated("input-tokens", 100_000, 100_000))
        for used in range(10_000, 100_001, 10_000):
            await limiter.turn(CallWeight(10_000, 0))
            limiter.observe(stated("input-tokens", 100_000, 100_000 - used))
        return asyncio.get_running_loop().time()

    assert on_jumping_clock(main) < 1


@given(st.text(max_size=30), st.sampled_from(["limit", "remaining"]))
def test_no_header_breaks_the_limiter(value, part):
    async def main():
        limiter = limits()
        limiter.observe(
            stated("input-tokens", 100_000, 100_000) | {f"anthropic-ratelimit-input-tokens-{part}": value}
        )
        await limiter.turn(CallWeight(1, 1))

    on_jumping_clock(main)


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("claude-haiku-5-5", START_TOKENS_PER_MINUTE), ("claude-fable-5-1", START_FABLE_TOKENS_PER_MINUTE)],
)
def test_what_the_policy_leaves_out_starts_at_the_lowest_tier_and_ends_where_the_account_states_none(
    model, tokens
):
    async def main():
        limiter = message_limiter(model, RateLimits())
        before = tuple(window.per_minute for window in limiter.windows)
        limiter.observe({}, answered=False)  # an error page says nothing about the account
        assert tuple(window.per_minute for window in limiter.windows) == before
        limiter.observe({})
        return limiter.pace.per_minute, before, tuple(window.per_minute for window in limiter.windows)

    assert on_jumping_clock(main) == (START_MESSAGES_PER_MINUTE, tokens, (None, None))


def test_a_call_above_a_whole_minute_goes_alone_where_the_account_decides_and_never_where_the_policy_does():
    async def main():
        limiter = limits()
        limiter.observe(stated("input-tokens", 1_000, 1_000))
        await limiter.turn(CallWeight(900, 0))
        await limiter.turn(CallWeight(5_000, 0))
        return asyncio.get_running_loop().time()

    assert on_jumping_clock(main) == pytest.approx(60, abs=1)
    sentence = limits(input_tokens_per_minute=1_000).too_heavy(CallWeight(1_001, 0))
    assert "1,001 input tokens" in sentence
    assert "limits.input_tokens_per_minute (1,000)" in sentence
    assert limits(input_tokens_per_minute=1_000).too_heavy(CallWeight(1_000, 5_000)) is None


def test_a_window_forgets_what_is_older_than_a_minute():
    window = TokenWindow("input-tokens", 100, 1)
    for moment in range(0, 6_000, 60):
        assert window.wait(100, float(moment)) == 0
        window.take(100, float(moment))
    assert window.wait(1, 5_941.0) == pytest.approx(59)
