"""Jobs over a budget are brought within it: what was counted is what is sent, and it is paid for once."""

import json

import pytest

TURN = "word " * 1_500


def conversation(turns):
    said = [{"role": "user", "content": f"turn {turns} {TURN}"}]
    for number in range(turns - 1, 0, -1):
        said = [
            {"role": "user", "content": f"turn {number} {TURN}"},
            {"role": "assistant", "content": f"answer {number}"},
            *said,
        ]
    return said


ROWS = [
    {"job_id": "long", "messages": json.dumps(conversation(12)), "max_tokens": 300},
    {"job_id": "short", "messages": json.dumps(conversation(1)), "max_tokens": 300},
    {"job_id": "one turn", "prompt": "word " * 40_000, "max_tokens": 300},
]


def policy(yard, means, **values):
    name = yard.policy(**values)
    file = yard.folder / name
    file.write_text(
        file.read_text() + f'[request]\nmax_input_tokens = 9_000\n[prune]\non_over_budget = "{means}"\n'
    )
    return name


@pytest.mark.parametrize("mode", ["messages", "batches"])
def test_a_long_conversation_is_cut_sent_and_paid_for_once(yard, mode):
    rules = policy(yard, "prune")
    with yard.simulator() as simulator:
        report = yard.run(yard.jobs(ROWS), "--policy", rules, "--mode", mode)
        assert (report["jobs"]["succeeded"], report["jobs"]["review"]) == (2, 1)
        [fitted] = report["fitted"]
        assert (fitted["how"], fitted["jobs"]) == ("pruned", 1)
        assert fitted["turns"] > 0
        assert fitted["input_tokens"] > 0
        assert float(fitted["usd"]) > 0
        yard.assert_agreement(report, simulator.billed())
        [row] = yard.rows("SELECT * FROM fitted_jobs")
        [attempt] = yard.rows("SELECT * FROM attempts WHERE job_id = 'long'")
        assert row["input_tokens_before"] > 9_000 >= row["input_tokens"] > 7_000
        assert attempt["input_tokens"] == row["input_tokens"]
        # what was billed is the cut conversation, to the margin
        assert abs(attempt["actual_input_tokens"] - row["input_tokens"]) <= row["input_tokens"] * 0.03
        job = yard.jobs_of(report)["long"]
        assert job["fingerprint"] == attempt["fingerprint"] != row["fingerprint"]
        yard.assert_ledger_is_true()
        calls = yard.called()
        again = yard.run(yard.jobs(ROWS[:2]), "--policy", rules, "--mode", mode)
        assert again["from_earlier_runs"] == 2
        assert yard.called() == calls
        assert again["fitted"] == []


def test_a_job_over_its_cost_budget_goes_to_a_cheaper_route_once(yard):
    rows = [{"job_id": "dear", "prompt": "word " * 7_000, "max_tokens": 300, "max_cost_usd": 0.03}]
    rules = policy(yard, "downgrade")
    with yard.simulator() as simulator:
        report = yard.run(yard.jobs(rows), "--policy", rules)
        assert report["jobs"]["succeeded"] == 1
        [fitted] = report["fitted"]
        assert (fitted["how"], fitted["jobs"], fitted["turns"]) == ("downgraded", 1, 0)
        assert float(fitted["usd"]) > 0
        [row] = yard.rows("SELECT model_before, model FROM fitted_jobs")
        assert row == {"model_before": "claude-opus-5-5", "model": "claude-sonnet-5-5"}
        assert yard.one("SELECT model FROM attempts") == row["model"]
        assert yard.one("SELECT worst_case_nano_usd FROM attempts") <= 30_000_000
        yard.assert_agreement(report, simulator.billed())
        calls = yard.called()
        assert yard.run(yard.jobs(rows), "--policy", rules)["from_earlier_runs"] == 1
        assert yard.called() == calls


def test_without_a_word_in_the_policy_it_waits_for_a_person(yard):
    with yard.simulator():
        report = yard.run(yard.jobs(ROWS[:1]), "--policy", policy(yard, "review"))
        assert report["jobs"]["review"] == 1
        assert report["fitted"] == []
        assert yard.rows("SELECT * FROM fitted_jobs") == []


def test_a_quote_prices_what_the_run_will_send_after_pruning(yard):
    rules = policy(yard, "prune")
    jobs = yard.jobs(ROWS)
    with yard.simulator() as simulator:
        quote = yard.weighbridge("quote", jobs, "--policy", rules, "--json").json
        assert simulator.billed() == []
        own, *_, unpruned = quote["policies"]
        assert own["name"] == "end-to-end, messages + pruning"
        assert (own["jobs"], own["review"]) == (2, 1)
        assert (unpruned["name"], unpruned["jobs"], unpruned["review"]) == ("end-to-end, messages", 1, 2)
        counts = yard.called()[0]
        report = yard.run(jobs, "--policy", rules, "--quote", quote["quote_id"])
        assert yard.called()[0] == counts
        assert report["quote"]["inside"] is True
        assert report["usd"]["estimated"] == own["expected_usd"]
