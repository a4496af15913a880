"""The file of a quote: what a run would make of each row."""

import pyarrow.parquet as pq

from rules.quote_tally import QuotedRow, ended_row
from schemas.outcome import Outcome, Reason
from services.quote_file import quote_file
from tests.strategies import job


def test_each_row_says_what_is_decided_and_why(tmp_path):
    queued = job(1).queued()
    with quote_file(tmp_path / "quote" / "rows.parquet") as write:
        write([QuotedRow(0, None, None, Outcome.REJECTED, Reason.INVALID_ROW, "job_id: is missing")])
        write([QuotedRow(1, "job-1", queued, None, None, None)])
        write([ended_row(queued, Outcome.REVIEW, Reason.CUT_OFF)])
    found = pq.read_table(tmp_path / "quote" / "rows.parquet").to_pylist()
    assert [(row["row_number"], row["decision"], row["reason"]) for row in found] == [
        (0, "rejected", "invalid_row"),
        (1, "send", None),
        (1, "review", "cut_off"),
    ]
    assert found[0]["group"] is found[0]["worst_usd"] is None
