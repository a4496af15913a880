"""Workspaces: what belongs to one is not there for the keys of another, and every answer names whose it is."""

import anthropic
import httpx2
import pytest
from anthropic import Anthropic

from simulator.http.callers import DEFAULT_WORKSPACE, MAX_REMEMBERED, Callers
from simulator.plan import PlanError, read_plan
from tests.test_simulator.calls import ended, items, params, results

PLAN = """
[batches]
processing_seconds = 0.05
[workspaces]
"sk-night" = "wrkspc_night"
"sk-night-2" = "wrkspc_night"
"sk-day" = "wrkspc_day"
"""
NAMES = {"sk-night": "wrkspc_night", "sk-day": "wrkspc_day", "sk-any": DEFAULT_WORKSPACE}


@pytest.fixture
def of_key(simulator):
    """A client for each key."""
    made = {}

    def client(key):
        return made.setdefault(key, Anthropic(api_key=key, base_url=simulator.base_url, max_retries=0))

    yield client
    for each in made.values():
        each.close()


@pytest.mark.parametrize("key", NAMES)
def test_every_answer_names_the_workspace_of_its_key_and_so_does_its_bill(simulator, of_key, key):
    client = of_key(key)
    answers = [
        client.messages.with_raw_response.create(**params()),
        client.messages.with_raw_response.count_tokens(
            model="claude-haiku-5-5", messages=params()["messages"]
        ),
        client.messages.batches.with_raw_response.create(requests=items(1)),
        client.messages.batches.with_raw_response.list(),
        client.models.with_raw_response.list(),
        client.beta.files.with_raw_response.list(),
    ]
    assert {answer.headers["anthropic-workspace-id"] for answer in answers} == {NAMES[key]}
    with pytest.raises(anthropic.NotFoundError) as error:
        client.messages.create(**params(model="claude-none"))
    assert error.value.workspace_id == NAMES[key]
    reply = answers[0].parse()
    [line] = [line for line in simulator.billed() if line["message_id"] == reply.id]
    assert line["workspace_id"] == (None if key == "sk-any" else NAMES[key])


def test_a_batch_is_not_found_and_not_listed_under_the_key_of_another_workspace(simulator, of_key):
    batch = of_key("sk-night").messages.batches.create(requests=items(3))
    batch = ended(of_key("sk-night-2"), batch)
    for key in ("sk-day", "sk-any"):
        batches = of_key(key).messages.batches
        for call in (batches.retrieve, batches.results, batches.cancel, batches.delete):
            with pytest.raises(anthropic.NotFoundError) as error:
                call(batch.id)
            assert error.value.type == "not_found_error"
        assert httpx2.get(batch.results_url, headers={"x-api-key": key}).status_code == 404
        assert batch.id not in [each.id for each in batches.list()]
    assert batch.id in [each.id for each in of_key("sk-night-2").messages.batches.list()]
    assert len(results(of_key("sk-night"), batch)) == 3
    lines = [line for line in simulator.billed() if line.get("batch_id") == batch.id]
    assert [line["workspace_id"] for line in lines] == ["wrkspc_night"] * 3


def test_files_and_cached_prefixes_stay_in_their_workspace(of_key):
    made = of_key("sk-night").beta.files.upload(file=("a.txt", b"x", "text/plain"))
    assert of_key("sk-night-2").beta.files.retrieve_metadata(made.id) == made
    with pytest.raises(anthropic.NotFoundError):
        of_key("sk-day").beta.files.retrieve_metadata(made.id)
    system = [{"type": "text", "text": "law " * 2_000, "cache_control": {"type": "ephemeral"}}]
    reads = [
        of_key(key).messages.create(**params(system=system)).usage.cache_read_input_tokens > 0
        for key in ("sk-night", "sk-night-2", "sk-day", "sk-day")
    ]
    assert reads == [False, True, False, True]


def test_the_usage_report_separates_the_workspaces(simulator, of_key):
    of_key("sk-day").messages.create(**params())
    lines = [line for line in simulator.billed() if line["workspace_id"] == "wrkspc_day"]
    today = lines[-1]["time"][:10]
    page = httpx2.get(
        f"{simulator.base_url}/v1/organizations/usage_report/messages",
        params={"starting_at": f"{today}T00:00:00Z", "group_by[]": "workspace_id"},
        headers={"x-api-key": "sk-ant-admin01-x"},
    ).json()
    sums = {result["workspace_id"]: result["output_tokens"] for result in page["data"][0]["results"]}
    assert sums["wrkspc_day"] == sum(line["usage"]["output_tokens"] for line in lines)


def test_a_key_is_known_by_an_id_that_does_not_hold_it_and_few_are_remembered():
    callers = Callers({"sk-secret": "wrkspc_a"})
    first = callers.of("sk-secret")
    assert "secret" not in first.api_key_id
    for number in range(MAX_REMEMBERED + 1):
        callers.of(str(number))
    again = callers.of("sk-secret")
    assert (again, again.workspace) == (first, first.workspace)


def test_a_workspace_whose_id_is_none_is_refused(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('[workspaces]\n"sk-a" = "night"\n')
    with pytest.raises(PlanError, match="workspaces"):
        read_plan(plan)
