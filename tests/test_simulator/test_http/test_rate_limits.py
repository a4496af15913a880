"""The limits: what is over them is a 429 that says when to come back."""

import anthropic
import pytest
from anthropic import Anthropic

from simulator import running_simulator
from simulator.http.rate_limits import Bucket


def asked(text):
    return {"model": "claude-haiku-5-5", "messages": [{"role": "user", "content": f"<{text}>"}]}


def test_over_the_limit_a_request_is_a_429_that_says_when_to_come_back(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text("[limits]\nmessages_per_minute = 1\ncount_per_minute = 60000\n")
    with (
        running_simulator(plan=plan) as simulator,
        Anthropic(api_key="any", base_url=simulator.base_url, max_retries=0) as client,
    ):
        client.messages.create(**asked("a"), max_tokens=9)
        with pytest.raises(anthropic.RateLimitError) as error:
            client.messages.create(**asked("a"), max_tokens=9)
        headers = error.value.response.headers
        assert 1 <= int(headers["retry-after"]) <= 60
        assert (headers["anthropic-ratelimit-requests-limit"], error.value.type) == ("1", "rate_limit_error")
        assert client.messages.count_tokens(**asked("a")).input_tokens > 0
        assert len(simulator.billed()) == 1


def test_the_limit_is_kept_per_second_with_one_second_s_burst():
    now = 0.0
    bucket = Bucket(600, clock=lambda: now)
    assert [bucket.take() for _ in range(11)] == [None] * 10 + [1]
    now = 0.5
    assert [bucket.take() for _ in range(6)] == [None] * 5 + [1]
    now = 100.0
    assert sum(bucket.take() is None for _ in range(30)) == 10
