"""A clock of the API's own: whatever the simulator dates is shifted, and nothing takes longer for it."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import anthropic
import httpx2
import pytest

from simulator.billing.catalogue import find_model
from simulator.plan import PlanError, read_plan
from tests.test_simulator.calls import clock_at, ended, item, items, params, results, sdk, serving

PLAN = """
clock_shift_seconds = {shift}
[batches]
processing_seconds = 0.05
[[faults]]
endpoint = "count_tokens"
kind = "wrong_count"
tokens = 0
probability = 1
"""


@pytest.mark.parametrize(
    "shift", [-7_200, pytest.param(0, marks=pytest.mark.slow), pytest.param(86_400, marks=pytest.mark.slow)]
)
def test_everything_that_is_dated_is_shifted_by_the_plan(tmp_path_factory, shift):
    def assert_shifted(moment):
        assert abs(moment - datetime.now(UTC) - timedelta(seconds=shift)) < timedelta(seconds=30)

    with serving(tmp_path_factory, PLAN.format(shift=shift)) as simulator, sdk(simulator) as client:
        answer = client.messages.with_raw_response.create(**params())
        assert_shifted(parsedate_to_datetime(answer.headers["date"]))
        assert_shifted(datetime.fromisoformat(answer.headers["anthropic-ratelimit-requests-reset"]))
        batch = ended(client, client.messages.batches.create(requests=items(1)))
        for moment in (batch.created_at, batch.ended_at, batch.expires_at - timedelta(days=1)):
            assert_shifted(moment)
        assert_shifted(client.beta.files.upload(file=("a.txt", b"x", "text/plain")).created_at)
        client.messages.count_tokens(model="claude-haiku-5-5", messages=params()["messages"])
        for line in (*simulator.billed(), *simulator.faults()):
            assert_shifted(datetime.fromisoformat(line["time"]))
        assert_shifted(
            parsedate_to_datetime(httpx2.get(f"{simulator.base_url}/simulator/stats").headers["date"])
        )
        start = (datetime.now(UTC) + timedelta(seconds=shift)).strftime("%Y-%m-%dT%H:00:00Z")
        page = httpx2.get(
            f"{simulator.base_url}/v1/organizations/usage_report/messages",
            params={"starting_at": start, "bucket_width": "1h"},
            headers={"x-api-key": "sk-ant-admin01-x"},
        ).json()
        assert len(page["data"]) in (1, 2)


def test_a_clock_that_is_put_forward_dates_whatever_comes_later(tmp_path_factory):
    with serving(tmp_path_factory, PLAN.format(shift=0)) as simulator, sdk(simulator) as client:
        client.messages.create(**params())
        simulator.advance_clock(3_600)
        answer = client.messages.with_raw_response.create(**params())
        batch = ended(client, client.messages.batches.create(requests=items(1)))
        before, *later = [datetime.fromisoformat(line["time"]) for line in simulator.billed()]
        dates = [*later, parsedate_to_datetime(answer.headers["date"]), batch.created_at, batch.ended_at]
        assert len(later) == 2
        for moment in dates:
            assert timedelta(seconds=3_590) < moment - before < timedelta(seconds=3_660)


@pytest.mark.filterwarnings("ignore:The model 'claude-sonnet-4-5' is deprecated")
def test_a_model_whose_end_comes_is_retired_from_then_on(tmp_path_factory):
    old, retired = find_model("claude-sonnet-4-5"), find_model("claude-opus-4-1")
    hour_before = datetime.fromisoformat(old.retires_at) - timedelta(hours=1)

    def lifecycles(client):
        """By the list, and by itself."""
        listed = [model for model in client.models.list() if model.id == old.id]
        return [model.lifecycle for model in (*listed, client.models.retrieve(old.id))]

    with serving(tmp_path_factory, clock_at(hour_before)) as simulator, sdk(simulator) as client:
        assert client.models.retrieve(retired.id).lifecycle == "retired"
        assert lifecycles(client) == ["deprecated"] * 2
        client.messages.create(**params(model="claude-sonnet-4-5"))
        simulator.advance_clock(7_200)
        assert lifecycles(client) == ["retired"] * 2
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(**params(model="claude-sonnet-4-5"))
        with pytest.raises(anthropic.NotFoundError):
            client.messages.count_tokens(model=old.id, messages=params()["messages"])
        requests = [item("old", model=old.id), item("new")]
        batch = ended(client, client.messages.batches.create(requests=requests))
        found = results(client, batch)
        assert (found["old"].type, found["new"].type) == ("errored", "succeeded")
        assert len(simulator.billed()) == 2


def test_a_shift_beyond_sense_is_refused(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text("clock_shift_seconds = 1e12")
    with pytest.raises(PlanError, match="clock_shift_seconds"):
        read_plan(plan)
