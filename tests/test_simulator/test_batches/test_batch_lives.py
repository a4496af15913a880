"""Message Batches as the SDK meets them: their life, their frame, their pages, their bill, their cancellation."""

import http.client
import json
from datetime import timedelta

import anthropic
import httpx2
import pytest
from anthropic import AnthropicError

from tests.processes import until
from tests.test_simulator.calls import billed, ended, item, items, params, results, sdk, serving

PLAN = "[batches]\nprocessing_seconds = 0.05\n"

SLOW = """
[limits]
queued_batch_requests = 1000
[batches]
processing_seconds = 3600
cancel_seconds = 0
cancel_completes_probability = 0.3
[[faults]]
endpoint = "batches_cancel"
kind = "cut_after"
match = "fault=cancel"
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    with serving(tmp_path_factory, SLOW) as running:
        yield running


@pytest.fixture(scope="module")
def slow_client(slow):
    with sdk(slow) as made:
        yield made


def test_a_batch_is_created_processed_read_and_deleted(client, simulator):
    batches = client.messages.batches
    batch = batches.create(requests=items(12))
    assert (batch.type, batch.archived_at, batch.cancel_initiated_at) == ("message_batch", None, None)
    assert batch.expires_at - batch.created_at == timedelta(hours=24)
    done = ended(client, batch)
    assert (done.id, done.created_at) == (batch.id, batch.created_at)
    assert done.created_at <= done.ended_at < done.expires_at
    assert done.results_url == f"{simulator.base_url}/v1/messages/batches/{batch.id}/results"
    assert done.request_counts.to_dict() == {
        "processing": 0, "succeeded": 12, "errored": 0, "canceled": 0, "expired": 0
    }  # fmt: skip
    found = results(client, batch)
    assert set(found) == {request["custom_id"] for request in items(12)}
    assert list(found) != sorted(found, key=lambda name: int(name[2:]))
    assert list(found) == list(results(client, batch))
    for result in found.values():
        assert (result.type, result.message.usage.service_tier) == ("succeeded", "batch")
    assert batches.delete(batch.id).type == "message_batch_deleted"
    for call in (batches.retrieve, batches.results, batches.cancel, batches.delete):
        with pytest.raises(anthropic.NotFoundError):
            call(batch.id)


def test_until_the_whole_batch_ends_nothing_is_told_and_nothing_is_billed(slow, slow_client):
    batches = slow_client.messages.batches
    batch = batches.retrieve(batches.create(requests=items(3)).id)
    assert (batch.processing_status, batch.ended_at, batch.results_url) == ("in_progress", None, None)
    assert (batch.request_counts.processing, sum(batch.request_counts.to_dict().values())) == (3, 3)
    with pytest.raises(AnthropicError, match="results_url"):
        batches.results(batch.id)
    with pytest.raises(anthropic.NotFoundError):
        slow_client.get(f"/v1/messages/batches/{batch.id}/results", cast_to=object)
    with pytest.raises(anthropic.BadRequestError):
        batches.delete(batch.id)
    assert billed(slow, batch) == []


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"model": "claude-opus-4-8"},
        {"inference_geo": "us"},
        {"messages": [{"role": "user", "content": "x" * 440_000}]},
    ],
    ids=["plain", "opus", "geo", "above the price cliff"],
)
def test_a_batch_costs_half_of_the_same_message_to_the_nano(client, simulator, more):
    request = params("The same words", **more)
    reply = client.messages.create(**request)
    batch = ended(client, client.messages.batches.create(requests=[{"custom_id": "a", "params": request}]))
    message = results(client, batch)["a"].message
    [full] = [line for line in simulator.billed() if line["message_id"] == reply.id]
    [half] = billed(simulator, batch)
    if "inference_geo" not in more:  # with a factor of 1.1 the full price may have been rounded itself
        assert half["cost_nano_usd"] == -(-full["cost_nano_usd"] // 2)
    assert 0 <= 2 * half["cost_nano_usd"] - full["cost_nano_usd"] <= 1
    assert {**half["usage"], "service_tier": "standard"} == full["usage"]
    assert half["usage"] == message.usage.model_dump(mode="json", exclude_none=True)
    assert half["payload_sha256"] == half["body_sha256"] == full["payload_sha256"]
    assert (half["message_id"], half["custom_id"], half["endpoint"]) == (message.id, "a", "batches")


def test_a_batch_is_billed_once_before_it_shows_as_ended_and_even_if_nobody_asks(client, simulator):
    batch = client.messages.batches.create(requests=items(5))
    until(lambda: billed(simulator, batch), "its bill")
    ended(client, batch)
    assert len(results(client, batch)) == len(results(client, batch)) == 5
    lines = billed(simulator, batch)
    assert sorted(line["custom_id"] for line in lines) == [f"a-{index}" for index in range(5)]
    stats = simulator.stats()
    assert stats["billed_nano_usd"] == sum(line["cost_nano_usd"] for line in simulator.billed())
    assert "Hello" not in simulator.log.read_text()


def test_the_same_batch_twice_is_two_batches_and_two_bills(client, simulator):
    count = simulator.stats()["batches"]
    both = [ended(client, client.messages.batches.create(requests=items(2))) for _ in range(2)]
    assert both[0].id != both[1].id
    assert simulator.stats()["batches"] == count + 2
    bills = [billed(simulator, batch) for batch in both]
    assert sorted(line["payload_sha256"] for line in bills[0]) == sorted(
        line["payload_sha256"] for line in bills[1]
    )


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "requests"),
        ({"requests": []}, "requests"),
        ({"requests": {}}, "requests"),
        ({"requests": items(1), "metadata": {}}, "metadata"),
        ({"requests": ["a"]}, "requests.0"),
        ({"requests": [{"params": params()}]}, "requests.0.custom_id"),
        ({"requests": [{"custom_id": "a"}]}, "requests.0.params"),
        ({"requests": [{"custom_id": "a", "params": []}]}, "requests.0.params"),
        ({"requests": [{**item("a"), "priority": 1}]}, "requests.0.priority"),
        ({"requests": [item("a"), item("b"), item("a")]}, "requests.2.custom_id"),
        *(
            ({"requests": [{"custom_id": custom_id, "params": params()}]}, "requests.0.custom_id")
            for custom_id in ("", "a b", "a.b", "a\n", "é", "a" * 65, 7, None)
        ),
    ],
)
def test_a_batch_with_a_wrong_frame_is_refused_at_once_and_does_not_exist(client, simulator, body, where):
    count = simulator.stats()["batches"]
    with pytest.raises(anthropic.BadRequestError) as error:
        client.post("/v1/messages/batches", body=body, cast_to=object)
    assert error.value.api_message.startswith(f"{where}: ")
    assert simulator.stats()["batches"] == count


def test_every_custom_id_that_the_rule_allows_is_taken(client):
    names = ["A", "0", "_", "-", "aZ09_-", "a" * 64]
    batch = ended(client, client.messages.batches.create(requests=[item(name) for name in names]))
    assert set(results(client, batch)) == set(names)


def test_batches_beyond_the_limits_and_calls_without_a_key_have_their_own_errors(simulator):
    url = f"{simulator.base_url}/v1/messages/batches"
    key = {"x-api-key": "any"}
    many = b'{"requests": [' + b"{}," * 100_000 + b"{}]}"
    assert "not 100001" in httpx2.post(url, headers=key, content=many).json()["error"]["message"]
    connection = http.client.HTTPConnection(simulator.base_url.removeprefix("http://"))
    connection.request("POST", "/v1/messages/batches", headers={**key, "content-length": str(2**28 + 1)})
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["error"]["type"]) == (413, "request_too_large")
    connection.close()
    assert httpx2.post(url, json={"requests": items(1)}).status_code == 401
    assert httpx2.get(f"{url}/any/results").status_code == 401


def test_a_batch_may_be_larger_than_a_message_may(client):
    long = [item(f"a-{index}", system="law " * 2_500_000) for index in range(4)]
    batch = ended(client, client.messages.batches.create(requests=long))
    assert batch.request_counts.errored == 4


def test_the_list_is_newest_first_and_comes_in_pages_in_both_directions(slow_client):
    batches = slow_client.messages.batches
    ids = [batches.create(requests=items(1)).id for _ in range(23)][::-1]
    page = batches.list()
    assert ([batch.id for batch in page.data], page.has_more) == (ids[:20], True)
    assert (page.first_id, page.last_id) == (ids[0], ids[19])
    assert [batch.id for batch in batches.list(limit=4)][:23] == ids
    assert [batch.id for batch in batches.list(limit=2, before_id=ids[5]).data] == ids[3:5]
    rest = batches.list(limit=1000, after_id=ids[20])
    assert ([batch.id for batch in rest.data[:2]], rest.has_more) == (ids[21:], False)
    empty = batches.list(before_id=ids[0])
    assert (empty.data, empty.has_more, empty.first_id, empty.last_id) == ([], False, None, None)
    for wrong in ({"limit": 0}, {"limit": 1001}, {"after_id": "none"}):
        with pytest.raises(anthropic.BadRequestError):
            batches.list(**wrong)


def test_a_canceled_batch_bills_only_the_part_that_was_in_flight(slow, slow_client):
    batches = slow_client.messages.batches
    twins = []
    for _ in range(2):
        batch = batches.create(requests=items(60, "c"))
        canceled = batches.cancel(batch.id)
        assert (canceled.processing_status, canceled.request_counts.processing) == ("canceling", 60)
        assert canceled.cancel_initiated_at >= batch.created_at
        batch = ended(slow_client, canceled)
        assert batch.cancel_initiated_at == canceled.cancel_initiated_at
        found = results(slow_client, batch)
        done = {name for name, result in found.items() if result.type == "succeeded"}
        assert {result.type for result in found.values()} == {"succeeded", "canceled"}
        assert (batch.request_counts.succeeded, batch.request_counts.canceled) == (len(done), 60 - len(done))
        assert {line["custom_id"] for line in billed(slow, batch)} == done
        with pytest.raises(anthropic.BadRequestError):
            batches.cancel(batch.id)
        twins.append(done)
    assert twins[0] == twins[1]


def test_a_cancel_whose_answer_is_lost_has_canceled(slow_client):
    batch = slow_client.messages.batches.create(requests=items(3))
    with pytest.raises(anthropic.APIConnectionError):
        slow_client.messages.batches.cancel(batch.id, extra_query={"fault": "cancel"})
    assert ended(slow_client, batch).cancel_initiated_at is not None


def test_a_full_queue_refuses_a_batch_until_another_ends(slow, slow_client):
    batches = slow_client.messages.batches
    room = [{"custom_id": f"q-{index}", "params": {}} for index in range(900)]
    batch = batches.create(requests=room)
    with pytest.raises(anthropic.RateLimitError):
        batches.create(requests=room)
    ended(slow_client, batches.cancel(batch.id))
    ended(slow_client, batches.cancel(batches.create(requests=room).id))
