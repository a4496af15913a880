"""`weighbridge check-bill`: real runs against the simulator's own bill."""

from decimal import Decimal

import anthropic
import pytest

from tests.yards import nano

pytestmark = pytest.mark.prefect

ADMIN = "sk-ant-admin01-test"
PLAN = "seed = 1\n[batches]\nprocessing_seconds = 0.3\n"
BATCH_RULES = "[batch]\nmax_requests = 20\npoll_seconds = 0.3\n"


def jobs_of(yard, name):
    """Jobs of two models' weight."""
    rows = [
        {
            "job_id": f"{name}-{number}",
            "prompt": f"{name} {number} {'weigh ' * (2_000 if number % 5 == 0 else 3)}[[output_tokens={3 + number}]]",
        }
        for number in range(15)
    ]
    return yard.jobs(rows, name=f"{name}.parquet")


def night(yard):
    """A run in each mode; the money of both."""
    policy = yard.policy()
    (yard.folder / policy).write_text((yard.folder / policy).read_text() + BATCH_RULES)
    reports = [
        yard.run(jobs_of(yard, mode), "--policy", policy, "--mode", mode) for mode in ("messages", "batches")
    ]
    assert [report["jobs"]["succeeded"] for report in reports] == [15, 15]
    return sum(Decimal(report["usd"]["actual"]) for report in reports)


def test_the_ledger_matches_the_bill_and_what_others_used_shows_up(yard):
    yard.environment["ANTHROPIC_ADMIN_KEY"] = ADMIN
    with yard.simulator(PLAN) as simulator:
        spent = night(yard)
        same = yard.weighbridge("check-bill", "--cost-report", "api", "--save", "bill.json", "--json")
        assert same.code == 0, same.told()
        told = same.json
        billed = sum(line["cost_nano_usd"] for line in simulator.billed())
        assert nano(told["ledger_usd"]) == nano(told["report_usd"]) == billed == nano(spent)
        assert (told["matches"], told["simulated"], Decimal(told["difference_usd"])) == (True, True, 0)
        assert {line["verdict"] for line in told["lines"]} <= {"matches", "shifted"}
        kinds = {(line["model"], line["tier"]) for line in told["lines"]}
        models = ("claude-haiku-5-5", "claude-sonnet-5-5")
        assert kinds == {(model, tier) for model in models for tier in ("standard", "batch")}

        client = anthropic.Anthropic(api_key="test", base_url=simulator.base_url)
        client.messages.create(
            model="claude-haiku-5-5", max_tokens=50, messages=[{"role": "user", "content": "someone else's"}]
        )
        foreign = simulator.billed()[-1]
        more = yard.weighbridge("check-bill", "--json", "--tolerance", "0")
        assert more.code == 4, more.told()
        [line] = [line for line in more.json["lines"] if line["verdict"] not in ("matches", "shifted")]
        assert (line["verdict"], line["model"], line["tier"]) == (
            "not_in_ledger",
            "claude-haiku-5-5",
            "standard",
        )
        assert nano(line["difference_usd"]) == -foreign["cost_nano_usd"]
        assert (
            line["report"]["use"]["output"] - line["ledger"]["use"]["output"]
            == (foreign["usage"]["output_tokens"])
        )
        table = yard.weighbridge("check-bill", "--cost-report", simulator.base_url)
        assert (table.code, table.err) == (4, "")
        assert "other use of the same workspace" in table.out
        assert "simulated: no real money" in table.out
        for key, status in ((ADMIN.replace("admin", "api"), "403"), ("", "ANTHROPIC_ADMIN_KEY")):
            wrong = yard.weighbridge("check-bill", ANTHROPIC_ADMIN_KEY=key)
            assert wrong.code == 2, wrong.told()
            assert status in wrong.sentence
            assert not key or key not in wrong.sentence

    # what was kept is compared again, with nobody there to ask
    again = yard.weighbridge("check-bill", "--cost-report", "bill.json", "--json", ANTHROPIC_ADMIN_KEY="")
    assert again.code == 0, again.told()
    assert again.json["lines"] == told["lines"]
    silent = yard.weighbridge("check-bill")
    assert silent.code == 1, silent.told()
    assert "did not answer" in silent.sentence
