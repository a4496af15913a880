"""The prompt cache as the requests of batches see it: not each other's writes, and hits only by chance."""

import pytest

from simulator.plan import PlanError, read_plan
from tests.test_simulator.calls import billed, ended, item, items, params, results, sdk, serving

PLAN = "seed = 3\n[batches]\nprocessing_seconds = 0.3\n"

MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def system(words, marker=MARK):
    return [{"type": "text", "text": f"{words} " * 2_000, **marker}]


def usages(client, requests):
    """The usages of a batch that has ended, in the order of its requests."""
    found = results(client, ended(client, client.messages.batches.create(requests=requests)))
    return [found[request["custom_id"]].message.usage for request in requests]


def reads(client, requests):
    return [usage.cache_read_input_tokens > 1_900 for usage in usages(client, requests)]


def test_no_item_of_a_batch_reads_what_another_writes_and_the_next_batch_reads_it_all(client):
    requests = [item(f"cold-{number}", system=system("law", HOUR)) for number in range(20)]
    cold = usages(client, requests)
    assert {usage.cache_read_input_tokens for usage in cold} == {0}
    assert all(usage.cache_creation.ephemeral_1h_input_tokens > 1_900 for usage in cold)
    assert reads(client, requests) == [True] * 20


def test_a_batch_reads_what_a_message_wrote_before_and_a_message_what_an_ended_batch_wrote(client):
    client.messages.create(**params(system=system("message")))
    assert reads(client, [item("a", system=system("message"))]) == [True]
    assert reads(client, [item("a", system=system("batch"))]) == [False]
    reply = client.messages.create(**params(system=system("batch")))
    assert reply.usage.cache_read_input_tokens > 1_900


def test_what_a_batch_writes_is_not_read_before_the_batch_has_ended(client):
    batch = client.messages.batches.create(requests=[item("a", system=system("early"))])
    assert client.messages.create(**params(system=system("early"))).usage.cache_read_input_tokens == 0
    ended(client, batch)


def test_the_entries_of_a_batch_live_from_its_end_by_the_clock_of_the_api(client, simulator):
    requests = [item("a", system=system("old"))]
    assert reads(client, requests) == [False]
    simulator.advance_clock(299)
    assert reads(client, requests) == [True]
    simulator.advance_clock(301)
    assert reads(client, requests) == [False]


def test_cached_tokens_cost_half_in_a_batch(client, simulator):
    request = item("a", system=system("half"))
    for price in (125, 10):
        batch = ended(client, client.messages.batches.create(requests=[request]))
        [line] = billed(simulator, batch)
        usage = line["usage"]
        cached = usage["cache_creation_input_tokens"] or usage["cache_read_input_tokens"]
        assert cached > 1_900
        full = usage["input_tokens"] * 100 + cached * price + usage["output_tokens"] * 500
        assert line["cost_nano_usd"] == -(-full // 2)


def test_what_a_canceled_item_would_have_written_is_not_there(tmp_path_factory):
    plan = "[batches]\nprocessing_seconds = 60\ncancel_completes_probability = 0\n"
    with serving(tmp_path_factory, plan) as running, sdk(running) as client:
        batch = client.messages.batches.create(requests=[item("a", system=system("never"))])
        ended(client, client.messages.batches.cancel(batch.id))
        assert client.messages.create(**params(system=system("never"))).usage.cache_read_input_tokens == 0


@pytest.mark.parametrize("rate", [pytest.param(0.3, marks=pytest.mark.slow), 0.98])
def test_a_share_of_what_could_hit_does_and_the_rest_is_billed_as_a_write(tmp_path_factory, rate):
    with (
        serving(tmp_path_factory, f"{PLAN}[cache]\nbatch_hit_rate = {rate}\n") as running,
        sdk(running) as client,
    ):
        usages(client, [item("prime", system=system("law"))])
        requests = [item(f"a-{number}", system=system("law", HOUR)) for number in range(400)]
        found = usages(client, requests)
        hits = [usage.cache_read_input_tokens > 1_900 for usage in found]
        assert abs(sum(hits) / 400 - rate) < 0.08
        for usage, hit in zip(found, hits, strict=True):
            assert (usage.cache_creation.ephemeral_1h_input_tokens > 1_900) is not hit
        assert reads(client, requests) == hits
        message = client.messages.create(**params(system=system("law")))
        assert message.usage.cache_read_input_tokens > 1_900


@pytest.mark.parametrize("rate", [0.29, 0.99, 1, "true"])
def test_a_hit_rate_that_nobody_has_measured_is_refused(tmp_path, rate):
    plan = tmp_path / "plan.toml"
    plan.write_text(f"[cache]\nbatch_hit_rate = {rate}\n")
    with pytest.raises(PlanError, match="batch_hit_rate"):
        read_plan(plan)


def test_items_without_markers_have_nothing_to_do_with_the_cache(client):
    for usage in usages(client, items(3)):
        assert usage.cache_read_input_tokens == usage.cache_creation_input_tokens == 0
