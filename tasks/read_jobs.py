"""Read: Parquet rows become jobs on record, or rejections with the column and the reason."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from rules.identity import paid_again_line
from rules.read_row import checked_job, rejected_row
from rules.reading_digest import reading_digest
from rules.waits_again import waits_again
from schemas.job import Job, RejectedRow, RunId, Shard
from schemas.payload.invalid import InvalidPayload
from schemas.row import RowFiles
from services.job_file import JobFile, NumberedRow, Wanted, all_rows
from services.ledger import jobs, prior, read_before, reviews
from services.whole_thread import on_whole_thread
from tasks.draw_rows import DrawnRows
from tasks.run import Run
from tasks.step import step

#: rows that are put on record together, of those that were read before: each time, much of an index is written anew
ROWS_COPIED = 10_000
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
    waiting = 0
    files = file.row_files
    batches = file.numbered(limit, await on_whole_thread(_wanted, run, file, limit, drawn))
    while (rows := await on_whole_thread(next, batches, None)) is not None:
        waiting += await on_whole_thread(
            _put_on_record, run, rows, files, resubmit_approved=resubmit_approved
        )
    if changed := await on_whole_thread(prior.paid_again, run.ledger, run.run_id):
        log.warning("%s", paid_again_line(changed))
    return waiting


def _wanted(run: Run, file: JobFile, limit: int | None, drawn: DrawnRows | None) -> Wanted:
    """Which rows are read: those that were drawn, or those that what an earlier run made of them does not decide about."""
    if drawn is not None:
        return lambda _: drawn.weights
    models, way = run.models, run.reference.way
    digest = reading_digest(file.digest(), run.policy, models, way, version("weighbridge"))
    before = read_before.begin_reading(run.ledger, run.run_id, digest)
    if before is None:
        return all_rows
    end = file.rows if limit is None else min(limit, file.rows)
    # what goes out at full price for a deadline has another price than its row would have now
    shared = None if run.is_at_risk else read_before.payloads_of_several(run.ledger, before, end)
    return _ReadBefore(run, before, end, shared).others


@dataclass(slots=True)
class _ReadBefore:
    """The rows of a run that an earlier one read in the same way; they are put on record in turn, as far as that does.

    Those that were answered end as they did, and those that were parked are weighed by what is on record of them.

    Attributes:
        before: the earlier run.
        end: the number of rows that are read.
        shared: payloads of its parked rows that stand in other rows too; None: what was parked is read.
        upto: those below this number were looked for.
        left: numbers of the rows that are still to be read, of those looked for last.
    """

    run: Run
    before: RunId
    end: int
    shared: set[str] | None
    upto: int = 0
    left: set[int] = field(default_factory=set)

    def others(self, numbers: range) -> set[int]:
        """The rows of a range that are still to be read, and maybe others; ranges are asked for in their order."""
        while self.upto < numbers.stop:
            last = min(self.upto + ROWS_COPIED, self.end) - 1
            looked_for = Shard(self.upto, last)
            found = self._copy_answered(looked_for) | self._park_again(looked_for)
            self.left = {number for number in self.left if number >= numbers.start}
            self.left |= set(range(looked_for.first, looked_for.last + 1)) - found
            self.upto = last + 1
        return self.left

    def _copy_answered(self, rows: Shard) -> set[int]:
        serving = self.run.policy.kept_answers
        return read_before.copy_answered(self.run.ledger, self.run.run_id, self.before, rows, serving)

    def _park_again(self, rows: Shard) -> set[int]:
        if self.shared is None:
            return set()
        ledger, run_id = self.run.ledger, self.run.run_id
        parked = read_before.parked_before(ledger, run_id, self.before, rows, self.shared)
        weighed = ((one, waits_again(self.run.scale, one.job, one.counted)) for one in parked)
        return read_before.park_again(
            ledger, run_id, [(one, update) for one, update in weighed if update is not None]
        )


def _put_on_record(run: Run, rows: Sequence[NumberedRow], files: RowFiles, *, resubmit_approved: bool) -> int:
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
