"""Move done: job files of which nothing is left are moved aside after the report, so that no later run reads them again."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from rules.dated_path import dated_path
from rules.done_files import done_files
from schemas.errors import BadInput
from schemas.outcome import RunOutcome
from schemas.policy import Policy
from schemas.report import RunReport
from schemas.run import RunOptions
from services.job_file import JobFile
from services.ledger.rows_left import rows_left
from services.move_file import done_folder, move_aside
from tasks.run import Run
from tasks.step import run_log, step

log = logging.getLogger("weighbridge")


def check_move_done(options: RunOptions, policy: Policy, file: JobFile | None) -> None:
    """Check that job files can be moved aside, where a run is asked to: its folder is there from now on.

    Raises:
        BadInput: they cannot.
    """
    if options.move_done is None:
        return
    if file is None or options.sample is not None:
        raise BadInput(
            "--move-done is about job files that are read whole: leave it out, or name a job file without --sample. "
            "Nothing was counted or sent."
        )
    if options.deployment and Path(file.path).is_absolute() and not Path(options.move_done).is_absolute():
        raise BadInput(
            "A run of a deployment needs an absolute folder for --move-done, for its own may be gone after the run. "
            "Nothing was counted or sent."
        )
    _folder(options, policy, file)


@step
def move_done(run: Run, file: JobFile, options: RunOptions, report: RunReport) -> list[Path]:
    """Move the job files aside of which nothing is left; where they are now.

    A run that failed, or is incomplete, leaves all of them where they are; one that a budget stopped those that have
    deferred rows. A file that cannot be moved, or was changed since it was read, stays too, and is named.
    """
    if options.move_done is None:
        return []
    if report.outcome in (RunOutcome.FAILED, RunOutcome.INCOMPLETE):
        run_log().info("No job file is moved aside: the run is %s.", report.outcome)
        return []
    folder = _folder(options, run.policy, file)
    files = file.row_files
    done = done_files(files, options.limit, rows_left(run.ledger, run.run_id))
    moved = [place for name in done if (place := _moved(Path(name), folder, file)) is not None]
    run_log().info(
        "%s of %s job files are done with and were moved to %s.", len(moved), len(files.names), folder
    )
    return moved


def _moved(path: Path, folder: Path, file: JobFile) -> Path | None:
    if path.is_symlink() or not file.is_unchanged(path):
        log.warning("%s stays where it is: it is a link, or was changed since it was read.", path)
        return None
    try:
        return move_aside(path, folder, file.path)
    except OSError as error:
        log.warning(
            "%s could not be moved to %s (%s); it stays where it is.",
            path,
            folder,
            error.strerror or type(error).__name__,
        )
        return None


def _folder(options: RunOptions, policy: Policy, file: JobFile) -> Path:
    moment = options.scheduled_for or datetime.now(UTC)
    folder = dated_path(options.move_done or "", moment, policy.time_zone)
    return done_folder(folder, file.path, [Path(name) for name in file.row_files.names])
