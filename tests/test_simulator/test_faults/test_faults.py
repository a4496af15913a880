"""What a plan makes go wrong, and that the billing log tells the truth about each case."""

import json
import socket

import anthropic
import pytest
from anthropic import Anthropic

from simulator import running_simulator
from simulator.faults.fault_picker import FaultPicker
from simulator.faults.latencies import Latencies
from simulator.plan import Fault, Latency, Plan
from tests.processes import until

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
    with Anthropic(api_key="any", base_url=simulator.base_url, **options) as sdk:
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
        until(lambda: len(simulator.billed()) > billed, "its bill")
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
    line = simulator.billed()[-1]
    assert (line["fault"], line["simulated"], line["endpoint"]) == ("hang", True, "messages")
    assert "forever" not in simulator.log.read_text()


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
