"""Answers that were paid for and cannot be read: a reviewer sees them, accepts them, and nothing is paid twice."""

import json
import shlex

import pytest

pytestmark = pytest.mark.prefect

FAULTS = {
    "half": 'kind = "malformed_body"\nfirst_n = 1',
    "no-figures": 'kind = "usage_missing"\nfirst_n = 1',
    "lost": 'kind = "cut_before"\nfirst_n = 1',
}
PLAN = "".join(
    f'[[faults]]\nendpoint = "messages"\nmatch = "case {name}."\n{fault}\n' for name, fault in FAULTS.items()
)


def usd(nano):
    return f"{nano / 10**9:.9f}"


def accept(yard, review, cost):
    return yard.weighbridge("review", "accept", review, "--billed", usd(cost), "--by", "ana", "--json")


def test_what_came_is_shown_accepted_published_and_not_paid_again(yard):
    names = ["good", *FAULTS]
    jobs = yard.jobs([{"job_id": name, "prompt": f"case {name}. [[output_tokens=9]]"} for name in names])
    policy = yard.policy()
    with yard.simulator(PLAN) as simulator:
        first = yard.run(jobs, "--policy", policy, code=4)
        assert (first["jobs"]["succeeded"], first["jobs"]["unknown"]) == (1, 3)
        billed = simulator.billed()
        cost = {line["fault"]: line["cost_nano_usd"] for line in billed}

        # the report lists each hold with the command that books it
        listed = {hold["job_id"]: hold for hold in first["holds_to_book"]}
        assert set(listed) == set(FAULTS)
        assert first["more_holds_to_book"] == 0
        shown = yard.weighbridge("report").out
        assert all(hold["command"] in shown for hold in listed.values())
        as_it_is = yard.weighbridge(*shlex.split(listed["lost"]["command"])[1:])
        assert as_it_is.code == 2
        ended = yard.weighbridge(
            *shlex.split(listed["lost"]["command"].replace("--billed USD", "--not-billed"))[1:]
        )
        assert ended.code == 0, ended.told()

        # what came is shown, and accepted at what it cost
        reviews = {row["job_id"]: row["id"] for row in yard.rows("SELECT id, job_id FROM reviews")}
        raw = {
            name: yard.weighbridge("review", "show", reviews[name], "--json").json["raw_answers"]
            for name in FAULTS
        }
        assert raw["lost"] == []
        assert raw["half"][0]["text"].startswith('{"')
        nothing = accept(yard, reviews["lost"], 0)
        assert nothing.code == 2
        assert "no attempt of unknown outcome" in nothing.sentence
        for name, fault in {"half": "malformed_body", "no-figures": "usage_missing"}.items():
            done = accept(yard, reviews[name], cost[fault])
            assert done.code == 0, done.told()
        assert accept(yard, reviews["half"], cost["malformed_body"]).code == 2

        # the books are true, and the settled sum is the simulator's own
        yard.assert_budgets_add_up()
        yard.assert_ledger_is_true()
        assert yard.one("SELECT sum(held_nano_usd) FROM attempts") == 0
        assert yard.one("SELECT sum(actual_nano_usd) FROM attempts") == sum(
            line["cost_nano_usd"] for line in billed
        )

        # the results of the run are written again, and the next run pays for neither of them
        collected = yard.weighbridge("collect", "--json")
        assert collected.code == 0, collected.told()
        texts = {row["job_id"]: row["text"] for row in yard.results(first)}
        assert set(texts) == {"good", "half", "no-figures"}
        assert texts["half"] == raw["half"][0]["text"]
        blocks = json.loads(raw["no-figures"][0]["text"])["content"]
        assert texts["no-figures"] == "".join(block["text"] for block in blocks if block["type"] == "text")
        yard.assert_ledger_is_true()
        calls = yard.called()[1]
        second = yard.run(jobs, "--policy", policy)
        assert second["jobs"]["succeeded"] == 4
        assert yard.called()[1] == calls + 1
        yard.assert_ledger_is_true()
