"""Looking things up: runs, and the history of a job, as small typed rows. Nothing is written."""

from schemas.looked_up import AttemptLine, JobHistory, JobLine, ReportLine, ReviewLine, RunLine
from services.ledger.asking import asking, read_lines

# the rows of a run that has its report are counted there; here only is asked whether they were pruned
_RUNS = """
SELECT r.run_id, r.started_at, r.ended_at, r.jobs_path, r.mode, r.simulated, r.outcome,
       CASE WHEN r.outcome IN ('complete', 'budget_stop', 'incomplete')
            THEN (SELECT max(j.row_number) + 1 FROM jobs j WHERE j.run_id = r.run_id)
            ELSE (SELECT nullif(count(*), 0) FROM jobs j WHERE j.run_id = r.run_id) END,
       b.settled_nano_usd, b.held_nano_usd,
       r.ended_at IS NULL AND (r.owner IS NULL OR r.lease_until IS NULL OR r.lease_until <= CURRENT_TIMESTAMP),
       r.report
FROM runs r
LEFT JOIN budgets b ON b.scope = 'run' AND b.period = r.run_id AND b.group_name = ''
ORDER BY r.started_at DESC LIMIT :most
"""
# through the runs, for the index is on (run_id, job_id)
_JOB = """
SELECT r.run_id, r.started_at, r.simulated, j.row_number, j.group_name, j.model, j.input_tokens, j.method,
       j.expected_nano_usd, j.worst_case_nano_usd, j.decision, j.outcome, j.reason, j.detail, j.attempt_id
FROM runs r CROSS JOIN jobs j
WHERE j.run_id = r.run_id AND j.job_id = :job
ORDER BY r.started_at DESC
"""
_ATTEMPT = """
SELECT a.attempt_id, a.run_id, a.state, a.model, a.opened_at, a.sent_at, a.ended_at, a.batch_id,
       a.actual_input_tokens, a.actual_output_tokens, a.actual_nano_usd, a.held_nano_usd, a.stop_reason, a.error
"""
# what succeeded is on record also after its row was pruned
_ATTEMPTS = f"""
{_ATTEMPT} FROM attempts a WHERE a.job_id = :job AND a.state = 'succeeded'
UNION
{_ATTEMPT} FROM runs r CROSS JOIN jobs j CROSS JOIN attempts a
WHERE j.run_id = r.run_id AND j.job_id = :job AND a.run_id = j.run_id AND a.row_number = j.row_number
ORDER BY 5 DESC
"""
_REVIEWS = """
SELECT v.id, v.status, v.reason, v.created_at, v.decided_by, v.decided_at, v.note
FROM reviews v WHERE v.job_id = :job ORDER BY v.id DESC
"""
_REPORT = "SELECT run_id, ended_at, report FROM runs"
_ANSWER = "SELECT body FROM responses WHERE attempt_id = :attempt"


def latest_runs(url: str, most: int) -> list[RunLine]:
    """The runs on record, the newest first, at most this many.

    Args:
        url: a SQLAlchemy URL.
        most: of them.

    Raises:
        BadInput: no ledger is there.
        RunFailed: the database does not answer, or was made by a newer version.
    """
    with asking(url) as ask:
        return [_as_reported(line) for line in read_lines(RunLine, ask(_RUNS, {"most": most}))]


def _as_reported(line: RunLine) -> RunLine:
    """A run with as many rows as its report has: those of a sample have gaps between their numbers."""
    if line.report is None or line.jobs is None:
        return line
    return line._replace(jobs=line.report.get("jobs", {}).get("read", line.jobs))


def job_history(url: str, job_id: str) -> JobHistory:
    """All that is on record of a job id; empty where nothing is.

    Raises:
        BadInput: no ledger is there.
        RunFailed: the database does not answer, or was made by a newer version.
    """
    asked = {"job": job_id}
    with asking(url) as ask:
        return JobHistory(
            job_id=job_id,
            runs=tuple(read_lines(JobLine, ask(_JOB, asked))),
            attempts=tuple(read_lines(AttemptLine, ask(_ATTEMPTS, asked))),
            reviews=tuple(read_lines(ReviewLine, ask(_REVIEWS, asked))),
        )


def latest_report(url: str, run_id: str | None) -> ReportLine | None:
    """The report of the named run, or, without a name, of the one begun last; None where there is no such run.

    Raises:
        BadInput: no ledger is there.
        RunFailed: the database does not answer, or was made by a newer version.
    """
    which = "WHERE run_id = :run" if run_id is not None else "ORDER BY started_at DESC LIMIT 1"
    with asking(url) as ask:
        found = read_lines(ReportLine, ask(f"{_REPORT} {which}", {} if run_id is None else {"run": run_id}))
    return found[0] if found else None


def answer_body(url: str, attempt_id: str) -> str | None:
    """The answer to an attempt as the API gave it; None when it was pruned or never came.

    Raises:
        BadInput: no ledger is there.
        RunFailed: the database does not answer, or was made by a newer version.
    """
    with asking(url) as ask:
        rows = ask(_ANSWER, {"attempt": attempt_id})
    return rows[0][0] if rows else None
