"""The name of a flow run: made of what it does, unless a person typed one."""

from datetime import UTC, datetime

import pytest
from prefect.utilities.names import generate_slug

from flows import flow_run_name as module
from flows.flow_run_name import flow_run_name, is_made_up

POLICY = """
name = "night"
time_zone = "Europe/Berlin"
mode = "batches"
[[routes]]
name = "small"
model = "claude-haiku-5-5"
up_to_input_tokens = 1_500
"""


class FlowRun:
    """What Prefect knows of the flow run that begins."""

    def __init__(self, name, **parameters):
        self.name, self.parameters = name, parameters

    def get_name(self):
        return self.name

    def get_parameters(self):
        return self.parameters


@pytest.fixture
def named(monkeypatch, tmp_path):
    (tmp_path / "policy.toml").write_text(POLICY)
    monkeypatch.chdir(tmp_path)
    given = module.given_options

    def at_night(parameters):
        # half past midnight in Berlin
        options = given(parameters)
        object.__setattr__(options, "scheduled_for", datetime(2026, 11, 26, 23, 30, tzinfo=UTC))
        return options

    monkeypatch.setattr(module, "given_options", at_night)

    def name(current, **parameters):
        monkeypatch.setattr(module, "flow_run", FlowRun(current, **parameters))
        return flow_run_name()

    return name


def test_a_name_that_prefect_made_up_gives_way_to_the_day_the_file_and_the_mode(named):
    night = {"jobs": "in/tickets.csv", "policy": "policy.toml"}
    assert named("amber-axolotl", **night) == "2026-11-27 tickets.csv, batches"
    assert named("Rustic-Zebu", **night, mode="messages") == "2026-11-27 tickets.csv, messages"
    assert named(None, jobs="in/{date}*", policy="policy.toml") == "2026-11-27*, batches"
    assert named("amber-axolotl", policy="policy.toml") == "2026-11-27 approved jobs"
    assert (
        named("amber-axolotl", policy="policy.toml", mode="messages") == "2026-11-27 approved jobs, messages"
    )


def test_a_name_that_a_person_typed_stays(named):
    for typed in ("The night of the outage", "monday-rerun", "2026-11-27 tickets.csv, batches"):
        assert named(typed, jobs="in/tickets.csv", policy="policy.toml") == typed


def test_where_the_policy_cannot_be_used_the_run_has_a_name_all_the_same(named):
    night = {"jobs": "in/tickets.csv", "policy": "none.toml"}
    assert named("amber-axolotl", **night) == "2026-11-26 tickets.csv"
    assert named("amber-axolotl", **night, mode="batches") == "2026-11-26 tickets.csv, batches"


def test_every_name_that_prefect_makes_up_is_known():
    assert all(is_made_up(generate_slug(2)) for _ in range(2_000))
    assert [
        name
        for name in ("amber", "a-b", "amber-axolotl-x", "Rustic-Elephants", "rustic-Zebu")
        if is_made_up(name)
    ] == []
