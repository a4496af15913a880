"""Read: Parquet rows become jobs on record, or rejections with the column and the reason."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from rules.read_row import check_models, job_from_row, rejected_row
from schemas.job import Job, RejectedRow
from schemas.model_facts import ModelFacts
from schemas.payload.invalid import InvalidPayload
from services.job_file import JobFile
from services.ledger import jobs, reviews
from tasks.start_run import Run


def read_rows(run: Run, file: JobFile, limit: int | None, *, resubmit_approved: bool = False) -> int:
    """Put every row of the file on record, a batch at a time; how many are to be weighed.

    What people decided about a job holds: a rejected one stays rejected, and an approved one may pass its limits
    where this run sends what was approved.
    """
    row_number = waiting = 0
    for batch in file.batches(limit):
        read: list[Job] = []
        rejected: list[RejectedRow] = []
        for row in batch:
            try:
                job = job_from_row(row_number, row, run.policy.output.default_max_tokens)
                check_models(job, _models_of(run, job), run.policy.mode)
                read.append(job)
            except InvalidPayload as error:
                rejected.append(rejected_row(row_number, row, error))
            row_number += 1
        weighed, ended = reviews.apply_decisions(run.ledger, read, resubmit_approved=resubmit_approved)
        waiting += jobs.add(run.ledger, run.run_id, weighed, rejected, ended)
    return waiting


def _models_of(run: Run, job: Job) -> list[ModelFacts]:
    """The models a job could go to; of a pin that the provider does not list, nothing is known yet."""
    if job.model is None:
        return [run.models[route.model] for route in run.policy.routes]
    return [run.listed[job.model]] if job.model in run.listed else []


@task(name="read_jobs", cache_policy=NO_CACHE, persist_result=False)
def read_jobs(run: Run, file: JobFile, limit: int | None, *, resubmit_approved: bool = False) -> int:
    """Read the job file into the ledger; how many jobs are to be weighed."""
    return read_rows(run, file, limit, resubmit_approved=resubmit_approved)
