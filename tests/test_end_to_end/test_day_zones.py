"""A ledger counts its days in one time zone: real runs and quotes of another are refused, until it is changed."""

import json

import pytest

pytestmark = pytest.mark.prefect


def refused(ended):
    """Whether a command ended with the sentence about the two zones, and left it at that."""
    words = ("counts its days in UTC", "Nothing was counted or sent", "weighbridge time-zone Asia/Tokyo")
    return ended.code == 2 and all(word in ended.err for word in words)


def test_a_run_and_a_quote_of_another_zone_are_refused_and_go_after_the_change(yard):
    jobs = yard.jobs([{"job_id": "a", "prompt": "hello. [[output_tokens=9]]"}])
    policy = yard.policy()
    file = yard.folder / policy
    text = file.read_text()
    with yard.simulator():
        yard.run(jobs, "--policy", policy)
        before = yard.called()
        file.write_text('time_zone = "Asia/Tokyo"\n' + text)
        for command in ("run", "quote"):
            ended = yard.weighbridge(command, jobs, "--policy", policy)
            assert refused(ended), ended.told()
        assert yard.called() == before
        assert yard.one("SELECT count(*) FROM runs") == 1

        changed = yard.weighbridge("time-zone", "Asia/Tokyo", "--json")
        assert json.loads(changed.out)["before"] == "UTC"
        yard.assert_ledger_is_true()
        again = yard.run(jobs, "--policy", policy)
        assert again["jobs"]["succeeded"] == 1
        assert yard.called() == before
        yard.assert_budgets_add_up()
