"""Limits by model: requests, input tokens and output tokens a minute, and the headers that state them."""

from datetime import UTC, datetime

import anthropic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.billing.billed_usage import BilledUsage
from simulator.http.api_errors import RefusedError
from simulator.http.model_rates import MAX_RETRY_SECONDS, ModelRate, TokenBucket
from simulator.plan import PlanError, read_plan
from simulator.plan.api_clock import ApiClock
from simulator.plan.plan_sections import ModelRatePlan
from tests.test_simulator.calls import params, sdk, serving

START = "anthropic-ratelimit"


class Hands:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self):
        return self.now


def limited(**limits):
    hands = Hands()
    return ModelRate(ModelRatePlan(models=("claude-haiku-5-5",), **limits), ApiClock(), hands), hands


def plan_of(**limits):
    lines = "\n".join(f"{name} = {value}" for name, value in limits.items())
    return f'[[limits.models]]\nmodels = ["claude-haiku-5-5", "claude-opus-4-8"]\n{lines}\n'


def refused_for(rate, tokens):
    with pytest.raises(RefusedError) as error:
        rate.admit(tokens)
    assert error.value.status == 429
    return error.value.retry_after


def test_requests_are_held_to_the_second():
    rate, hands = limited(requests_per_minute=120)
    rate.admit(1)
    rate.admit(1)
    assert refused_for(rate, 1) == 1
    hands.now = 0.5
    rate.admit(1)
    assert refused_for(rate, 1) == 1


def test_input_that_does_not_fit_waits_until_it_does_and_more_than_a_minute_s_worth_for_ever():
    rate, hands = limited(input_tokens_per_minute=6_000)
    rate.admit(5_000)
    rate.settle(BilledUsage(5_000, 9))
    assert refused_for(rate, 2_000) == 10
    hands.now = 10
    rate.admit(2_000)
    hands.now = 1e9
    assert refused_for(rate, 6_001) == 1
    rate.admit(6_000)


def test_output_is_counted_as_it_was_written_and_its_debt_keeps_the_next_request_waiting():
    rate, hands = limited(output_tokens_per_minute=600)
    rate.admit(1)
    rate.settle(BilledUsage(1, 900))
    assert refused_for(rate, 1) == 31
    hands.now = 31
    rate.admit(1)


def test_what_is_read_from_the_cache_does_not_count_and_what_is_written_to_it_does():
    rate, _ = limited(input_tokens_per_minute=10_000)
    rate.settle(BilledUsage(100, 9, write_5m=1_000, write_1h=2_000, read=9_000))
    assert rate.headers()[f"{START}-input-tokens-remaining"] == "7000"


@settings(deadline=None)
@given(st.integers(60, 10**7), st.lists(st.tuples(st.floats(0, 100), st.integers(1, 10**6)), max_size=30))
def test_no_window_admits_more_tokens_than_a_full_bucket_and_what_is_refilled_in_it(per_minute, steps):
    hands = Hands()
    bucket = TokenBucket(per_minute, hands)
    used = 0
    for seconds, tokens in steps:
        hands.now += seconds
        wait = bucket.wait_for(tokens)
        if wait is None:
            bucket.use(tokens)
            used += tokens
        else:
            assert 1 <= wait <= MAX_RETRY_SECONDS
            before = hands.now
            hands.now += wait
            assert bucket.wait_for(tokens) is None or tokens > per_minute or wait == MAX_RETRY_SECONDS
            assert hands.now > before
        assert used <= per_minute * (1 + hands.now / 60) + 1


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"requests_per_minute": 1}, "requests"),
        ({"input_tokens_per_minute": 12_000}, "input tokens"),
        ({"output_tokens_per_minute": 20}, "output tokens"),
    ],
)
def test_over_a_limit_the_models_that_share_it_get_a_429_and_others_are_answered(
    tmp_path_factory, limits, name
):
    body = params("x" * 40_000 + "[[output_tokens=60]]")
    with serving(tmp_path_factory, plan_of(**limits)) as simulator, sdk(simulator) as client:
        answer = client.messages.with_raw_response.create(**body)
        [(option, limit)] = limits.items()
        header = f"{START}-{option.removesuffix('_per_minute').replace('_', '-')}"
        assert answer.headers[f"{header}-limit"] == str(limit)
        assert int(answer.headers[f"{header}-remaining"]) < limit
        assert datetime.fromisoformat(answer.headers[f"{header}-reset"]) > datetime.now(UTC)
        for model in ("claude-haiku-5-5", "claude-opus-4-8"):
            with pytest.raises(anthropic.RateLimitError) as error:
                client.messages.create(**{**body, "model": model})
            assert (error.value.type, name in error.value.api_message) == ("rate_limit_error", True)
            assert 1 <= int(error.value.response.headers["retry-after"]) <= 60
            assert error.value.response.headers[f"{header}-remaining"] == "0" or name == "input tokens"
        assert client.messages.create(**{**body, "model": "claude-sonnet-5"}).type == "message"
        counted = {"model": body["model"], "messages": body["messages"]}
        assert client.messages.count_tokens(**counted).input_tokens > 9_000
        batch = client.messages.batches.create(requests=[{"custom_id": "a", "params": body}])
        assert batch.processing_status == "in_progress"
        assert len([line for line in simulator.billed() if line["endpoint"] == "messages"]) == 2


def test_a_cached_prefix_gets_past_a_limit_that_it_would_not_fit_under(tmp_path_factory):
    system = [{"type": "text", "text": "law " * 8_000, "cache_control": {"type": "ephemeral"}}]
    plan = plan_of(input_tokens_per_minute=12_000)
    with serving(tmp_path_factory, plan) as simulator, sdk(simulator) as client:
        first = client.messages.create(**params(system=system))
        assert first.usage.cache_creation_input_tokens > 7_000
        for _ in range(3):
            again = client.messages.with_raw_response.create(**params(system=system))
        assert again.parse().usage.cache_read_input_tokens > 7_000
        assert again.headers[f"{START}-input-tokens-remaining"] in ("4000", "5000")
        assert again.headers[f"{START}-tokens-limit"] == "12000"
        with pytest.raises(anthropic.RateLimitError):
            client.messages.create(**params("other", system=[{**system[0], "text": "law " * 7_999}]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (plan_of(), "state requests"),
        (plan_of(requests_per_minute=0), "requests_per_minute"),
        (plan_of(requests_per_minute=1) * 2, "under two limits"),
        (plan_of(requests_per_minute=1).replace("opus-4-8", "none"), "no model claude-none"),
    ],
)
def test_limits_that_make_no_sense_are_refused(tmp_path, text, reason):
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    with pytest.raises(PlanError, match=reason):
        read_plan(plan)
