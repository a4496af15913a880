"""Reconciliation: a row for each attempt that was paid for, with what was estimated next to what was billed."""

from dataclasses import replace
from decimal import Decimal

from tasks.reconciliation import RECONCILIATION, reconciliation_rows
from tests.nights import a_run, night, text_row


def rows_of(ledger, run_id):
    run = a_run(ledger)
    return list(reconciliation_rows(replace(run, reference=replace(run.reference, run_id=run_id))))


async def test_each_paid_attempt_has_a_row_whose_money_sums_to_the_report(ledger, tmp_path):
    jobs = [{"job_id": f"job-{number}"} | text_row(f"number {number}") for number in range(5)]
    _, first = await night(ledger, tmp_path, 1, jobs)
    _, second = await night(ledger, tmp_path, 2, [*jobs, {"job_id": "more"} | text_row("one more")])
    assert second.jobs.succeeded == 6
    for run_id, report, paid in (("run-1", first, 5), ("run-2", second, 1)):
        found = rows_of(ledger, run_id)
        assert len(found) == paid
        assert sum((row["actual_usd"] for row in found), Decimal(0)) == report.usd.actual
        for row in found:
            assert list(row) == RECONCILIATION.names
            assert row["error_tokens"] == row["actual_input_tokens"] - row["estimated_input_tokens"]
    assert rows_of(ledger, "run-3") == []
