"""What stands between a client and the API: pages of its own, answers lost, cut, slow, and connections reset."""

import http.client
import json
import time

import anthropic
import httpx2
import pytest

from tests.test_simulator.calls import ended, items, params, sdk, serving

PAGES = (502, 503, 504, 520, 522, 524)
KEY = {"x-api-key": "any"}


def fault(kind, match, endpoint="messages", more=""):
    return f'[[faults]]\nendpoint = "{endpoint}"\nkind = "{kind}"\nmatch = "{match}"\nfirst_n = 1\n{more}\n'


PLAN = "\n".join(
    ["[batches]\nprocessing_seconds = 0.05\n"]
    + [
        fault(kind, f"<{kind} {status}>", endpoint, f"status = {status}")
        for endpoint in ("messages", "count_tokens", "batches_create")
        for kind in ("page_before", "page_after")
        for status in PAGES
    ]
    + [
        fault(kind, f"fault={kind}", f"batches_{endpoint}", "status = 520")
        for endpoint in ("retrieve", "results", "list")
        for kind in ("page_before", "page_after")
    ]
    + [fault("page_before", "<json>", more='status = 502\npage = "json"\nretry_after = 3')]
    + [fault("page_after", "<empty>", more='status = 200\npage = "empty"')]
    + [fault("cut_body", "<cut_body>", more="fraction = 0.9"), fault("slow", "<slow>", more="seconds = 0.5")]
    + [fault("slow", "fault=slow", "batches_results", "seconds = 0.3")]
    + [fault("cut_body", "fault=cut_body", "batches_retrieve")]
    + ['[[faults]]\nendpoint = "batches_cancel"\nkind = "page_after"\nstatus = 524\nmatch = "fault"\n']
)


def messages(simulator):
    """The bills of Messages; a batch of an earlier test may still be ending."""
    return [line for line in simulator.billed() if line["endpoint"] == "messages"]


def assert_a_box_s_page(response, status):
    """No word of the API: no error object, no id of a request, no organization; and still marked as simulated."""
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert f"{status} " in response.text
    assert response.headers["weighbridge-simulated"] == "true"
    assert not any(name in response.headers for name in ("request-id", "anthropic-organization-id"))


@pytest.mark.parametrize("status", PAGES)
@pytest.mark.parametrize("kind", ["page_before", "page_after"])
def test_a_page_in_place_of_an_answer_is_billed_if_it_comes_after_the_request_was_taken(
    client, simulator, kind, status
):
    before = len(messages(simulator))
    with pytest.raises(anthropic.APIStatusError) as error:
        client.messages.create(**params(f"<{kind} {status}>"))
    assert_a_box_s_page(error.value.response, status)
    assert (error.value.type, error.value.request_id) == (None, None)
    lines = messages(simulator)[before:]
    assert [line["fault"] for line in lines] == (["page_after"] if kind == "page_after" else [])
    struck = simulator.faults()[-1]
    assert (struck["kind"], struck["status"], struck["endpoint"]) == (kind, status, "messages")
    assert struck["taken"] == struck["billed"] == (kind == "page_after")
    assert struck.get("object_id") == (lines[0]["message_id"] if lines else None)


@pytest.mark.parametrize("status", PAGES)
@pytest.mark.parametrize("kind", ["page_before", "page_after"])
def test_a_page_in_place_of_a_creation_leaves_a_batch_only_if_it_comes_after(client, simulator, kind, status):
    made = simulator.stats()["batches"]
    request = {"custom_id": "a", "params": params(f"<{kind} {status}>")}
    with pytest.raises(anthropic.APIStatusError) as error:
        client.messages.batches.create(requests=[request])
    assert_a_box_s_page(error.value.response, status)
    assert simulator.stats()["batches"] == made + (kind == "page_after")
    struck = simulator.faults()[-1]
    assert (struck["taken"], struck["billed"]) == (kind == "page_after", False)
    if kind == "page_after":
        assert client.messages.batches.list(limit=1).data[0].id == struck["object_id"]


@pytest.mark.parametrize("kind", ["page_before", "page_after"])
def test_counts_and_reads_of_batches_meet_pages_too_and_cost_nothing(client, simulator, kind):
    batch = ended(client, client.messages.batches.create(requests=items(3)))
    billed = len(messages(simulator))
    url = f"{simulator.base_url}/v1/messages/batches"
    for path in (f"/{batch.id}", f"/{batch.id}/results", ""):
        wanted = httpx2.get(f"{url}{path}?fault={kind}", headers=KEY)
        assert_a_box_s_page(wanted, 520)
        assert httpx2.get(f"{url}{path}?fault={kind}", headers=KEY).status_code == 200
    body = {"model": "claude-haiku-5-5", "messages": params(f"<{kind} 502>")["messages"]}
    with pytest.raises(anthropic.APIStatusError) as error:
        client.messages.count_tokens(**body)
    assert_a_box_s_page(error.value.response, 502)
    assert client.messages.count_tokens(**body).input_tokens > 0
    assert len(messages(simulator)) == billed


def test_a_cancellation_whose_answer_a_box_replaced_has_canceled(client):
    batch = client.messages.batches.create(requests=items(2))
    with pytest.raises(anthropic.APIStatusError):
        client.messages.batches.cancel(batch.id, extra_query={"fault": "1"})
    assert client.messages.batches.retrieve(batch.id).cancel_initiated_at is not None


def test_a_box_may_answer_with_json_of_its_own_or_with_nothing_at_all(simulator):
    def sent(text):
        return httpx2.post(f"{simulator.base_url}/v1/messages", headers=KEY, json=params(text))

    short = sent("<json>")
    assert (short.status_code, short.headers["retry-after"]) == (502, "3")
    assert "type" not in short.json()
    silent = sent("<empty>")
    assert (silent.status_code, silent.content) == (200, b"")
    assert messages(simulator)[-1]["fault"] == "page_after"


def test_a_cut_body_states_more_bytes_than_arrive(client, simulator):
    with pytest.raises(anthropic.APIConnectionError):
        client.messages.create(**params("<cut_body>"))
    assert messages(simulator)[-1]["fault"] == "cut_body"
    batch = client.messages.batches.create(requests=items(1))
    with pytest.raises(anthropic.APIConnectionError):
        client.messages.batches.retrieve(batch.id, extra_query={"fault": "cut_body"})


def test_a_slow_body_arrives_whole_and_late(client, simulator):
    began = time.monotonic()
    reply = client.messages.create(**params("<slow>"))
    assert time.monotonic() - began >= 0.45
    assert reply.id == messages(simulator)[-1]["message_id"]
    batch = ended(client, client.messages.batches.create(requests=items(6)))
    began = time.monotonic()
    lines = httpx2.get(f"{batch.results_url}?fault=slow", headers=KEY).text.splitlines()
    assert (len(lines), time.monotonic() - began >= 0.25) == (6, True)


def test_a_kept_alive_connection_is_reset_before_its_request_is_read_and_a_fresh_one_is_not(tmp_path_factory):
    plan = '[[faults]]\nendpoint = "messages"\nkind = "reset_kept_alive"\nfirst_n = 2\n'
    with serving(tmp_path_factory, plan) as simulator:

        def connection():
            return http.client.HTTPConnection(simulator.base_url.removeprefix("http://"), timeout=30)

        def sent(on):
            on.request("POST", "/v1/messages", json.dumps(params()), KEY)
            answer = on.getresponse()
            answer.read()
            return answer.status

        assert [sent(connection()) for _ in range(3)] == [200] * 3
        for _ in range(2):
            kept = connection()
            assert sent(kept) == 200
            with pytest.raises(ConnectionError):
                sent(kept)
        kept = connection()
        assert [sent(kept), sent(kept)] == [200, 200]
        assert len(simulator.billed()) == 7
        assert [(line["kind"], line["taken"]) for line in simulator.faults()] == [
            ("reset_kept_alive", False)
        ] * 2
        assert simulator.stats()["faults"] == {"reset_kept_alive": 2}


def test_a_batch_and_its_results_are_not_found_for_a_while_and_then_they_are(tmp_path_factory):
    # it ends when it is cancelled, and not before
    plan = (
        "[batches]\nprocessing_seconds = 86_400\ncancel_seconds = 0\ncancel_completes_probability = 1\n"
        + "".join(
            f'[[faults]]\nendpoint = "batches_{endpoint}"\nkind = "not_found_yet"\nseconds = 3_600\n'
            for endpoint in ("retrieve", "results")
        )
    )
    with serving(tmp_path_factory, plan) as simulator, sdk(simulator) as client:
        batch = client.messages.batches.create(requests=items(2))
        with pytest.raises(anthropic.NotFoundError) as error:
            client.messages.batches.retrieve(batch.id)
        assert error.value.type == "not_found_error"
        assert client.messages.batches.list().data[0].id == batch.id
        simulator.advance_clock(3_600)
        batch = ended(client, client.messages.batches.cancel(batch.id))
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.results(batch.id)
        simulator.advance_clock(3_600)
        assert len(list(client.messages.batches.results(batch.id))) == 2
        assert {line["object_id"] for line in simulator.faults()} == {batch.id}
        assert len(simulator.billed()) == 2
