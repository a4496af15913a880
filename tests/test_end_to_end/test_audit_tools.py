"""The audit of tools through the real command: by the simulator's own scale, free, and counted once."""

import json
import re

import pytest

from tests.yards import nano

pytestmark = pytest.mark.prefect


def tool(name, words):
    return {
        "name": name,
        "description": "word " * words,
        "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}},
    }


MANY = [tool("search", 200), tool("fetch", 40), tool("never", 900)]
ONE = [tool("search", 200)]


def rows():
    asked = "find it [[output_tokens=9]]"
    found = [{"job_id": f"many-{n}", "prompt": f"{n} {asked}", "tools": json.dumps(MANY)} for n in range(4)]
    found += [{"job_id": f"one-{n}", "prompt": f"{n} {asked}", "tools": json.dumps(ONE)} for n in range(2)]
    searching = [{"type": "web_search_20250305", "name": "web_search"}]
    return [
        *found,
        {"job_id": "plain", "prompt": asked, "tools": None},
        {"job_id": "server", "prompt": asked, "tools": json.dumps(searching)},
    ]


def audited(yard, jobs):
    ended = yard.weighbridge("audit-tools", jobs, "--json", "--policy", yard.policy())
    assert ended.code == 0, ended.told()
    return ended.json


def test_each_set_is_weighed_priced_and_counted_once_and_nothing_is_sent(yard):
    jobs = yard.jobs(rows())
    with yard.simulator() as simulator:
        first = audited(yard, jobs)
        again = audited(yard, jobs)
        assert simulator.billed() == []
        assert again["calls"] == 0
        assert again | {"calls": first["calls"]} == first
        assert (first["jobs"], first["jobs_with_tools"], first["uncountable_jobs"]) == (8, 7, 1)
        assert sorted(one["jobs"] for one in first["tool_sets"]) == [2, 4]
        [many] = [one for one in first["tool_sets"] if one["jobs"] == 4]
        [single] = [one for one in first["tool_sets"] if one["jobs"] == 2]
        weights = {one["name"]: one["tokens"] for one in many["tools"]}
        assert weights["never"] > weights["search"] > weights["fetch"] > 0
        assert many["tokens_with_all"] == (
            many["tokens_with_none"] + many["fixed_tokens"] + sum(weights.values())
        )
        # the fixed prompt, and a tool, weigh the same in every set
        assert abs(single["fixed_tokens"] - many["fixed_tokens"]) <= 5
        assert abs(single["tools"][0]["tokens"] - weights["search"]) <= 5
        for one in first["tool_sets"]:
            assert sum(nano(tool["usd"]) for tool in one["tools"]) <= nano(one["usd"])
            assert one["names_only_tokens"] < one["tokens_with_all"]
        # every token of a definition costs the same, in each job; each job's price is rounded up
        for one in first["tool_sets"]:
            whole = (one["tokens_with_all"] - one["tokens_with_none"]) * one["jobs"]
            for tool in one["tools"]:
                exact = nano(one["usd"]) * tool["tokens"] * one["jobs"] / whole
                assert abs(nano(tool["usd"]) - exact) <= 2 * one["jobs"]
    assert yard.one("SELECT count(*) FROM runs") == 0


def test_calls_are_counted_in_kept_answers(yard):
    jobs = yard.jobs(
        [
            row | {"tool_choice": '{"type": "tool", "name": "search"}'}
            if re.match("one", row["job_id"])
            else row
            for row in rows()[:6]
        ]
    )
    with yard.simulator():
        yard.run(jobs, "--policy", yard.policy())
        found = audited(yard, jobs)
    assert found["answers"] == 6
    calls = {tool["name"]: tool["calls"] for one in found["tool_sets"] for tool in one["tools"]}
    assert calls["search"] >= 2
    assert calls["never"] == 0
