"""Counts that are no counts, and usage that has nothing to do with the count."""

import pytest

from tests.test_simulator.calls import billed, ended, params, results, sdk, serving


def fault(place, kind, more):
    return f'[[faults]]\nendpoint = "{place}"\nkind = "{kind}"\nprobability = 1\n{more}\n'


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        pytest.param("tokens = 0", 0, marks=pytest.mark.slow),
        ("tokens = 7", 7),
        pytest.param("factor = 0.01", 50, marks=pytest.mark.slow),
        ("factor = 3", 15_018),
    ],
)
def test_a_wrong_count_is_what_the_plan_states_and_messages_are_billed_as_ever(
    tmp_path_factory, more, wanted
):
    with (
        serving(tmp_path_factory, fault("count_tokens", "wrong_count", more)) as simulator,
        sdk(simulator) as client,
    ):
        body = params("x" * 20_000)
        counted = client.messages.count_tokens(model=body["model"], messages=body["messages"])
        assert counted.input_tokens == wanted
        assert client.messages.create(**body).usage.input_tokens > 4_900
        assert [(line["kind"], line["billed"]) for line in simulator.faults()] == [("wrong_count", False)]


@pytest.mark.parametrize(
    "factor", [pytest.param(0, marks=pytest.mark.slow), pytest.param(0.01, marks=pytest.mark.slow), 30]
)
def test_wrong_usage_is_what_is_billed_and_the_answer_is_as_long_as_ever(tmp_path_factory, factor):
    places = ("messages", "batch_items")
    plan = "[batches]\nprocessing_seconds = 0.05\n" + "".join(
        fault(place, "wrong_usage", f"factor = {factor}") for place in places
    )
    body = params("word " * 4_000 + "[[output_tokens=60]][[thinking_tokens=0]]")
    with serving(tmp_path_factory, "") as simulator, sdk(simulator) as client:
        true = client.messages.create(**body)
    with serving(tmp_path_factory, plan) as simulator, sdk(simulator) as client:
        reply = client.messages.create(**body)
        batch = ended(client, client.messages.batches.create(requests=[{"custom_id": "a", "params": body}]))
        message = results(client, batch)["a"].message
        for found, [line] in ((reply, simulator.billed()[:1]), (message, billed(simulator, batch))):
            assert found.usage.input_tokens == int(true.usage.input_tokens * factor)
            assert found.usage.output_tokens == int(60 * factor)
            assert [block.text for block in found.content] == [block.text for block in true.content]
            assert line["usage"] == found.usage.model_dump(mode="json", exclude_none=True)
            assert (line["fault"], line["billed"]) == ("wrong_usage", True)
        full = int(true.usage.input_tokens * factor) * 100 + int(60 * factor) * 500
        if true.usage.input_tokens * factor < 100_000:
            assert simulator.billed()[0]["cost_nano_usd"] == full
        assert [line["billed"] for line in simulator.faults()] == [True, True]
