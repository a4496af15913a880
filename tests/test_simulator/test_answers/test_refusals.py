"""Refusals by the model: what they show, what they cost, and how a plan or a request calls for them."""

import anthropic
import pytest

from simulator import running_simulator
from simulator.plan import MessagePlan, PlanError, read_plan
from tests.test_simulator.calls import ended

PLAN = """
[messages]
refusal_probability = 0.5
refusal_categories = ["cyber", "bio", "none"]
refusal_before_output = 0.5
[batches]
processing_seconds = 0.1
refusal_probability = 0.5
refusal_categories = ["cyber", "bio", "none"]
refusal_before_output = 0.5
"""


def body(text, **more):
    messages = [{"role": "user", "content": text}]
    return {"model": "claude-haiku-4-5", "max_tokens": 300, "messages": messages, **more}


def sdk(simulator):
    return anthropic.Anthropic(
        api_key="any", base_url=simulator.base_url, max_retries=0, _strict_response_validation=True
    )


@pytest.fixture(scope="module")
def simulator():
    with running_simulator() as running:
        yield running


BEFORE_OUTPUT = [
    ("cyber", False), ("general_harms", False), ("none", False),
    ("bio", True), ("frontier_llm", True), ("reasoning_extraction", True),
]  # fmt: skip


@pytest.mark.parametrize(("category", "billed"), BEFORE_OUTPUT)
def test_a_refusal_before_any_output_is_billed_by_its_category(simulator, category, billed):
    before = simulator.stats()
    reply = sdk(simulator).messages.create(**body(f"[[refusal_before_output={category}]]"))
    after = simulator.stats()
    assert (reply.stop_reason, reply.content) == ("refusal", [])
    assert reply.stop_details.category == (None if category == "none" else category)
    assert (reply.usage.input_tokens > 0, reply.usage.output_tokens) == (True, 0)
    line = simulator.billed()[-1]
    assert line["message_id"] == reply.id
    assert line["usage"] == reply.usage.model_dump(mode="json", exclude_none=True)
    cost = reply.usage.input_tokens * 1_000 if billed else 0
    assert (line["billed"], line["cost_nano_usd"]) == (billed, cost)
    changes = [after[name] - before[name] for name in ("billed", "unbilled", "billed_nano_usd")]
    assert changes == [int(billed), int(not billed), cost]


@pytest.mark.parametrize("category", [category for category, _ in BEFORE_OUTPUT])
def test_a_refusal_in_mid_stream_is_always_billed(simulator, category):
    reply = sdk(simulator).messages.create(**body(f"[[refusal={category}]] [[output_tokens=40]]"))
    line = simulator.billed()[-1]
    assert (reply.stop_reason, reply.content[0].type, reply.usage.output_tokens) == ("refusal", "text", 40)
    assert line["billed"]
    assert line["cost_nano_usd"] == reply.usage.input_tokens * 1_000 + 40 * 5_000


def test_a_refused_request_for_a_tool_or_a_search_makes_no_use_of_it(simulator):
    search = {"type": "web_search_20260318", "name": "web_search"}
    text = "[[web_searches=2]] [[refusal_before_output=bio]]"
    reply = sdk(simulator).messages.create(**body(text, tools=[search]))
    assert reply.usage.server_tool_use.web_search_requests == 0
    assert simulator.billed()[-1]["cost_nano_usd"] == reply.usage.input_tokens * 1_000
    tool = {"name": "t", "input_schema": {"type": "object"}}
    text = "[[refusal=cyber]]"
    reply = sdk(simulator).messages.create(**body(text, tools=[tool], tool_choice={"type": "any"}))
    assert (reply.stop_reason, [block.type for block in reply.content]) == ("refusal", ["text"])


def test_planned_refusals_are_the_stated_share_and_stay_the_same(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    with running_simulator(plan=plan) as simulator:
        client = sdk(simulator)
        replies = [client.messages.create(**body(f"job {number}")) for number in range(60)]
        again = client.messages.create(**body("job 0"))
        batch = client.messages.batches.create(
            requests=[{"custom_id": f"c{number}", "params": body("x")} for number in range(60)]
        )
        ended(client, batch)
        lines = simulator.billed()
        stats = simulator.stats()
        found = [line.result.message for line in client.messages.batches.results(batch.id)]
    assert (again.stop_reason, again.stop_details) == (replies[0].stop_reason, replies[0].stop_details)
    by_id = {line["message_id"]: line for line in lines}
    for messages in (replies, found):
        refused = [message for message in messages if message.stop_reason == "refusal"]
        assert 10 < len(refused) < 50
        assert {message.stop_details.category for message in refused} == {"cyber", "bio", None}
        assert {bool(message.content) for message in refused} == {True, False}
        for message in messages:
            free = not message.content and message.stop_details.category != "bio"
            assert by_id[message.id]["billed"] == (not free)
            assert (by_id[message.id]["cost_nano_usd"] == 0) == free
    assert len(lines) == 121
    assert stats["billed"] == sum(line["billed"] for line in lines)
    assert stats["unbilled"] == sum(not line["billed"] for line in lines) > 0
    assert stats["billed_nano_usd"] == sum(line["cost_nano_usd"] for line in lines)


@pytest.mark.parametrize("options", ['refusal_categories = ["zebra"]', "refusal_categories = []"])
@pytest.mark.parametrize("section", ["messages", "batches"])
def test_a_plan_with_no_or_an_unknown_category_is_refused(tmp_path, section, options):
    plan = tmp_path / "plan.toml"
    plan.write_text(f"[{section}]\n{options}\n")
    with pytest.raises(PlanError, match=f"{section}.refusal_categories"):
        read_plan(plan)


def test_without_a_plan_nothing_is_refused():
    assert all(MessagePlan().refusal(7, str(number)) is None for number in range(1_000))
