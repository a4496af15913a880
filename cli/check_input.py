"""The look at a job file and its policy before anything is started."""

from datetime import UTC, datetime
from pathlib import Path

from rules.dated_path import dated_path
from schemas.settings import Settings
from services.job_file import JobFile
from services.policy_file import read_policy


def check_input(jobs: str, policy: Path | None, id_column: str | None, prompt_column: str | None) -> None:
    """Check a job file and the policy that says how it is read: plain mistakes, before a Prefect server starts.

    Args:
        jobs: a job file, a folder of them, or a glob; {date} stands for the day.
        policy: the policy file; None: the one of the settings.
        id_column: the column of the job's id, in place of the policy's.
        prompt_column: the column of the prompt, or a template, in place of the policy's.

    Raises:
        BadInput: one of them cannot be used.
    """
    found = read_policy(policy or Settings().policy).overridden(
        None, None, id_column=id_column, prompt_column=prompt_column
    )
    path = dated_path(jobs, datetime.now(UTC), found.time_zone)
    JobFile(path, found.jobs, found.results.keep)
