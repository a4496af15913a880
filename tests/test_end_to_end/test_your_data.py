"""Data of anybody's own through the real command: a CSV file, a template, and columns that come out again."""

import csv
import json
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.processes import until

pytestmark = pytest.mark.prefect

NUMBER = 12
COLUMNS = r"""
[jobs]
id = "ticket"
prompt = "Summarise: {subject}\n{body} [[output_tokens=9]]"
system = "Be short."
max_tokens = 50
[[jobs.tools]]
name = "find_order"
description = "Find an order."
input_schema = { type = "object" }
[results]
keep = ["ticket", "country"]
[batch]
poll_seconds = 0.3
"""


def tickets():
    return [
        {
            "ticket": f"T-{number}",
            "country": ("DE", "FR", None)[number % 3],
            "subject": None if number % 4 == 0 else f'The "{number}"',
            "body": None if number == 8 else f"line {number},\nüber {{subject}}",
        }
        for number in range(NUMBER)
    ]


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path.name


@pytest.fixture
def policy(yard):
    name = yard.policy()
    (yard.folder / name).write_text((yard.folder / name).read_text() + COLUMNS)
    return name


def expected_prompt(row):
    return f"Summarise: {row['subject'] or ''}\n{row['body'] or ''} [[output_tokens=9]]"


def kept(rows):
    return {row["job_id"]: (row["ticket"], row["country"]) for row in rows}


def unanswered(report):
    parts = sorted(Path(report["places"]["results"]).glob("unanswered-*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def test_a_csv_file_is_run_as_it_is_and_the_same_rows_in_another_format_cost_nothing(yard, policy):
    rows = tickets()
    jobs = write_csv(yard.folder / "tickets.csv", rows)
    with yard.simulator() as simulator:
        report = yard.run(jobs, "--policy", policy, code=4)
        yard.assert_accounted(report, NUMBER)
        assert (report["jobs"]["succeeded"], report["jobs"]["rejected"]) == (NUMBER - 1, 1)
        yard.assert_agreement(report, simulator.billed())
        own = {row["ticket"]: (row["ticket"], row["country"]) for row in rows}
        assert kept(yard.results(report)) == {name: own[name] for name in own if name != "T-8"}
        assert kept(unanswered(report)) == {"T-8": own["T-8"]}
        yard.assert_ledger_is_true()

        # what was sent is what the rows and the policy say together: the same jobs, written out in full
        lines = [
            {
                "job_id": row["ticket"],
                "prompt": expected_prompt(row),
                "system": "Be short.",
                "max_tokens": 50,
                "tools": [{"name": "find_order", "description": "Find an order.", "input_schema": {"type": "object"}}],
            }
            for row in rows
            if row["ticket"] != "T-8"
        ]  # fmt: skip
        (yard.folder / "full.jsonl").write_text("\n".join(map(json.dumps, lines)))
        full = yard.run("full.jsonl", "--policy", yard.policy("plain.toml"))
        assert (full["from_earlier_runs"], full["calls"]["message"]) == (NUMBER - 1, 0)
        pq.write_table(pa.Table.from_pylist(rows), yard.folder / "tickets.parquet")
        again = yard.run("tickets.parquet", "--policy", policy)
        assert (again["jobs"]["rejected"], again["rejected_before"]) == (1, 1)
        assert (again["from_earlier_runs"], again["calls"]["message"]) == (NUMBER - 1, 0)
        assert kept(yard.results(again)) == kept(yard.results(report))
        assert len(simulator.billed()) == NUMBER - 1


def test_a_quote_and_an_audit_of_tools_read_the_same_jobs(yard, policy):
    jobs = write_csv(yard.folder / "tickets.csv", [row for row in tickets() if row["ticket"] != "T-8"])
    with yard.simulator() as simulator:
        quote = yard.weighbridge("quote", jobs, "--json", "--policy", policy)
        assert quote.code == 0, quote.told()
        audit = yard.weighbridge("audit-tools", jobs, "--json", "--policy", policy).json
        assert (audit["jobs"], audit["jobs_with_tools"], len(audit["tool_sets"])) == (
            NUMBER - 1,
            NUMBER - 1,
            1,
        )
        assert simulator.billed() == []
        counted = yard.called()[0]
        report = yard.run(jobs, "--policy", policy, "--quote", quote.json["quote_id"])
        assert report["calls"]["count"] == 0
        assert yard.called()[0] == counted
        # the columns are part of what a quote holds for
        other = ("--policy", policy, "--quote", quote.json["quote_id"], "--prompt-column", "body")
        refused = yard.weighbridge("run", jobs, *other)
        assert refused.code == 2, refused.told()
        assert "does not hold for this run" in refused.sentence


def test_options_name_the_columns_of_one_run(yard):
    jobs = write_csv(yard.folder / "tickets.csv", tickets()[1:4])
    with yard.simulator():
        options = ("--id-column", "ticket", "--prompt-column", "body", "--policy", yard.policy())
        for command in ("quote", "audit-tools", "run"):
            ended = yard.weighbridge(command, jobs, "--json", *options)
            assert ended.code == 0, ended.told()
        refused = yard.weighbridge("run", jobs, "--policy", yard.policy())
        assert (refused.code, "--id-column ticket" in refused.sentence) == (2, True)


def test_whoever_closes_the_books_of_a_dead_run_publishes_what_is_kept(yard, policy):
    jobs = write_csv(yard.folder / "tickets.csv", tickets()[1:4])
    with yard.simulator("[batches]\nprocessing_seconds = 8\n"):
        with yard.start("run", jobs, "--mode", "batches", "--policy", policy) as command:
            made = "SELECT count(*) FROM batches WHERE provider_batch_id IS NOT NULL"
            until(lambda: yard.witness.stats()["batches"] and yard.one(made), "a batch")
            command.signal(signal.SIGKILL)
            command.finish()
        (yard.folder / jobs).unlink()
        ended = yard.weighbridge("collect", "--wait", "--json")
        assert ended.code == 0, ended.told()
        [report] = ended.json["runs"]
        assert kept(yard.results(report)) == {
            row["ticket"]: (row["ticket"], row["country"]) for row in tickets()[1:4]
        }
