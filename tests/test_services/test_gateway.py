"""The gateway against the simulator process: each failure is the right kind, and only what was surely not billed is
tried again."""

import hashlib
import json
import socket

import orjson
import pytest
import stamina
from anthropic.types import ModelInfo

from schemas.errors import BadInput, RunFailed
from schemas.failures import AccessDenied, MayBeBilled, NotBilled, Refused, SpendLimitReached, Transient
from schemas.model_facts import ModelFacts
from schemas.payload.payload import Payload
from schemas.policy_sections import RateLimits
from services.api_answers import model_facts
from services.gateway import open_gateway
from simulator import running_simulator
from simulator.billing.catalogue import MODELS
from tests.strategies import request

MODEL = "claude-haiku-5-5"
ONCE = "first_n = 1"
#: what strikes the payloads that carry its name
FAULTS = {
    "status-429": ("status", "status = 429\nfirst_n = 2"),
    "status-500": ("status", f"status = 500\n{ONCE}"),
    "status-529": ("status", f"status = 529\n{ONCE}"),
    "status-504": ("status", f"status = 504\n{ONCE}"),
    "busy-for-ever": ("status", "status = 529\nprobability = 1.0"),
    "come-back-tomorrow": ("status", f"status = 529\nretry_after = 3600\n{ONCE}"),
    "refused-413": ("status", f"status = 413\n{ONCE}"),
    "denied": ("status", f"status = 401\n{ONCE}"),
    "no-money-402": ("status", f"status = 402\n{ONCE}"),
    "hang": ("hang", f"seconds = 600\n{ONCE}"),
    "cut_before": ("cut_before", ONCE),
    "cut_after": ("cut_after", ONCE),
    "malformed_body": ("malformed_body", ONCE),
    "usage_missing": ("usage_missing", ONCE),
    "spend_cap": ("spend_cap", ONCE),
}
LIMITS = RateLimits(tries=4, request_timeout_seconds=30, max_wait_seconds=2)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    plan = tmp_path_factory.mktemp("plan") / "plan.toml"
    plan.write_text(
        "\n".join(
            f'[[faults]]\nendpoint = "{endpoint}"\nkind = "{kind}"\nmatch = "<{name}>"\n{more}\n'
            for name, (kind, more) in FAULTS.items()
            for endpoint in ("messages", "count_tokens")
        )
    )
    with running_simulator(plan=plan) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    with stamina.set_testing(True, attempts=100, cap=True):  # waits nowhere, keeps the number of tries
        yield


@pytest.fixture
async def gateway(simulator):
    async with open_gateway(LIMITS, simulator.base_url) as opened:
        yield opened


class Leaving:
    """Counts how often it is said that the bytes are about to leave."""

    def __init__(self):
        self.sentence = 0

    async def __call__(self):
        self.sentence += 1


def body(name):
    return Payload.checked(request(f"<{name}> please")).message_body(MODEL)


async def sent(gateway, simulator, name):
    """What comes of sending (the reply or the failure), and how many requests arrived and were billed for it."""
    before, leaving = simulator.stats(), Leaving()
    try:
        end = await gateway.send(body(name), leaving=leaving)
    except (NotBilled, MayBeBilled, AccessDenied) as error:
        end = error
    after = simulator.stats()
    arrived = after["received"]["messages"] - before["received"]["messages"]
    assert leaving.sentence == arrived
    return end, arrived, after["billed"] - before["billed"]


@pytest.mark.parametrize(("name", "tries"), [("status-429", 3), ("status-500", 2), ("status-529", 2)])
async def test_what_passes_is_tried_again_until_it_succeeds(gateway, simulator, name, tries):
    reply, arrived, billed = await sent(gateway, simulator, name)
    assert (reply.tries, arrived, billed) == (tries, tries, 1)
    assert reply.answer.model == MODEL
    assert orjson.loads(reply.body)["usage"]["input_tokens"] == reply.answer.usage.input_tokens
    assert (gateway.tally.message, gateway.tally.retried) == (1, tries - 1)


async def test_what_does_not_pass_is_given_up_after_the_tries_allowed(gateway, simulator):
    error, arrived, billed = await sent(gateway, simulator, "busy-for-ever")
    assert (type(error), error.tries, arrived, billed) == (Transient, LIMITS.tries, LIMITS.tries, 0)
    assert str(error) == "HTTP 529 overloaded_error"


async def test_a_wait_longer_than_the_policy_allows_is_given_up_at_once(gateway, simulator):
    error, arrived, billed = await sent(gateway, simulator, "come-back-tomorrow")
    assert (type(error), error.tries, error.retry_after, arrived, billed) == (Transient, 1, 3600, 1, 0)


@pytest.mark.parametrize(
    ("name", "billed"),
    [
        ("status-504", 0),  # the gateway's time-out: nobody knows whether the work was done
        ("cut_after", 1),
        ("cut_before", 0),  # looks the same as cut_after from here
        ("malformed_body", 1),
        ("usage_missing", 1),
    ],
)
async def test_what_may_be_billed_is_sent_exactly_once(gateway, simulator, name, billed):
    error, *arrived_and_billed = await sent(gateway, simulator, name)
    assert (type(error), error.tries) == (MayBeBilled, 1)
    assert arrived_and_billed == [1, billed]
    assert gateway.tally.retried == 0


async def test_a_call_that_hangs_may_be_billed_and_is_sent_exactly_once(simulator):
    brief = LIMITS.model_copy(update={"request_timeout_seconds": 3})
    async with open_gateway(brief, simulator.base_url) as one:
        error, *arrived_and_billed = await sent(one, simulator, "hang")
    assert type(error) is MayBeBilled
    assert arrived_and_billed == [1, 1]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("spend_cap", SpendLimitReached),
        ("no-money-402", SpendLimitReached),
        ("denied", AccessDenied),
        ("refused-413", Refused),
    ],
)
async def test_what_no_retry_gets_past_is_not_retried(gateway, simulator, name, kind):
    error, arrived, billed = await sent(gateway, simulator, name)
    assert (type(error), error.tries, arrived, billed) == (kind, 1, 1, 0)


async def test_a_refusal_keeps_the_apis_words_apart_from_its_own_text(gateway):
    wrong = body("x") | {"thinking": {"type": "no-such-type-SECRET"}}
    with pytest.raises(Refused) as refused:
        await gateway.send(wrong, leaving=Leaving())
    assert refused.value.status == 400
    assert refused.value.explanation
    assert "SECRET" not in str(refused.value)
    assert refused.value.request_id


async def test_no_connection_is_surely_not_billed_and_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with open_gateway(LIMITS, f"http://127.0.0.1:{port}") as nobody:
        with pytest.raises(Transient) as error:
            await nobody.send(body("x"), leaving=Leaving())
        assert error.value.tries == LIMITS.tries
        with pytest.raises(RunFailed, match="could not be listed"):
            await nobody.models()


async def test_a_caller_that_withdraws_before_its_turn_sends_nothing(gateway, simulator):
    class WithdrawnError(Exception):
        pass

    async def leaving():
        raise WithdrawnError

    before = simulator.stats()["received"]["messages"]
    with pytest.raises(WithdrawnError):
        await gateway.send(body("x"), leaving=leaving)
    assert simulator.stats()["received"]["messages"] == before
    assert gateway.tally.message == 0


@pytest.mark.parametrize("name", ["status-429", "status-504", "cut_after", "malformed_body", "usage_missing"])
async def test_a_count_is_free_so_that_every_failure_that_passes_is_tried_again(gateway, name):
    counted = Payload.checked(request(f"<{name}> count me")).count_body(MODEL)
    assert await gateway.count(counted) > 0
    assert gateway.tally.count == 1
    assert gateway.tally.retried >= 1


async def test_the_bytes_that_leave_are_the_payloads_and_their_count_is_near_the_bill(gateway, simulator):
    payload = Payload.checked(
        request(
            "weigh me",
            system=[{"type": "text", "text": "Be brief. ünï", "cache_control": {"type": "ephemeral"}}],
            tools=[{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
            tool_choice={"type": "auto"},
            stop_sequences=["END"],
            metadata={"user_id": "u"},
        )
    )
    reply = await gateway.send(payload.message_body(MODEL), leaving=Leaving())
    count = await gateway.count(payload.count_body(MODEL))
    line = next(line for line in simulator.billed() if line["request_id"] == reply.request_id)
    canonical = json.dumps(
        payload.message_body(MODEL), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert line["payload_sha256"] == hashlib.sha256(canonical.encode()).hexdigest()
    usage = reply.answer.usage
    assert abs(usage.input_tokens + usage.cache_write_tokens - count) <= max(8, count // 100)


async def test_the_models_say_that_they_are_simulated_and_an_unknown_one_is_none(gateway):
    listed = await gateway.models()
    assert gateway.simulated
    assert listed[MODEL].lifecycle == "active"
    assert (await gateway.model("claude-opus-4-1")).lifecycle == "retired"
    assert await gateway.model("claude-imaginary-9") is None


@pytest.mark.parametrize("name", [".", "..", "%2e%2e"])
async def test_a_model_name_that_makes_no_path_is_unknown(gateway, name):
    assert await gateway.model(name) is None


async def test_what_the_models_state_of_themselves_is_read(gateway):
    listed = await gateway.models()
    for model in MODELS:
        facts = listed[model.id]
        assert (facts.thinking, facts.efforts) == (frozenset(model.thinking), frozenset(model.efforts))
        assert (facts.images, facts.pdfs, facts.batch, facts.structured_outputs) == (True,) * 4


@pytest.mark.parametrize(
    "stated", [None, {}, [], {"thinking": None, "effort": [], "batch": {"supported": "?"}}]
)
def test_what_a_model_does_not_state_is_not_known(stated):
    info = {"lifecycle": "active", "retires_at": None, "max_input_tokens": None, "max_tokens": 5}
    facts = model_facts("m", ModelInfo.construct(**info, capabilities=stated))
    assert facts == ModelFacts("m", "active", max_tokens=5)


async def test_looking_up_a_model_is_tried_again_when_the_failure_passes(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('[[faults]]\nendpoint = "models"\nkind = "status"\nstatus = 529\nfirst_n = 1\n')
    with running_simulator(plan=plan) as busy:
        async with open_gateway(LIMITS, busy.base_url) as one:
            assert (await one.model(MODEL)).model == MODEL


async def test_a_gateway_without_a_key_is_bad_input(monkeypatch, tmp_path):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(BadInput):
        async with open_gateway(LIMITS):
            pass
