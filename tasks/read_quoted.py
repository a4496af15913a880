"""Read the rows of a quote: those that are no jobs, those that need no weighing, and those that wait."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rules.quote_tally import EarlierAttempts, QuotedRow, ended_row
from rules.read_row import checked_job
from schemas.job import EndedJob, Job
from schemas.outcome import AttemptState, Outcome, Reason
from schemas.payload.invalid import InvalidPayload
from schemas.row import Row
from services.ledger import prior, reviews
from tasks.count_tokens import JobOnScale
from tasks.quoting import Quoting


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that is to be weighed.

    Attributes:
        earlier: attempts at it that no answer on record comes of yet.
        again: why it would be paid for again, if it is sent; None: it was never answered.
    """

    job: Job
    on_scale: JobOnScale
    earlier: EarlierAttempts
    again: str | None


def read_batch(
    quoting: Quoting, ids: set[int], first: int, rows: Sequence[Row]
) -> tuple[list[Job], list[QuotedRow]]:
    """The jobs of some rows, and the rows that are none."""
    scale = quoting.scale
    jobs: list[Job] = []
    rejected: list[QuotedRow] = []
    for number, row in enumerate(rows, first):
        if not quoting.weight(number):
            continue
        try:
            job = checked_job(number, row, scale.policy, scale.models)
        except InvalidPayload as error:
            why = f"{error.column}: {error.reason}"
            rejected.append(QuotedRow(number, None, None, Outcome.REJECTED, Reason.INVALID_ROW, why))
            continue
        key = hash(job.job_id)  # 8 bytes an id, not its text: a file may have a million
        if key in ids:
            why = "job_id: the same id stands in an earlier row; ids must be unique"
            rejected.append(QuotedRow(number, job.job_id, None, Outcome.REJECTED, Reason.INVALID_ROW, why))
            continue
        ids.add(key)
        jobs.append(job)
    return jobs, rejected


def undecided(quoting: Quoting, jobs: Sequence[Job]) -> tuple[list[Waiting], list[QuotedRow]]:
    """The jobs that are to be weighed, and what became of the others before it: answered, or decided about.

    What a run puts on record of its rows, in the same order and by the same questions.
    """
    policy = quoting.scale.policy
    free, ended = reviews.apply_decisions(
        quoting.ledger, jobs, resubmit_approved=False, parks_cut_off=policy.parks_cut_off
    )
    ends = {end.job.row_number: end for end in ended}
    with quoting.ledger.read() as connection:
        paid = prior.paid_before(connection, jobs, ends, policy.kept_answers)
        waiting = [(job, job.queued()) for job in free if job.row_number not in paid]
        queued = [one for _, one in waiting]
        earlier = prior.prior_attempts(connection, queued)
        again = prior.changed_since(connection, queued)
    return (
        [
            Waiting(
                job,
                JobOnScale(one, job.payload),
                _as_they_stand(earlier[job.row_number], quoting.abandoned),
                again.get(job.row_number),
            )
            for job, one in waiting
        ],
        [_ended(job, ends, paid) for job in jobs if job.row_number in paid or job.row_number in ends],
    )


def _ended(job: Job, ends: Mapping[int, EndedJob], paid: Mapping[int, str]) -> QuotedRow:
    if job.row_number in paid:
        return ended_row(job.queued(), Outcome.SUCCEEDED, None)
    ending = ends[job.row_number].ending
    return ended_row(job.queued(), ending.outcome, ending.reason, ending.detail)


def _as_they_stand(earlier: prior.Prior, abandoned: Collection[str]) -> EarlierAttempts:
    """How attempts stand once a run has closed the books of those that nobody works on, by their ids."""
    flying = [
        one for one in earlier.get(AttemptState.OPEN, ()) if one.batch_id or one.run_id not in abandoned
    ]
    sent = [one for one in earlier.get(AttemptState.OPEN, ()) if one not in flying and one.sent_at]
    states = set(earlier) - {AttemptState.OPEN}
    states |= {AttemptState.OPEN} if flying else set()
    states |= {AttemptState.UNKNOWN} if sent else set()
    return EarlierAttempts(frozenset(states), in_batch=bool(flying and flying[-1].batch_id))
