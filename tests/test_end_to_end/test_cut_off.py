"""Answers that were cut off: named by the report, and kept for a person where the policy says so, in both modes."""

import json

import pytest

RULES = '[output]\non_truncated = "{on}"\n[margin]\nmin_samples = 5\n[batch]\npoll_seconds = 0.3\n'
PLAN = "seed = 1\n[batches]\nprocessing_seconds = 0.3\n"


def rules(yard, on):
    name = yard.policy(name=f"{on}.toml")
    (yard.folder / name).write_text((yard.folder / name).read_text() + RULES.format(on=on))
    return name


def jobs(yard):
    """Three jobs whose answers are longer than they may be."""
    rows = [
        {"job_id": name, "prompt": f"{name} [[output_tokens=44]]", "max_tokens": 20}
        for name in ("edited", "approved", "rejected")
    ]
    return yard.jobs(rows, "cut.parquet")


def before(yard, policy, *options):
    """An earlier night of whole answers, of 40 to 47 tokens, to learn from."""
    rows = [
        {"job_id": f"w-{n}", "prompt": f"{n} [[output_tokens={40 + n}]]", "max_tokens": 200} for n in range(8)
    ]
    report = yard.run(yard.jobs(rows, "whole.parquet"), "--policy", policy, *options)
    assert report["bought_nothing"] == report["cut_off"] == []


def reviews(yard):
    return {row["job_id"]: row for row in yard.rows("SELECT * FROM reviews")}


@pytest.mark.parametrize("mode", ["messages", "batches"])
def test_a_cut_answer_is_kept_and_paid_and_its_job_waits_until_a_person_pays_again(yard, mode):
    policy = rules(yard, "review")
    with yard.simulator(PLAN) as simulator:
        before(yard, policy, "--mode", mode)
        known = len(simulator.billed())
        file = jobs(yard)
        first = yard.run(file, "--policy", policy, "--mode", mode)
        assert first["outcome"] == "complete"
        assert (first["jobs"]["review"], first["jobs"]["succeeded"]) == (3, 0)
        yard.assert_accounted(first, 3)
        [nothing] = first["bought_nothing"]
        assert (nothing["kind"], nothing["jobs"], nothing["usd"]) == ("cut_off", 3, first["usd"]["actual"])
        [cut] = first["cut_off"]
        assert (cut["observed"], cut["max_tokens_95"], cut["max_tokens_99"]) == (8, 47, 47)
        assert yard.results(first) == []
        kept = yard.rows(
            "SELECT body FROM responses JOIN attempts USING (attempt_id) WHERE run_id = ?", first["run_id"]
        )
        assert {json.loads(row["body"])["stop_reason"] for row in kept} == {"max_tokens"}
        advice = reviews(yard)["edited"]["would_pass"]
        assert "edit it with max_tokens 47" in advice
        assert "paid for again" in advice

        # another night sends none of them again, and loses no review
        again = yard.run(file, "--policy", policy, "--mode", mode, "--resubmit-approved")
        assert again["jobs"]["review"] == 3
        assert len(simulator.billed()) == known + 3
        waiting = reviews(yard)
        assert {row["status"] for row in waiting.values()} == {"pending"}
        assert {row["reason"] for row in waiting.values()} == {"cut_off"}

        for arguments in (
            ("edit", waiting["edited"]["id"], "--max-tokens", 47, "--by", "ana"),
            ("approve", waiting["approved"]["id"], "--by", "ana"),
            ("reject", waiting["rejected"]["id"], "--by", "ana"),
        ):
            ended = yard.weighbridge("review", *arguments)
            assert ended.code == 0, ended.told()
        paid = yard.run(file, "--policy", policy, "--mode", mode, "--resubmit-approved")
        on_record = {name: (row["outcome"], row["reason"]) for name, row in yard.jobs_of(paid).items()}
        assert on_record == {
            "edited": ("succeeded", None),
            "approved": ("review", "cut_off"),
            "rejected": ("rejected", "rejected_by_reviewer"),
        }
        assert len(simulator.billed()) == known + 5

        # what was answered whole stays answered; what was cut off again waits again
        last = yard.run(file, "--policy", policy, "--mode", mode, "--resubmit-approved")
        assert len(simulator.billed()) == known + 5
        assert [row["job_id"] for row in yard.results(last)] == ["edited"]
        assert {name: row["status"] for name, row in reviews(yard).items()} == {
            "edited": "sent",
            "approved": "pending",
            "rejected": "rejected",
        }
    yard.assert_budgets_add_up()
    yard.assert_ledger_is_true()


def test_by_default_a_cut_answer_succeeds_and_the_report_says_what_it_cost(yard):
    policy = rules(yard, "keep")
    with yard.simulator(PLAN) as simulator:
        file = jobs(yard)
        report = yard.run(file, "--policy", policy)
        assert (report["outcome"], report["jobs"]["succeeded"]) == ("complete", 3)
        [cut] = report["cut_off"]
        assert (cut["jobs"], cut["observed"], cut["max_tokens_95"]) == (3, 0, None)
        assert cut["usd"] == report["usd"]["actual"]
        # who asks for a review later has what is there already looked at, unpaid
        later = yard.run(file, "--policy", rules(yard, "review"))
        assert later["jobs"]["review"] == 3
        assert {row["status"] for row in reviews(yard).values()} == {"pending"}
        kept = yard.run(file, "--policy", policy)
        assert kept["from_earlier_runs"] == 3
        assert {row["status"] for row in reviews(yard).values()} == {"sent"}
        assert len(simulator.billed()) == 3
    yard.assert_ledger_is_true()
