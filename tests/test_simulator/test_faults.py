"""What a plan makes go wrong, and that the billing log tells the truth about each case."""

import json
import socket
import time

import anthropic
import pytest
from anthropic import Anthropic

from simulator import running_simulator
from simulator.http.faults import Bucket, FaultPicker, Latencies
from simulator.plan import Fault, Latency, Plan, PlanError, read_plan

STATUSES = {
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    504: anthropic.GatewayTimeoutError,
    529: anthropic.OverloadedError,
}
OTHER = {
    "hang": "seconds = 0.05",
    "cut_before": "",
    "cut_after": "",
    "malformed_body": "",
    "usage_missing": "",
    "spend_cap": "",
}
COUNT_KINDS = {
    "cut_after": anthropic.APIConnectionError,
    "usage_missing": anthropic.APIResponseValidationError,
}


def fault(kind, match, endpoint="messages", more=""):
    return f'[[faults]]\nendpoint = "{endpoint}"\nkind = "{kind}"\nmatch = "{match}"\nfirst_n = 1\n{more}\n'


PLAN = "\n".join(
    [fault(kind, f"<{kind}>", more=more) for kind, more in OTHER.items()]
    + [fault(kind, f"<{kind}>", "count_tokens") for kind in COUNT_KINDS]
    + [fault("status", f"<{status}>", more=f"status = {status}\nretry_after = 7") for status in STATUSES]
    + ['[[faults]]\nendpoint = "messages"\nkind = "hang"\nseconds = 3600\nmatch = "<forever>"\n']
    + [fault("status", "limit=3", "models", "status = 500")]
)  # fmt: skip


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    plan = tmp_path_factory.mktemp("plan") / "plan.toml"
    plan.write_text(PLAN)
    with running_simulator(plan=plan) as running:
        yield running


@pytest.fixture(scope="module")
def client(simulator):
    options = {"max_retries": 0, "_strict_response_validation": True}
    with Anthropic(api_key="any", base_url=simulator.base_url, timeout=30, **options) as sdk:
        yield sdk


def asked(text):
    return {"model": "claude-haiku-5-5", "messages": [{"role": "user", "content": f"<{text}>"}]}


@pytest.mark.parametrize("status", STATUSES)
def test_a_planned_status_is_that_error_once_and_is_not_billed(client, simulator, status):
    billed = len(simulator.billed())
    with pytest.raises(STATUSES[status]) as error:
        client.messages.create(**asked(status), max_tokens=9)
    assert error.value.response.headers["retry-after"] == "7"
    assert len(simulator.billed()) == billed
    assert client.messages.create(**asked(status), max_tokens=9).usage.output_tokens == 9


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("spend_cap", anthropic.EnforcedSpendLimitReachedError),
        ("cut_before", anthropic.APIConnectionError),
        ("cut_after", anthropic.APIConnectionError),
        ("malformed_body", json.JSONDecodeError),
        ("usage_missing", anthropic.APIResponseValidationError),
    ],
)
def test_a_fault_is_billed_exactly_if_it_strikes_after_acceptance(client, simulator, kind, error):
    before = simulator.billed()
    with pytest.raises(error) as seen:
        client.messages.create(**asked(kind), max_tokens=9)
    lines = simulator.billed()[len(before) :]
    assert [line["fault"] for line in lines] == ([] if kind in ("spend_cap", "cut_before") else [kind])
    if kind == "spend_cap":
        assert "retry-after" not in seen.value.response.headers
    if kind.startswith("cut"):
        assert simulator.stats()["requests"]["messages"]["cut"] >= 1


def test_a_hang_is_billed_and_answered_late(client, simulator):
    reply = client.messages.create(**asked("hang"), max_tokens=9)
    assert [line["fault"] for line in simulator.billed() if line["message_id"] == reply.id] == ["hang"]


@pytest.mark.parametrize("kind", COUNT_KINDS)
def test_counts_can_fail_too_and_are_never_billed(client, simulator, kind):
    billed = len(simulator.billed())
    with pytest.raises(COUNT_KINDS[kind]):
        client.messages.count_tokens(**asked(kind))
    assert client.messages.count_tokens(**asked(kind)).input_tokens > 0
    assert len(simulator.billed()) == billed


def test_the_models_list_can_fail_too(client):
    with pytest.raises(anthropic.InternalServerError):
        client.models.list(limit=3)
    assert len(client.models.list(limit=3).data) == 3


def test_a_bill_is_on_record_before_any_byte_of_its_answer(simulator):
    body = b'{"model": "claude-haiku-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "<forever>"}]}'
    host, port = simulator.base_url.removeprefix("http://").split(":")
    head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: any\r\ncontent-length: {len(body)}\r\n\r\n"
    billed = len(simulator.billed())
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body)
        deadline = time.monotonic() + 30
        while len(simulator.billed()) == billed:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
    line = simulator.billed()[-1]
    assert (line["fault"], line["simulated"], line["endpoint"]) == ("hang", True, "messages")
    assert "forever" not in simulator.log.read_text()


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


def picked(*faults, seed=0, requests=12, endpoint="messages", raw=b"body"):
    picker = FaultPicker(Plan(seed=seed, faults=faults))
    found = [picker.pick(endpoint, raw) for _ in range(requests)]
    return [faults.index(fault) if fault else None for fault in found]


def test_faults_strike_when_and_where_they_say():
    def made(**when):
        return Fault(endpoint="messages", kind="cut_before", **when)

    assert picked(made(first_n=2)) == [0, 0] + [None] * 10
    assert picked(made(every_nth=4)) == [None, None, None, 0] * 3
    assert picked(made(match="body", first_n=1), made(first_n=2)) == [0, 1, 1] + [None] * 9
    assert picked(made(match="other")) == picked(made(first_n=9), endpoint="models") == [None] * 12
    half = [picked(made(probability=0.5), seed=seed, requests=400) for seed in (1, 1, 2)]
    assert half[0] == half[1] != half[2]
    assert 150 < half[0].count(0) < 250


def test_latencies_stay_within_their_jitter_and_follow_from_the_seed():
    plan = Plan(seed=3, latency=Latency(message_seconds=2, jitter=0.25))
    one, two = Latencies(plan), Latencies(plan)
    seconds = [one.next("messages") for _ in range(200)]
    assert seconds == [two.next("messages") for _ in range(200)]
    assert 1.5 <= min(seconds) < 1.6
    assert 2.4 < max(seconds) <= 2.5
    assert one.next("count_tokens") == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("seed = ", "plan.toml"),
        ("sead = 1", "sead"),
        ("[limits]\nmessages_per_minute = 0", "limits.messages_per_minute"),
        (fault("status", "x"), "needs it"),
        (fault("hang", "x"), "needs it"),
        (fault("explode", "x"), "faults.0.kind"),
        (fault("status", "x", more="status = 418"), "status 418"),
        ('[[faults]]\nendpoint = "models"\nkind = "cut_before"', "say when"),
    ],
)
def test_a_plan_that_does_not_fit_says_where(tmp_path, text, reason):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(PlanError, match=reason):
        read_plan(path)
    with pytest.raises(PlanError):
        read_plan(tmp_path / "none.toml")
