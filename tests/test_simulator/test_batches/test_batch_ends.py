"""How the requests of a batch can end, and what a plan makes go wrong at the batch endpoints."""

import json
import re

import anthropic
import httpx2
import pytest

from simulator.plan import PlanError, read_plan
from tests.test_simulator.calls import (
    billed,
    ended,
    item,
    items,
    params,
    results,
    sdk,
    serving,
)

RESULT_FAULTS = ("cut_results", "end_results_early", "repeat_results", "malformed_body", "cut_after")
STATUSES = {
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    504: anthropic.GatewayTimeoutError,
    529: anthropic.OverloadedError,
}


def fault(endpoint, kind, more):
    return f'[[faults]]\nendpoint = "batches_{endpoint}"\nkind = "{kind}"\n{more}\n'


PLAN = "\n".join(
    ["[batches]\nprocessing_seconds = 0.05\n"]
    + [fault("create", "status", f'status = {code}\nmatch = "<{code}>"\nfirst_n = 1') for code in STATUSES]
    + [
        fault("create", kind, f'match = "<{kind}>"\nfirst_n = 1')
        for kind in ("spend_cap", "cut_before", "cut_after", "malformed_body")
    ]
    + [fault("create", "hang", 'match = "<hang>"\nseconds = 0.01')]
    + [fault("list", "status", 'match = "limit=7"\nstatus = 500')]
    + [fault("retrieve", "status", 'match = "fault=retrieve"\nstatus = 529')]
    + [fault("results", kind, f'match = "fault={kind}"') for kind in RESULT_FAULTS]
)

MIXED = """
seed = 3
[batches]
processing_seconds = 0.05
errored_probability = 0.2
errored_status = 529
expired_probability = 0.2
refusal_probability = 0.3
"""

EXPIRING = """
[batches]
processing_seconds = 0.4
expire_after_seconds = 0.1
expire_batches_probability = 0.5
"""


BAD = {
    "temperature": (400, {"temperature": 0.5}),
    "stream": (400, {"stream": True}),
    "speed": (400, {"speed": "standard"}),
    "fallbacks": (400, {"fallbacks": []}),
    "no-tokens": (400, {"max_tokens": 0}),
    "retired": (404, {"model": "claude-opus-4-1"}),
    "too-long": (400, {"messages": [{"role": "user", "content": "x" * 4_000_100}]}),
}


def test_a_bad_request_does_not_fail_its_batch_and_ends_as_the_error_messages_would_give(client, simulator):
    requests = [item(name, **more) for name, (_, more) in BAD.items()] + [{"custom_id": "void", "params": {}}]
    deep = {
        "tools": [{"name": "t", "input_schema": {"type": "object", "x": json.loads("[" * 900 + "]" * 900)}}]
    }
    requests += [item("deep", **deep), item("good")]
    batch = ended(client, client.messages.batches.create(requests=requests))
    found = results(client, batch)
    kinds = {400: "invalid_request_error", 404: "not_found_error"}
    for name, (status, _) in BAD.items():
        assert (found[name].type, found[name].error.error.type) == ("errored", kinds[status])
    assert "nested too deeply" in found["deep"].error.error.message
    assert found["void"].error.error.message == "model: Field required"
    assert found["temperature"].error.error.message == "temperature: Extra inputs are not permitted"
    assert (batch.request_counts.errored, batch.request_counts.succeeded) == (len(requests) - 1, 1)
    assert [line["custom_id"] for line in billed(simulator, batch)] == ["good"]


def test_planned_ends_follow_from_the_custom_id_and_only_successes_are_billed(tmp_path_factory):
    with serving(tmp_path_factory, MIXED) as simulator, sdk(simulator) as client:
        both = [ended(client, client.messages.batches.create(requests=items(100))) for _ in range(2)]
        first, second = (results(client, batch) for batch in both)
        kinds = {name: result.type for name, result in first.items()}
        assert kinds == {name: result.type for name, result in second.items()}
        assert set(kinds.values()) == {"succeeded", "errored", "expired"}
        counts = both[0].request_counts
        for kind in ("succeeded", "errored", "expired"):
            assert getattr(counts, kind) == [*kinds.values()].count(kind) > 5
        errors = {result.error.error.type for result in first.values() if result.type == "errored"}
        assert errors == {"overloaded_error"}
        messages = [result.message for result in first.values() if result.type == "succeeded"]
        refusals = [message for message in messages if message.stop_reason == "refusal"]
        assert 0 < len(refusals) < len(messages)
        assert {message.stop_details.type for message in refusals} == {"refusal"}
        assert [line["custom_id"] for line in billed(simulator, both[0])] != []
        assert {line["message_id"] for line in billed(simulator, both[0])} == {
            message.id for message in messages
        }
        assert simulator.stats()["batch_items"]["expired"] == 2 * counts.expired


def test_batches_that_expire_end_and_what_they_did_not_reach_is_not_billed(tmp_path_factory):
    """Half of them are stuck and complete nothing, the others are too slow and complete a part."""
    with serving(tmp_path_factory, EXPIRING) as simulator, sdk(simulator) as client:
        seen = set()
        for batch in [client.messages.batches.create(requests=items(60)) for _ in range(8)]:
            done = ended(client, batch)
            assert done.ended_at >= done.expires_at
            seen.add(frozenset(result.type for result in results(client, done).values()))
            assert len(billed(simulator, done)) == done.request_counts.succeeded
            assert done.request_counts.succeeded + done.request_counts.expired == 60
        assert seen == {frozenset({"expired"}), frozenset({"succeeded", "expired"})}


@pytest.mark.parametrize("status", STATUSES)
def test_a_planned_status_refuses_a_create_once(client, simulator, status):
    count = simulator.stats()["batches"]
    request = {"custom_id": "a", "params": params(f"<{status}>")}
    with pytest.raises(STATUSES[status]):
        client.messages.batches.create(requests=[request])
    assert simulator.stats()["batches"] == count
    assert client.messages.batches.create(requests=[request]).id


@pytest.mark.parametrize(
    ("kind", "error", "exists"),
    [
        ("spend_cap", anthropic.EnforcedSpendLimitReachedError, False),
        ("cut_before", anthropic.APIConnectionError, False),
        ("cut_after", anthropic.APIConnectionError, True),
        ("malformed_body", json.JSONDecodeError, True),
    ],
)
def test_a_create_whose_answer_is_lost_leaves_a_batch_that_the_list_shows(
    client, simulator, kind, error, exists
):
    before = client.messages.batches.list(limit=1).first_id
    with pytest.raises(error):
        client.messages.batches.create(requests=[{"custom_id": kind, "params": params(f"<{kind}>")}])
    newest = client.messages.batches.list(limit=1).data[0]
    assert (newest.id != before) == exists
    if exists:
        ended(client, newest)
        assert set(results(client, newest)) == {kind}
        assert len(billed(simulator, newest)) == 1


def test_a_hanging_create_is_answered_late_and_the_other_endpoints_can_fail_too(client):
    batches = client.messages.batches
    batch = batches.create(requests=[{"custom_id": "a", "params": params("<hang>")}])
    with pytest.raises(anthropic.InternalServerError):
        batches.list(limit=7)
    with pytest.raises(anthropic.OverloadedError):
        batches.retrieve(batch.id, extra_query={"fault": "retrieve"})


def test_answers_carry_the_marks_and_the_limits_of_the_batch_endpoints(client, simulator):
    batch = ended(client, client.messages.batches.create(requests=items(1)))
    for answer in (
        client.messages.batches.with_raw_response.retrieve(batch.id),
        client.messages.batches.with_raw_response.results(batch.id),
    ):
        assert answer.headers["weighbridge-simulated"] == "true"
        assert re.match("req_sim_", answer.headers["request-id"])
        assert answer.headers["anthropic-ratelimit-requests-limit"] == "60000"
    assert set(simulator.stats()["received"]) >= {
        f"batches_{name}" for name in ("create", "list", "retrieve", "results", "cancel", "delete")
    }


def read(client, batch, kind):
    """The custom_ids that arrive when the results are struck, and what reading them raised."""
    found = []
    try:
        path = f"/v1/messages/batches/{batch.id}/results?fault={kind}"
        with httpx2.stream(
            "GET", str(client.base_url).rstrip("/") + path, headers={"x-api-key": "any"}
        ) as got:
            found.extend(json.loads(line)["custom_id"] for line in got.iter_lines())
    except (httpx2.RemoteProtocolError, json.JSONDecodeError) as error:
        return found, type(error)
    return found, None


def test_results_can_be_cut_end_early_repeat_and_break_and_are_whole_the_next_time(client, simulator):
    batch = ended(client, client.messages.batches.create(requests=items(40)))
    whole, error = read(client, batch, "none")
    assert (len(whole), error) == (40, None)
    cut, error = read(client, batch, "cut_results")
    assert (cut, error) == (whole[: len(cut)], httpx2.RemoteProtocolError)
    assert len(cut) <= 20
    assert read(client, batch, "end_results_early") == (whole[:20], None)
    assert read(client, batch, "repeat_results") == (whole + whole[:20], None)
    assert read(client, batch, "malformed_body") == (whole[:20], json.JSONDecodeError)
    assert read(client, batch, "cut_after") == ([], httpx2.RemoteProtocolError)
    assert list(results(client, batch)) == whole
    assert len(billed(simulator, batch)) == 40
    assert simulator.stats()["requests"]["batches_results"]["cut"] >= 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[batches]\nerrored_probability = 0.6\nexpired_probability = 0.6", "more than 1"),
        ("[batches]\nerrored_status = 413", "errored_status 413"),
        ("[batches]\nexpire_batches_probability = 0.5", "needs `expire_after_seconds`"),
        (fault("create", "cut_results", "first_n = 1"), "belongs to the endpoint"),
        (fault("create", "usage_missing", "first_n = 1"), "belongs to"),
        (fault("results", "cut_after", "first_n = 1\nfraction = 0.5"), "`fraction` belongs"),
    ],
)
def test_a_plan_that_makes_no_sense_for_batches_is_refused_with_a_reason(tmp_path, text, reason):
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    with pytest.raises(PlanError, match=re.escape(reason)):
        read_plan(plan)
