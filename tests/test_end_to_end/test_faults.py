"""What the API does wrong: tried again when surely not billed, unknown when it may have been, never paid twice."""

from collections import Counter

import pytest

pytestmark = pytest.mark.prefect

PASSING = {
    "rate-limited": 'kind = "status"\nstatus = 429\nretry_after = 1\nfirst_n = 2',
    "overloaded": 'kind = "status"\nstatus = 529\nfirst_n = 2',
    "api-error": 'kind = "status"\nstatus = 500\nfirst_n = 1',
}
#: what may have been billed; the first is not, but nobody can tell from this side
UNKNOWN = {
    "cut-before": 'kind = "cut_before"\nfirst_n = 1',
    "gateway-timeout": 'kind = "status"\nstatus = 504\nfirst_n = 1',
    "hanging": 'kind = "hang"\nseconds = 60\nfirst_n = 1',
    "cut-after": 'kind = "cut_after"\nfirst_n = 1',
    "malformed": 'kind = "malformed_body"\nfirst_n = 1',
    "usage-missing": 'kind = "usage_missing"\nfirst_n = 1',
}
BILLED = {"hanging", "cut-after", "malformed", "usage-missing"}


def plan_of(faults):
    return "".join(
        f'[[faults]]\nendpoint = "messages"\nmatch = "case {name}."\n{fault}\n'
        for name, fault in faults.items()
    )


def jobs_of(names):
    return [{"job_id": name, "prompt": f"case {name}. [[output_tokens=9]]"} for name in names]


def test_faults_are_retried_or_unknown_and_an_unknown_one_goes_out_again_only_by_policy(yard):
    good = [f"good-{number}" for number in range(20)]
    names = [*good, *PASSING, *UNKNOWN]
    jobs = yard.jobs(jobs_of(names))
    policy = yard.policy(timeout=5)
    with yard.simulator(plan_of(PASSING | UNKNOWN)) as simulator:
        first = yard.run(jobs, "--policy", policy, code=4)
        yard.assert_accounted(first, len(names))
        assert first["outcome"] == "incomplete"
        assert (first["jobs"]["succeeded"], first["jobs"]["unknown"]) == (len(good) + 3, len(UNKNOWN))
        assert first["calls"]["retried"] == 5
        assert first["calls"]["message"] == len(names)
        assert yard.called()[1] == len(names) + 5
        billed = simulator.billed()
        assert Counter(line["fault"] for line in billed if line["fault"]) == {
            "hang": 1, "cut_after": 1, "malformed_body": 1, "usage_missing": 1,
        }  # fmt: skip
        assert max(Counter(line["payload_sha256"] for line in billed).values()) == 1
        answered = [line for line in billed if not line["fault"]]
        yard.assert_agreement(first, answered)

        attempts = {row["job_id"]: row for row in yard.rows("SELECT * FROM attempts")}
        assert {name: attempts[name]["tries"] for name in PASSING} == {
            "rate-limited": 3, "overloaded": 3, "api-error": 2,
        }  # fmt: skip
        held = 0
        for name in UNKNOWN:
            assert attempts[name]["state"] == "unknown"
            assert attempts[name]["held_nano_usd"] == attempts[name]["worst_case_nano_usd"] > 0
            held += attempts[name]["held_nano_usd"]
        assert (
            yard.one(
                "SELECT held_nano_usd FROM budgets WHERE period = ? AND group_name = ''", first["run_id"]
            )
            == held
        )
        waiting = yard.rows("SELECT job_id, reason, status FROM reviews")
        assert {row["job_id"] for row in waiting} == set(UNKNOWN)
        assert {(row["reason"], row["status"]) for row in waiting} == {("unknown_outcome", "pending")}

        calls = yard.called()
        second = yard.run(jobs, "--policy", policy, code=4)
        yard.assert_accounted(second, len(names))
        assert second["jobs"] == first["jobs"]
        assert yard.called() == calls
        assert len(simulator.billed()) == len(billed)

        third = yard.run(jobs, "--policy", yard.policy("resend.toml", on_unknown="resend"))
        yard.assert_accounted(third, len(names))
        assert third["jobs"]["succeeded"] == len(names)
        assert yard.called() == (calls[0], calls[1] + len(UNKNOWN))
        yard.assert_agreement(third, simulator.billed()[len(billed) :])
        again = Counter(line["payload_sha256"] for line in simulator.billed())
        assert sorted(again.values()) == [1] * (len(names) - len(BILLED)) + [2] * len(BILLED)
        # the first try's money stays held: that it was sent again says nothing of its own bill
        assert yard.one("SELECT sum(held_nano_usd) FROM attempts") == held


def test_a_reached_spend_cap_stops_the_run_at_once(yard):
    names = [f"early-{number}" for number in range(10)] + ["cap"] + [f"late-{n}" for n in range(89)]
    jobs = yard.jobs(jobs_of(names))
    policy = yard.policy(max_in_flight=4)
    plan = '[latency]\nmessage_seconds = 0.05\n[[faults]]\nendpoint = "messages"\nkind = "spend_cap"\n'
    with yard.simulator(plan + 'match = "case cap."\n') as simulator:
        report = yard.run(jobs, "--policy", policy, code=3)
        yard.assert_accounted(report, len(names))
        assert report["outcome"] == "budget_stop"
        assert report["jobs"]["deferred"] == len(names) - report["jobs"]["succeeded"]
        assert 6 <= report["jobs"]["succeeded"] <= 20
        assert yard.called()[1] <= 22
        yard.assert_agreement(report, simulator.billed())
        assert yard.jobs_of(report)["cap"]["reason"] == "provider_spend_limit"
        assert yard.one("SELECT sum(held_nano_usd) FROM attempts") == 0
    with yard.simulator() as simulator:
        rest = yard.run(jobs, "--policy", policy)
        assert rest["jobs"]["succeeded"] == len(names)
        assert len({line["payload_sha256"] for line in simulator.billed()}) == len(names)
        assert len(simulator.billed()) == len(names)


def test_a_count_that_cannot_be_had_fails_its_job_alone(yard):
    jobs = yard.jobs(jobs_of(["good", "no-count", "slow-count"]))
    policy = yard.policy()
    (yard.folder / policy).write_text((yard.folder / policy).read_text() + "tries = 2\n")
    plan = (
        '[[faults]]\nendpoint = "count_tokens"\nkind = "status"\nstatus = 500\nmatch = "case no-count."\n'
        '[[faults]]\nendpoint = "count_tokens"\nkind = "malformed_body"\nfirst_n = 1\nmatch = "case slow-count."\n'
    )
    with yard.simulator(plan):
        report = yard.run(jobs, "--policy", policy, code=4)
    yard.assert_accounted(report, 3)
    assert (report["jobs"]["succeeded"], report["jobs"]["failed"]) == (2, 1)
    assert yard.jobs_of(report)["no-count"]["reason"] == "api_unavailable"
