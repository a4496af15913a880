"""A whole night: every row accounted for, every figure the same wherever it stands, nothing paid twice."""

import hashlib
import json

import pytest

pytestmark = pytest.mark.prefect

PARKED = {f"job-{number:03}" for number in range(7, 300, 50)}
MIDDLE = {f"job-{number:03}" for number in range(0, 300, 20)}


def night_jobs(number_of_rows):
    """Jobs of three weights: most small, some for the middle model, a few over 4,000 tokens."""
    rows = []
    for number in range(number_of_rows):
        name = f"job-{number:03}"
        size = 34_000 if name in PARKED else 10_000 if name in MIDDLE else 20 + number
        text = f"{number}: {'weigh this '.ljust(size, 'x')} [[output_tokens={1 + number % 90}]]"
        row = {"job_id": name, "priority": number % 5, "group": ("red", "blue", None)[number % 3]}
        if number % 2:
            row["prompt"] = text
        else:
            row["messages"] = json.dumps([{"role": "user", "content": [{"type": "text", "text": text}]}])
            row["system"] = "Answer short. Üben, 秤, ⚖."
            row["max_tokens"] = 100 + number
        rows.append(row)
    return rows


def payload_hash(row, model):
    """What the simulator's log must show for a row: SHA-256 of the canonical body under a model."""
    messages = row.get("messages")
    body = {
        "model": model,
        "messages": json.loads(messages) if messages else [{"role": "user", "content": row["prompt"]}],
        "max_tokens": row.get("max_tokens", 1024),
    }
    if "system" in row:
        body["system"] = row["system"]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def model_of(name):
    return (
        "claude-opus-5-5" if name in PARKED else "claude-sonnet-5-5" if name in MIDDLE else "claude-haiku-5-5"
    )


def three_nights(yard, number):
    """The same file three times: with a limit, with the same limit, and with a higher one."""
    rows = night_jobs(number)
    names = {row["job_id"] for row in rows}
    parked, middle = PARKED & names, MIDDLE & names
    jobs = yard.jobs(rows)
    hashes = {payload_hash(row, model_of(row["job_id"])): row["job_id"] for row in rows}
    with yard.simulator() as simulator:
        first = yard.run(jobs, "--max-input-tokens", 4000)
        yard.assert_accounted(first, number)
        assert first["outcome"] == "complete"
        assert (first["jobs"]["succeeded"], first["jobs"]["review"]) == (number - len(parked), len(parked))
        yard.assert_agreement(first, simulator.billed())
        assert {hashes[line["payload_sha256"]] for line in simulator.billed()} == set(
            hashes.values()
        ) - parked
        calls = (number + len(middle) + 2 * len(parked), number - len(parked))
        assert yard.called() == calls
        assert first["calls"] == {
            "count": calls[0],
            "message": calls[1],
            "batch_create": 0,
            "retried": 0,
            "failed": 0,
        }
        waiting = yard.rows("SELECT * FROM reviews JOIN review_payloads ON review_id = reviews.id")
        assert {row["job_id"] for row in waiting} == parked
        assert {(row["reason"], row["status"]) for row in waiting} == {("over_input_limit", "pending")}
        assert {row["limit_tokens"] for row in waiting} == {4000}
        assert all(row["input_tokens"] > 4000 and row["worst_case_usd"] for row in waiting)
        by_id = {row["job_id"]: row for row in rows}
        for row in waiting:
            assert json.loads(row["payload"])["messages"][0]["content"] in (
                by_id[row["job_id"]].get("prompt"),
                (json.loads(by_id[row["job_id"]].get("messages") or "[{}]"))[0].get("content"),
            )

        second = yard.run(jobs, "--max-input-tokens", 4000)
        yard.assert_accounted(second, number)
        assert second["jobs"] == first["jobs"]
        assert second["calls"] == {"count": 0, "message": 0, "batch_create": 0, "retried": 0, "failed": 0}
        assert yard.called() == calls
        assert second["from_earlier_runs"] == number - len(parked)
        assert second["usd"]["actual"] == "0.000000000"
        assert sans_run(yard.results(second)) == sans_run(yard.results(first))
        assert len(yard.rows("SELECT * FROM reviews")) == len(parked)

        before = len(simulator.billed())
        third = yard.run(jobs, "--max-input-tokens", 20_000)
        yard.assert_accounted(third, number)
        assert third["jobs"]["succeeded"] == number
        assert yard.called() == (calls[0], number)
        sent = simulator.billed()[before:]
        assert {hashes[line["payload_sha256"]] for line in sent} == parked
        yard.assert_agreement(third, sent)
        closed = yard.rows("SELECT * FROM reviews")
        assert {(row["job_id"], row["status"]) for row in closed} == {(name, "sent") for name in parked}
        assert all(row["sent_run_id"] == third["run_id"] and row["sent_attempt_id"] for row in closed)
        assert {row["job_id"] for row in yard.results(third)} == names
        return first


def sans_run(results):
    """Result rows without what names the run that wrote them: that is nothing, an answer stays the same."""
    return sorted(results, key=lambda row: row["row_number"])


def test_three_nights_on_the_default_ledger_agree_and_pay_once(yard):
    report = three_nights(yard, 300)
    wanted = {
        "run_id": str,
        "outcome": str,
        "jobs": ["read", "succeeded", "review", "deferred", "rejected", "failed", "unknown"],
        "tokens": ["estimated_input", "actual_input", "actual_output"],
        "usd": ["worst_case", "estimated", "actual", "all_on_largest"],
        "calls": ["count", "message", "batch_create", "retried", "failed"],
        "seconds": float,
        "simulated": bool,
    }
    for name, shape in wanted.items():
        if isinstance(shape, list):
            assert set(shape) <= set(report[name])
        else:
            assert isinstance(report[name], shape)
    assert all(isinstance(amount, str) for amount in report["usd"].values() if amount is not None)
    # the first night has nothing to expect a range by
    unknown = {name for name, amount in report["usd"].items() if amount is None}
    assert unknown == {"estimated_low", "estimated_high"}
    assert report["simulated"] is True
    # everything of a run is reachable from its id
    run = yard.rows("SELECT * FROM runs WHERE run_id = ?", report["run_id"])[0]
    assert json.loads(run["report"]) == report
    assert run["prefect_flow_run_id"] == report["prefect_flow_run_id"]
    assert report["run_id"] in report["places"]["results"]
    # what has ended keeps no payloads but those that wait
    assert yard.one("SELECT count(*) FROM payloads") == 0


@pytest.mark.slow
def test_three_nights_on_postgresql_agree_and_pay_once(yard, postgres_url):
    yard.ledger = postgres_url
    three_nights(yard, 120)


def test_rows_that_postgresql_cannot_store_are_rejected_and_the_others_answered(yard, postgres_url):
    yard.ledger = postgres_url
    bad = [
        {"job_id": "nul-in-group", "prompt": "one", "group": "a\x00b"},
        {"job_id": "nul-in-id\x00", "prompt": "two"},
        {"job_id": "nul-in-model", "prompt": "three", "model": "claude\x00"},
        {"job_id": "long-model", "prompt": "four", "model": "claude-" * 40},
    ]
    good = [
        {"job_id": "good", "prompt": "five", "group": "red"},
        {"job_id": "nul-in-text", "prompt": "six \x00 six"},
    ]
    jobs = yard.jobs(bad + good)
    with yard.simulator():
        report = yard.run(jobs, code=4)
    yard.assert_accounted(report, len(bad + good))
    assert (report["jobs"]["rejected"], report["jobs"]["succeeded"]) == (len(bad), len(good))
