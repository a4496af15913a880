"""Shards: few enough for Prefect, and large enough to be worth a task run."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.shards import COUNT_SIZE, Sizes
from tests.strategies import policy


@given(waiting=st.integers(0, 10**8), most=st.integers(1, 10_000))
def test_no_stage_has_more_shards_than_task_runs_are_allowed(waiting, most):
    sizes = Sizes.of(policy(max_task_runs=most), waiting)
    for size in (sizes.count, sizes.admit):
        assert -(-waiting // size) <= most


@given(most=st.integers(1, 10_000), data=st.data())
def test_each_job_has_its_own_task_run_as_long_as_there_are_enough(most, data):
    waiting = data.draw(st.integers(0, most))
    assert Sizes.of(policy(max_task_runs=most), waiting).count == 1


@given(most=st.integers(1, 10_000), more=st.integers(1, 10**6))
def test_a_task_run_of_a_large_run_counts_many_jobs(most, more):
    assert Sizes.of(policy(max_task_runs=most), most + more).count >= COUNT_SIZE
