"""The exit code, the sentence and the JSON object of every way a run can end."""

import random
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from tests.processes import fetch
from tests.yards import nano

pytestmark = pytest.mark.prefect


def one_job():
    return [{"job_id": "a", "prompt": "hello [[output_tokens=5]]"}]


def test_what_cannot_start_ends_with_2_and_one_sentence_and_sends_nothing(yard):
    jobs = yard.jobs(one_job())
    whole = (yard.folder / jobs).read_bytes()
    files = {
        "text.parquet": b"job_id,prompt\n1,hello\n",
        "truncated.parquet": whole[: len(whole) // 2],
        "zero.parquet": b"",
        "broken.toml": b"name = ",
        "float.toml": (yard.folder / yard.policy()).read_bytes().replace(b'"10"', b'"ten"'),
    }
    for name, data in files.items():
        (yard.folder / name).write_bytes(data)
    yard.jobs([], "no-rows.parquet", pa.schema({"job_id": pa.string(), "prompt": pa.string()}))
    yard.jobs([{"prompt": "x"}], "no-id.parquet")
    yard.jobs([{"job_id": "x", "text": "x"}], "no-prompt.parquet")
    yard.jobs([{"job_id": 1.5, "prompt": "x"}], "wrong-type.parquet")
    retired = yard.policy("retired.toml", small="claude-opus-4-1-20250805")
    unknown = yard.policy("unknown.toml", small="claude-nothing-9")
    unpriced = yard.policy("unpriced.toml", small="claude-mythos-5-1")
    cases = [
        (["missing.parquet"], "missing.parquet"),
        (["text.parquet"], "Let its name end in .csv"),
        (["truncated.parquet"], "not a whole Parquet file"),
        (["zero.parquet"], "is empty"),
        (["no-rows.parquet"], "no rows"),
        (["no-id.parquet"], "job_id"),
        (["no-prompt.parquet"], "prompt"),
        (["wrong-type.parquet"], "job_id"),
        ([jobs, "--policy", "broken.toml"], "not valid TOML"),
        ([jobs, "--policy", "float.toml"], "run.budget_usd"),
        ([jobs, "--policy", retired], "retired"),
        ([jobs, "--policy", unknown], "claude-nothing-9"),
        ([jobs, "--policy", unpriced], "no price is known for claude-mythos-5-1"),
        ([jobs, "--run-budget-usd", "plenty"], "plenty"),
        ([jobs, "--ledger", "nowhere"], "ledger URL"),
    ]
    with yard.simulator(), ThreadPoolExecutor(3) as pool:
        ended = list(pool.map(lambda case: yard.weighbridge("run", *case[0], "--json"), cases))
        assert yard.called() == (0, 0)
    problems = []
    for (arguments, word), end in zip(cases, ended, strict=True):
        try:
            assert end.code == 2
            assert end.json["outcome"] == "failed"
            assert word in end.json["error"]
            assert word in end.sentence
        except AssertionError:
            problems.append(f"{arguments}: {end.told()}")
    assert not problems, "\n".join(problems)


def test_wrong_options_and_missing_credentials_end_with_2(yard):
    jobs = yard.jobs(one_job())
    for options in (["--max-input-tokens", "0"], ["--limit", "some"], ["--policey", "x"]):
        end = yard.weighbridge("run", jobs, "--json", *options)
        assert (end.code, "Traceback" in end.err) == (2, False), end.told()
    end = yard.weighbridge("run", jobs, "--json", ANTHROPIC_API_KEY="")
    assert end.code == 2
    assert end.json["outcome"] == "failed"
    assert all(word in end.sentence for word in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "--simulate"))


def test_an_endpoint_that_does_not_answer_or_knows_no_key_ends_with_1_and_one_sentence(yard):
    jobs = yard.jobs(one_job())
    policy = yard.policy()
    text = (yard.folder / policy).read_text()
    (yard.folder / policy).write_text(text + "tries = 1\n")
    end = yard.weighbridge("run", jobs, "--json", "--policy", policy, ANTHROPIC_BASE_URL="http://127.0.0.1:9")
    assert end.code == 1
    assert end.json["outcome"] == "failed"
    assert "Nothing was sent" in end.sentence


def test_a_run_budget_goes_to_the_highest_priorities_and_the_next_run_sends_the_rest(yard):
    priorities = list(range(40))
    random.Random(3).shuffle(priorities)
    rows = [
        {"job_id": f"p{p}", "prompt": f"{p:02} go [[output_tokens=30]]", "priority": p, "max_tokens": 30}
        for p in priorities
    ]
    jobs = yard.jobs(rows)
    with yard.simulator() as simulator:
        first = yard.run(jobs, "--run-budget-usd", "0.0002", code=3)
        yard.assert_accounted(first, 40)
        assert first["outcome"] == "budget_stop"
        assert 5 < first["jobs"]["succeeded"] < 30
        assert first["jobs"]["deferred"] == 40 - first["jobs"]["succeeded"]
        yard.assert_agreement(first, simulator.billed())
        assert sum(line["cost_nano_usd"] for line in simulator.billed()) <= 200_000
        on_record = yard.jobs_of(first)
        answered = {row["priority"] for row in on_record.values() if row["outcome"] == "succeeded"}
        assert answered == set(range(40 - len(answered), 40))
        waiting = {name: row for name, row in on_record.items() if row["outcome"] == "deferred"}
        assert {row["reason"] for row in waiting.values()} == {"run_budget"}
        flow_run = fetch(f"{yard.api}/flow_runs/{first['prefect_flow_run_id']}")
        assert (flow_run["state"]["type"], flow_run["state"]["name"]) == ("FAILED", "BudgetStop")

        counted, sent = yard.called()
        second = yard.run(jobs, "--run-budget-usd", "1")
        yard.assert_accounted(second, 40)
        assert yard.called() == (counted, sent + len(waiting))
        paid = yard.rows("SELECT job_id FROM attempts WHERE run_id = ?", second["run_id"])
        assert {row["job_id"] for row in paid} == set(waiting)
        yard.assert_agreement(second, simulator.billed()[sent:])
        assert len(yard.results(second)) == 40


@pytest.mark.parametrize("mode", ["messages", "batches"])
def test_the_money_of_one_group_runs_out_and_the_others_go_on(yard, mode):
    rows = [
        {
            "job_id": f"{group}{n}",
            "prompt": f"{group} {n} [[output_tokens=30]]",
            "group": group,
            "max_tokens": 30,
        }
        for n in range(12)
        for group in ("ana", "ben", "eve")
    ]
    jobs = yard.jobs(rows)
    policy = yard.policy()
    caps = '[groups.ana.day]\nbudget_usd = "0.00008"\n[groups."*".month]\nbudget_usd = "1"\n'
    with (yard.folder / policy).open("a") as file:
        file.write(caps)
    with yard.simulator() as simulator:
        report = yard.run(jobs, "--policy", policy, "--mode", mode, code=3)
        yard.assert_accounted(report, 36)
        ended = yard.jobs_of(report)
        assert {row["outcome"] for row in ended.values() if row["group_name"] != "ana"} == {"succeeded"}
        ana = [row for row in ended.values() if row["group_name"] == "ana"]
        paid = [row for row in ana if row["outcome"] == "succeeded"]
        assert 0 < len(paid) < 12
        # what one answer leaves of its hold pays for the next, in the order of the rows
        assert paid == ana[: len(paid)]
        assert {row["reason"] for row in ana[len(paid) :]} == {"group_budget"}
        assert sum(line["cost_nano_usd"] for line in simulator.billed()) == nano(report["usd"]["actual"])
        yard.assert_budgets_add_up()
        assert (
            yard.one("SELECT cap_nano_usd FROM budgets WHERE scope = 'month' AND group_name = 'eve'") == 10**9
        )
