"""Read: Parquet rows become jobs on record, or rejections with the column and the reason."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from rules.identity import paid_again_line
from rules.read_row import checked_job, rejected_row
from rules.reading_digest import reading_digest
from schemas.job import Job, RejectedRow, RunId, Shard
from schemas.payload.invalid import InvalidPayload
from schemas.row import Row, RowFiles
from services.job_file import JobFile
from services.ledger import jobs, prior, read_before, reviews
from services.whole_thread import on_whole_thread
from tasks.draw_rows import DrawnRows
from tasks.run import Run
from tasks.step import step

#: rows that are put on record together, of those that were answered before
ROWS_COPIED = 5_000
log = logging.getLogger("weighbridge")


@step
async def read_jobs(
    run: Run,
    file: JobFile,
    limit: int | None,
    *,
    resubmit_approved: bool = False,
    drawn: DrawnRows | None = None,
) -> int:
    """Put every row of the file on record, a batch at a time; how many jobs are to be weighed.

    What people decided about a job holds: a rejected one stays rejected, and an approved one may pass its limits
    where this run sends what was approved. A run that is cancelled reads the batch under way to its end, and no more.

    Args:
        run: the run.
        file: its checked job file.
        limit: only this many rows from the start; None: all.
        resubmit_approved: whether this run sends what was approved.
        drawn: only these rows; the others are left alone and not on record. None: all.
    """
    row_number = waiting = 0
    files = file.row_files
    answered = await on_whole_thread(_AnsweredBefore.of, run, file, limit) if drawn is None else None
    batches = file.batches(limit)
    while (batch := await on_whole_thread(next, batches, None)) is not None:
        rows = _drawn(batch, row_number, drawn)
        row_number += len(batch)
        if answered is not None:
            rows = await on_whole_thread(answered.others, rows, row_number)
        if rows:
            waiting += await on_whole_thread(
                _put_on_record, run, rows, files, resubmit_approved=resubmit_approved
            )
    if changed := await on_whole_thread(prior.paid_again, run.ledger, run.run_id):
        log.warning("%s", paid_again_line(changed))
    return waiting


@dataclass(slots=True)
class _AnsweredBefore:
    """The rows of a run that an earlier one read in the same way and that were answered; they are put on record in turn.

    Attributes:
        before: the earlier run.
        end: the number of rows that are read.
        upto: those below this number were looked for.
        found: numbers of rows that were put on record, of those looked for last.
    """

    run: Run
    before: RunId
    end: int
    upto: int = 0
    found: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, run: Run, file: JobFile, limit: int | None) -> "_AnsweredBefore | None":
        """None where no run on record read the same."""
        models, way = run.models, run.reference.way
        digest = reading_digest(file.digest(), run.policy, models, way, version("weighbridge"))
        before = read_before.begin_reading(run.ledger, run.run_id, digest)
        end = file.rows if limit is None else min(limit, file.rows)
        return None if before is None else cls(run, before, end)

    def others(self, rows: Sequence[tuple[int, Row]], upto: int) -> list[tuple[int, Row]]:
        """Those of some rows, which are all below a number, that are still to be read."""
        while self.upto < upto:
            last = min(self.upto + ROWS_COPIED, self.end) - 1
            self.found = {number for number in self.found if number >= rows[0][0]}
            self.found |= read_before.copy_answered(
                self.run.ledger,
                self.run.run_id,
                self.before,
                Shard(self.upto, last),
                self.run.policy.kept_answers,
            )
            self.upto = last + 1
        return [(number, row) for number, row in rows if number not in self.found]


def _drawn(batch: Sequence[Row], first: int, drawn: DrawnRows | None) -> list[tuple[int, Row]]:
    """The rows of a batch that are read, by number; `first` is that of the batch's first row."""
    numbered = enumerate(batch, first)
    return [(number, row) for number, row in numbered if drawn is None or number in drawn.weights]


def _put_on_record(
    run: Run, rows: Sequence[tuple[int, Row]], files: RowFiles, *, resubmit_approved: bool
) -> int:
    """Put some rows on record, each with its number; how many jobs are to be weighed."""
    read: list[Job] = []
    rejected: list[RejectedRow] = []
    for row_number, row in rows:
        try:
            job = checked_job(row_number, row, run.policy, run.models, run.reference.way)
            read.append(replace(job, files=files))
        except InvalidPayload as error:
            rejected.append(rejected_row(row_number, row, error))
    weighed, ended = reviews.apply_decisions(
        run.ledger,
        read,
        resubmit_approved=resubmit_approved,
        parks_cut_off=run.policy.parks_cut_off,
    )
    return jobs.add(run.ledger, run.run_id, weighed, rejected, ended, serving=run.policy.kept_answers)
