"""Holds: the money for an attempt, taken from every window it falls under before a byte leaves.

It is the attempt's worst case, or, under a policy that says so, its cost at a percentile of the observed output.

The windows' sums live in `budgets` and change in the same transaction as the attempts they are the sums of.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, bindparam, insert, select, update

from rules.endings import answered_before, deferred, unknown_before
from schemas.attempt import Admission, HeldAttempt, WeighedJob
from schemas.budget import Window, WindowCap, windows_of
from schemas.job import AttemptId, QueuedJob, RunId
from schemas.ledger import AttemptRow, JobRow, PayloadRow
from schemas.money import usd_text
from schemas.outcome import LETS_PASS, AttemptState, Decision, Ending, Outcome, Reason, Scope
from schemas.review_tables import ReviewRow
from services.ledger.outcomes import RowEnding, end_rows
from services.ledger.store import Ledger
from services.ledger.windows import add_to_windows, open_windows


def take(
    ledger: Ledger,
    run_id: RunId,
    weighed: Sequence[WeighedJob],
    caps: Sequence[WindowCap],
    *,
    may_defer: bool,
    resend_unknown: bool,
) -> Admission:
    """Hold the money for each job that fits under every cap, in one transaction.

    Args:
        ledger: the ledger.
        run_id: the run that sends them.
        weighed: jobs in the order they are to get money.
        caps: every window they fall under; the one of all jobs' day gives the attempts their budget day.
        may_defer: nothing of this run is in flight, so that what is free now is the most that will ever be: a job
            dearer than that is deferred. At any other job that does not fit, the queue stops and waits for what
            is in flight, or held here before it, to leave room; when only the money of its group is short, the
            jobs of that group wait and the others go on.
        resend_unknown: whether a job whose earlier attempt may have been billed may be sent again.
    """
    admission = Admission()
    with ledger.write() as connection:
        free = open_windows(connection, caps)
        at_most = dict(free)
        prior = _prior_attempts(connection, weighed)
        approved_at = _approved_at(connection, weighed)
        taken = _Taken(run_id, next(cap.window.period for cap in caps if cap.window.scope == Scope.DAY))
        for item in weighed:
            earlier = prior.get((item.job.job_id, item.job.fingerprint), {})
            if (flying := earlier.get(AttemptState.OPEN)) and flying.batch_id:
                taken.join(item, flying.attempt_id)
            elif end := _already_ended(
                earlier, resend_unknown=resend_unknown or _knew(item, earlier, approved_at)
            ):
                taken.end(item, *end)
            elif item.job.group in admission.short_groups:
                continue
            elif not (lacking := _lacking(caps, free, item)):
                taken.hold(item)
                for cap in caps:
                    if cap.window in free and cap.covers(item.job.group):
                        free[cap.window] -= item.estimate.hold
            elif may_defer and (never := _lacking(caps, at_most, item)):
                taken.end(item, deferred(never.reason, _short_text(never, at_most, item)))
            elif lacking.window.group:
                admission.short_groups.add(lacking.window.group)
            else:
                admission.short = True
                break
        taken.write(connection)
        payloads = _payloads(connection, run_id, taken.attempts)
    admission.held = taken.held(payloads)
    admission.joined = len(taken.joins)
    admission.deferred = sum(end.ending.outcome == Outcome.DEFERRED for end in taken.ends)
    return admission


class _Taken:
    """What one admission is about to write."""

    def __init__(self, run_id: RunId, budget_day: str) -> None:
        self.run_id = run_id
        self.budget_day = budget_day
        self.now = datetime.now(UTC)
        self.attempts: list[dict[str, Any]] = []
        self.jobs: list[QueuedJob] = []
        self.ends: list[RowEnding] = []
        self.joins: list[dict[str, Any]] = []

    def hold(self, item: WeighedJob) -> None:
        job, estimate = item.job, item.estimate
        self.attempts.append(
            {
                "attempt_id": AttemptId(f"att_{uuid4().hex}"),
                "run_id": self.run_id,
                "row_number": job.row_number,
                "job_id": job.job_id,
                "fingerprint": job.fingerprint,
                "group_name": job.group,
                "budget_day": self.budget_day,
                "model": estimate.model,
                "state": AttemptState.OPEN,
                "payload_class": job.traits.payload_class,
                "method": estimate.method,
                "input_tokens": estimate.input_tokens,
                "input_bound": estimate.input_bound,
                "max_tokens": job.max_tokens,
                "expected_nano_usd": estimate.expected,
                "expected_low_nano_usd": estimate.expected_low,
                "expected_high_nano_usd": estimate.expected_high,
                "worst_case_nano_usd": estimate.worst_case,
                "held_nano_usd": estimate.hold,
                "opened_at": self.now,
                "tries": 0,
            }
        )

        self.jobs.append(job)

    def held(self, payloads: Mapping[int, str]) -> list[HeldAttempt]:
        """The attempts with all that sending them needs; payloads by row."""
        return [
            HeldAttempt(
                attempt_id=attempt["attempt_id"],
                row_number=job.row_number,
                job_id=job.job_id,
                model=attempt["model"],
                payload=payloads[job.row_number],
                traits=job.traits,
                cache_ttl=job.cache_ttl,
            )
            for attempt, job in zip(self.attempts, self.jobs, strict=True)
        ]

    def join(self, item: WeighedJob, attempt_id: str) -> None:
        self.joins.append({"r_row_number": item.job.row_number, "v_attempt_id": attempt_id})

    def end(self, item: WeighedJob, ending: Ending, attempt_id: str | None = None) -> None:
        self.ends.append(
            RowEnding(
                row_number=item.job.row_number,
                ending=ending,
                attempt_id=attempt_id,
                expected=item.estimate.expected,
                worst_case=item.estimate.worst_case,
            )
        )

    def write(self, connection: Connection) -> None:
        of_row = (JobRow.run_id == self.run_id, JobRow.row_number == bindparam("r_row_number"))
        if self.attempts:
            connection.execute(insert(AttemptRow), self.attempts)
            connection.execute(
                update(JobRow)
                .where(*of_row)
                .values(
                    decision=Decision.SEND,
                    attempt_id=bindparam("v_attempt_id"),
                    expected_nano_usd=bindparam("v_expected"),
                    worst_case_nano_usd=bindparam("v_worst_case"),
                ),
                [
                    {
                        "r_row_number": a["row_number"],
                        "v_attempt_id": a["attempt_id"],
                        "v_expected": a["expected_nano_usd"],
                        "v_worst_case": a["worst_case_nano_usd"],
                    }
                    for a in self.attempts
                ],
            )
            held: Counter[Window] = Counter()
            for a in self.attempts:
                for window in windows_of(self.run_id, self.budget_day, a["group_name"]):
                    held[window] += a["held_nano_usd"]
            add_to_windows(connection, {window: (amount, 0) for window, amount in held.items()})
        if self.joins:
            connection.execute(
                update(JobRow)
                .where(*of_row)
                .values(decision=Decision.SEND, attempt_id=bindparam("v_attempt_id")),
                self.joins,
            )
        end_rows(connection, self.run_id, self.ends)


def _lacking(caps: Sequence[WindowCap], free: dict[Window, int], item: WeighedJob) -> WindowCap | None:
    """The first cap that a job's hold does not fit under; those for all jobs come first."""
    return next(
        (
            cap
            for cap in caps
            if cap.window in free and free[cap.window] < item.estimate.hold and cap.covers(item.job.group)
        ),
        None,
    )


def _short_text(cap: WindowCap, free: dict[Window, int], item: WeighedJob) -> str:
    what = "worst case" if item.estimate.likely is None else "hold of"
    whose = f" of the group {cap.window.group}" if cap.window.group else ""
    return (
        f"{what} {usd_text(item.estimate.hold)} USD, {usd_text(max(0, free[cap.window]))} USD left of the "
        f"{cap.window.scope} budget{whose} of {usd_text(cap.nano_usd or 0)} USD"
    )


class _Prior(NamedTuple):
    attempt_id: str
    run_id: str
    batch_id: str | None
    ended_at: datetime | None


def _prior_attempts(
    connection: Connection, weighed: Sequence[WeighedJob]
) -> dict[tuple[str, str], dict[AttemptState, _Prior]]:
    """By job and payload: earlier attempts that succeeded, are open or unknown."""
    prior: dict[tuple[str, str], dict[AttemptState, _Prior]] = {}
    query = select(
        AttemptRow.job_id,
        AttemptRow.fingerprint,
        AttemptRow.state,
        AttemptRow.attempt_id,
        AttemptRow.run_id,
        AttemptRow.batch_id,
        AttemptRow.ended_at,
    ).where(
        AttemptRow.fingerprint.in_([item.job.fingerprint for item in weighed]),
        AttemptRow.state != AttemptState.FAILED,
    )
    for job_id, fingerprint, state, *rest in connection.execute(query):
        prior.setdefault((job_id, fingerprint), {})[AttemptState(state)] = _Prior(*rest)
    return prior


def _approved_at(connection: Connection, weighed: Sequence[WeighedJob]) -> dict[int, datetime]:
    """When the reviews of jobs under an approval were decided, by review."""
    ids = [item.job.review_id for item in weighed if item.job.review_id is not None]
    if not ids:
        return {}
    query = select(ReviewRow.id, ReviewRow.decided_at).where(
        ReviewRow.id.in_(ids), ReviewRow.status.in_(LETS_PASS)
    )
    return {review_id: decided_at for review_id, decided_at in connection.execute(query) if decided_at}


def _knew(item: WeighedJob, prior: dict[AttemptState, _Prior], approved_at: dict[int, datetime]) -> bool:
    """Whether who approved a job could know of its attempt that may have been billed."""
    unknown = prior.get(AttemptState.UNKNOWN)
    approved = approved_at.get(item.job.review_id or 0)
    return bool(unknown and unknown.ended_at and approved and approved > unknown.ended_at)


def _already_ended(
    prior: dict[AttemptState, _Prior], *, resend_unknown: bool
) -> tuple[Ending, str | None] | None:
    """What a job's earlier attempts make of it, with the attempt that answered it; None when it may be sent."""
    if succeeded := prior.get(AttemptState.SUCCEEDED):
        return answered_before(), succeeded.attempt_id
    if flying := prior.get(AttemptState.OPEN):
        detail = f"in flight in {flying.run_id}; the next run takes it up"
        return deferred(Reason.IN_FLIGHT_ELSEWHERE, detail), None
    if (unknown := prior.get(AttemptState.UNKNOWN)) and not resend_unknown:
        return unknown_before(unknown.attempt_id, unknown.run_id), None
    return None


def _payloads(connection: Connection, run_id: RunId, attempts: list[dict[str, Any]]) -> dict[int, str]:
    query = select(PayloadRow.row_number, PayloadRow.body).where(
        PayloadRow.run_id == run_id, PayloadRow.row_number.in_([a["row_number"] for a in attempts])
    )
    return {row_number: body for row_number, body in connection.execute(query)}  # noqa: C416 - a Row is no tuple
