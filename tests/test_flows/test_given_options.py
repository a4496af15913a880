"""The options of a run in the parameters of a flow."""

import inspect
from dataclasses import fields

import pytest

from flows.audit_tools import audit_tools
from flows.given_options import given_options
from flows.nightly_batch import nightly_batch
from flows.quote import quote
from schemas.run import AS_THE_POLICY_SAYS, OWN_WAY, RunOptions, RunsOn, SampleOptions, Way


def test_each_option_has_what_the_parameter_of_its_name_has():
    options = given_options({"jobs": "a.parquet", "limit": 3, "mode": "batches", "deadline": "06:30"})
    assert (options.jobs, options.limit, options.mode, options.deadline) == (
        "a.parquet",
        3,
        "batches",
        "06:30",
    )
    assert (options.way, options.sample) == (OWN_WAY, None)


def test_a_way_to_think_and_a_sample_are_put_together():
    options = given_options({"jobs": "a", "effort": "high", "thinking_budget": None, "sample": 20, "seed": 3})
    assert options.way == Way("high", None)
    assert options.sample == SampleOptions(20, 3)


def test_where_a_run_makes_its_calls_is_put_together_and_left_to_the_policy_when_nothing_is_named():
    assert given_options({"jobs": "a"}).runs_on == AS_THE_POLICY_SAYS
    named = {"runner": "dask", "workers": None, "dask_address": "tcp://10.0.0.5:8786"}
    assert given_options({"jobs": "a"} | named).runs_on == RunsOn(**named)


#: what a flow asks for itself, and what options are put together from
_OWN = {"against", "allow_no_jobs", "effort", "thinking_budget", "sample", "seed"} | set(RunsOn._fields)


@pytest.mark.parametrize("flow", [nightly_batch, quote, audit_tools], ids=lambda flow: flow.name)
def test_every_parameter_of_a_flow_is_an_option_or_its_own(flow):
    names = set(inspect.signature(flow.fn).parameters)
    assert names - _OWN <= {field.name for field in fields(RunOptions)}
