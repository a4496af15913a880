"""Read: Parquet rows become jobs on record, or rejections with the column and the reason."""

import logging

from rules.identity import paid_again_line
from rules.read_row import check_models, job_from_row, rejected_row
from schemas.job import Job, RejectedRow
from schemas.payload.invalid import InvalidPayload
from services.job_file import JobFile
from services.ledger import jobs, prior, reviews
from tasks.run import Run
from tasks.step import step

log = logging.getLogger("weighbridge")


@step
def read_jobs(run: Run, file: JobFile, limit: int | None, *, resubmit_approved: bool = False) -> int:
    """Put every row of the file on record, a batch at a time; how many jobs are to be weighed.

    What people decided about a job holds: a rejected one stays rejected, and an approved one may pass its limits
    where this run sends what was approved.

    Args:
        run: the run.
        file: its checked job file.
        limit: only this many rows from the start; None: all.
        resubmit_approved: whether this run sends what was approved.
    """
    row_number = waiting = 0
    for batch in file.batches(limit):
        read: list[Job] = []
        rejected: list[RejectedRow] = []
        for row in batch:
            try:
                job = job_from_row(row_number, row, run.policy.output.default_max_tokens)
                check_models(job, run.models.for_pin(job.model), run.policy.mode)
                read.append(job)
            except InvalidPayload as error:
                rejected.append(rejected_row(row_number, row, error))
            row_number += 1
        weighed, ended = reviews.apply_decisions(
            run.ledger,
            read,
            resubmit_approved=resubmit_approved,
            parks_cut_off=run.policy.parks_cut_off,
        )
        waiting += jobs.add(
            run.ledger, run.run_id, weighed, rejected, ended, weigh_cut_off=run.policy.parks_cut_off
        )
    if changed := prior.paid_again(run.ledger, run.run_id):
        log.warning("%s", paid_again_line(changed))
    return waiting
