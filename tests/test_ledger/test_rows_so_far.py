"""How far the rows of a run have come: each is weighed before it has its outcome, or has it at once."""

from services.ledger.rows_so_far import rows_so_far
from tasks.read_jobs import read_jobs
from tests.nights import Rows, a_run_on_record, text_row, weigh


async def test_a_row_is_weighed_once_it_has_its_model_or_its_outcome(ledger, tmp_path):
    run = await a_run_on_record(ledger, folder=tmp_path)
    rows = [{"job_id": f"job-{n}"} | text_row(f"job {n}") for n in range(4)]
    await read_jobs(run, Rows([*rows, {"job_id": "bad"}]), None)
    before = rows_so_far(ledger, run.run_id, unweighed=True)
    assert (before.weighed, before.ended, before.total) == (1, 1, 5)
    await weigh(run, 9)
    after = rows_so_far(ledger, run.run_id, unweighed=True)
    assert (after.weighed, after.ended, after.total) == (5, 1, 5)
    assert rows_so_far(ledger, run.run_id, unweighed=False) == after
