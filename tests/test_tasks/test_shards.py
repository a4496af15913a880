"""Shards: few enough for Prefect, and large enough to be worth a task run."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.job import Shard
from tasks.shards import COUNT_SIZE, SHARD_SIZE, Sizes
from tests.strategies import policy


@given(waiting=st.integers(0, 10**8), most=st.integers(1, 10_000))
def test_counting_has_no_more_shards_than_task_runs_are_allowed(waiting, most):
    assert -(-waiting // Sizes.of(policy(max_task_runs=most), waiting).count) <= most


@given(most=st.integers(1, 10_000), data=st.data())
def test_each_job_has_its_own_task_run_as_long_as_there_are_enough(most, data):
    waiting = data.draw(st.integers(0, most))
    assert Sizes.of(policy(max_task_runs=most), waiting).count == 1


@given(most=st.integers(1, 10_000), more=st.integers(1, 10**6))
def test_a_task_run_of_a_large_run_counts_many_jobs(most, more):
    assert Sizes.of(policy(max_task_runs=most), most + more).count >= COUNT_SIZE


@given(waiting=st.integers(0, 10**8), most=st.integers(1, 10_000))
def test_what_is_in_memory_at_a_time_does_not_grow_with_the_run(waiting, most):
    assert Sizes.of(policy(max_task_runs=most), waiting).admit <= SHARD_SIZE


@given(first=st.integers(0, 10**6), rows=st.integers(1, 10**4), size=st.integers(1, 10**4))
def test_the_parts_of_a_shard_are_its_rows(first, rows, size):
    parts = list(Shard(first, first + rows - 1).parts(size))
    found = [row for part in parts for row in range(part.first, part.last + 1)]
    assert found == list(range(first, first + rows))
    assert all(part.last - part.first < size for part in parts)
