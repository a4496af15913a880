"""Holds: the money for an attempt, taken from every window it falls under before a byte leaves.

It is the attempt's worst case, or, under a policy that says so, its cost at a percentile of the observed output.

The windows' sums live in `budgets` and change in the same transaction as the attempts they are the sums of.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, bindparam, func, insert, select, update

from rules.endings import answered_before, cut_off, deferred, unknown_before
from rules.free_money import FreeMoney
from rules.informed_decision import SHOWN_REASONS, was_informed
from schemas.attempt import Admission, Expectation, HeldAttempt, WeighedJob
from schemas.budget import Payers, Window, WindowCap
from schemas.job import AttemptId, QueuedJob, RunId
from schemas.ledger import AttemptRow, JobRow, PayloadRow
from schemas.outcome import LETS_PASS, AttemptState, Decision, Ending, Method, Outcome, Reason, Scope
from schemas.review_tables import ReviewRow
from schemas.run import RunKey
from services.ledger.gave_way import give_way
from services.ledger.leases import assert_owner
from services.ledger.outcomes import RowEnding, end_rows
from services.ledger.payers import put_on_record as payers_on_record
from services.ledger.prior import Prior, PriorAttempt, prior_attempts
from services.ledger.store import Ledger
from services.ledger.windows import add_to_windows, open_windows


def take(
    ledger: Ledger,
    run: RunKey,
    weighed: Sequence[WeighedJob],
    caps: Sequence[WindowCap],
    *,
    may_defer: bool,
    resend_unknown: bool,
) -> Admission:
    """Hold the money for each job that fits under every cap, in one transaction. No payload is read.

    Args:
        ledger: the ledger.
        run: the run that sends them, with its owner's token.
        weighed: jobs in the order they are to get money; one that only its cache marker makes dearer than all that is
            free goes without it.
        caps: every window they fall under; the day's gives the attempts their budget day, the deadline's, if there is
            one, the deadline that they go out for.
        may_defer: nothing of this run is in flight, so that what is free now is the most that will ever be: a job
            dearer than that is deferred. At any other that does not fit, the queue stops until there is room; when only
            the money of its group is short, that group waits and the others go on.
        resend_unknown: whether a job whose earlier attempt may have been billed may be sent again.

    Raises:
        NotOwner: another process has taken the run over; nothing is held.
    """
    admission = Admission()
    with ledger.write() as connection:
        assert_owner(connection, run)
        money = FreeMoney(caps, open_windows(connection, caps))
        queued = [item.job for item in weighed]
        prior = prior_attempts(connection, queued)
        approvals = _approvals(connection, queued)
        periods = {cap.window.scope: cap.window.period for cap in caps}
        taken = _Taken(run.run_id, periods[Scope.DAY], periods.get(Scope.DEADLINE))
        for item in map(money.within_reach, weighed):
            earlier = prior[item.job.row_number]
            if (flying := earlier.get(AttemptState.OPEN)) and flying[-1].batch_id:
                taken.join(item, flying[-1].attempt_id)
            elif end := _already_ended(item.job, earlier, approvals, resend_unknown=resend_unknown):
                taken.end(item, *end)
            elif item.job.group in admission.short_groups:
                continue
            elif not (lacking := money.lacking(item)):
                taken.hold(item, superseded=earlier.get(AttemptState.SUCCEEDED, ()))
                money.take(item)
            elif may_defer and (never := money.lacking_at_first(item)):
                taken.end(item, money.deferred(item, never))
            elif lacking.window.group and lacking.window.group == item.job.group:
                admission.short_groups.add(lacking.window.group)
            else:
                admission.short = True
                break
        taken.write(connection)
    admission.held = taken.held()
    admission.joined = len(taken.joins)
    admission.deferred = sum(end.ending.outcome == Outcome.DEFERRED for end in taken.ends)
    return admission


class _Taken:
    """What one admission is about to write."""

    def __init__(self, run_id: RunId, budget_day: str, deadline: str | None) -> None:
        self.run_id = run_id
        self.budget_day = budget_day
        self.deadline = deadline
        self.now = datetime.now(UTC)
        self.attempts: list[dict[str, Any]] = []
        self.jobs: list[QueuedJob] = []
        self.ends: list[RowEnding] = []
        self.joins: list[dict[str, Any]] = []
        self.superseded: list[str] = []
        self.payers: dict[str, Payers] = {}

    def hold(self, item: WeighedJob, *, superseded: Sequence[PriorAttempt]) -> None:
        """Hold the money for a job.

        Args:
            item: the job.
            superseded: its answers that were cut off, of whichever model; they give way to the one to come.
        """
        job, estimate = item.job, item.estimate
        attempt_id = AttemptId(f"att_{uuid4().hex}")
        self.payers[attempt_id] = item.payers
        self.superseded += [answer.attempt_id for answer in superseded]
        self.attempts.append(
            {
                "attempt_id": attempt_id,
                "run_id": self.run_id,
                "row_number": job.row_number,
                "job_id": job.job_id,
                "fingerprint": job.fingerprint,
                "group_name": job.group,
                "split_jobs": item.split and item.split.jobs,
                "budget_day": self.budget_day,
                "deadline": self.deadline,
                "model": estimate.model,
                "state": AttemptState.OPEN,
                "payload_class": job.traits.payload_class,
                "effort": job.traits.effort,
                "thinking_budget": job.traits.thinking_budget,
                "method": estimate.method,
                "input_tokens": estimate.input_tokens,
                "input_bound": estimate.input_bound,
                "max_tokens": job.max_tokens,
                "expected_nano_usd": estimate.expected,
                "expected_low_nano_usd": estimate.expected_low,
                "expected_high_nano_usd": estimate.expected_high,
                "worst_case_nano_usd": estimate.worst_case,
                "held_nano_usd": item.hold,
                "opened_at": self.now,
                "tries": 0,
                **_marked(job),
            }
        )
        self.jobs.append(job)

    def held(self) -> list[HeldAttempt]:
        """The attempts with all that sending them needs but their payloads."""
        return [
            HeldAttempt(
                attempt_id=attempt["attempt_id"],
                row_number=job.row_number,
                job_id=job.job_id,
                model=attempt["model"],
                payload=None,
                traits=job.traits,
                cache_ttl=job.cache_ttl,
                group=job.group,
                mark=job.mark,
                payload_bytes=job.payload_bytes,
                expects=Expectation(
                    counted=attempt["input_tokens"],
                    is_counted=attempt["method"] == Method.COUNTED,
                    max_tokens=job.max_tokens,
                    worst_case=attempt["worst_case_nano_usd"],
                ),
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
        give_way(connection, self.superseded)
        if self.attempts:
            connection.execute(insert(AttemptRow), self.attempts)
            splits = [one["attempt_id"] for one in self.attempts if one["split_jobs"] is not None]
            payers_on_record(connection, {one: self.payers[one] for one in splits})
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
                payers = self.payers[a["attempt_id"]]
                held.update(
                    payers.in_windows(self.run_id, self.budget_day, a["held_nano_usd"], self.deadline)
                )
            add_to_windows(connection, {window: (amount, 0) for window, amount in held.items()})
        if self.joins:
            connection.execute(
                update(JobRow)
                .where(*of_row)
                .values(decision=Decision.SEND, attempt_id=bindparam("v_attempt_id")),
                self.joins,
            )
        end_rows(connection, self.run_id, self.ends)


def _marked(job: QueuedJob) -> dict[str, Any]:
    """What an attempt's row says of the cache marker that it is sent with."""
    if job.mark is None:
        return {"prefix_key": None, "cache_ttl": None, "is_prime": None}
    return {"prefix_key": job.mark.key, "cache_ttl": job.mark.ttl, "is_prime": job.mark.is_prime}


def in_doubt(ledger: Ledger, queued: Sequence[QueuedJob]) -> dict[int, Ending]:
    """What jobs end as, by row, while an attempt at them may have been billed and nobody has decided about that."""
    return {
        row_number: unknown_before(unknown[-1].attempt_id, unknown[-1].run_id)
        for row_number, unknown in _undecided(ledger, queued, AttemptState.UNKNOWN).items()
    }


def cut_off_before(ledger: Ledger, queued: Sequence[QueuedJob]) -> dict[int, Ending]:
    """What jobs end as, by row, whose answer was cut off and nobody has decided about that."""
    return {
        row_number: cut_off(answers[-1].attempt_id)
        for row_number, answers in _undecided(ledger, queued, AttemptState.SUCCEEDED).items()
        if all(answer.was_cut_off for answer in answers)
    }


def _undecided(
    ledger: Ledger, queued: Sequence[QueuedJob], state: AttemptState
) -> dict[int, list[PriorAttempt]]:
    """The earlier attempts in a state, by row, but those that who approved the job had been shown."""
    if not queued:
        return {}
    with ledger.read() as connection:
        prior = prior_attempts(connection, queued)
        approvals = _approvals(connection, queued)
    unseen = {job.row_number: _unseen(job, prior[job.row_number], approvals, state) for job in queued}
    return {row_number: attempts for row_number, attempts in unseen.items() if attempts}


#: of reviews that were approved: what they said, and when they were
_Approvals = Mapping[int, tuple[str, datetime]]


def _approvals(connection: Connection, queued: Sequence[QueuedJob]) -> _Approvals:
    """The approvals of reviews that said what became of an earlier attempt, by review."""
    ids = [job.review_id for job in queued if job.review_id is not None]
    if not ids:
        return {}
    query = select(ReviewRow.id, ReviewRow.reason, ReviewRow.decided_at).where(
        ReviewRow.id.in_(ids),
        ReviewRow.status.in_(LETS_PASS),
        ReviewRow.reason.in_(tuple(SHOWN_REASONS.values())),
    )
    return {number: (reason, at) for number, reason, at in connection.execute(query) if at}


def _unseen(job: QueuedJob, prior: Prior, approvals: _Approvals, state: AttemptState) -> list[PriorAttempt]:
    """The attempts in a state but those that who approved the job was shown: as perhaps billed, or as cut off."""
    reason, approved_at = approvals.get(job.review_id or 0, (None, None))
    return [
        attempt for attempt in prior.get(state, ()) if not was_informed(state, attempt, reason, approved_at)
    ]


def _already_ended(
    job: QueuedJob, prior: Prior, approvals: _Approvals, *, resend_unknown: bool
) -> tuple[Ending, str | None] | None:
    """What a job's earlier attempts make of it, with the attempt that answered it; None when it may be sent."""
    if answers := _unseen(job, prior, approvals, AttemptState.SUCCEEDED):
        whole = [answer for answer in answers if not answer.was_cut_off]
        return answered_before(), (whole or answers)[-1].attempt_id
    if flying := prior.get(AttemptState.OPEN):
        detail = f"in flight in {flying[-1].run_id}; the next run takes it up"
        return deferred(Reason.IN_FLIGHT_ELSEWHERE, detail), None
    unknown = _unseen(job, prior, approvals, AttemptState.UNKNOWN)
    if unknown and not resend_unknown:
        return unknown_before(unknown[-1].attempt_id, unknown[-1].run_id), None
    return None


def with_payloads(ledger: Ledger, run_id: RunId, held: Sequence[HeldAttempt]) -> list[HeldAttempt]:
    """Attempts of a run with what is sent of their payloads, in the same order."""
    sent = func.coalesce(PayloadRow.pruned_body, PayloadRow.body)
    query = select(PayloadRow.row_number, sent).where(
        PayloadRow.run_id == run_id, PayloadRow.row_number.in_([one.row_number for one in held])
    )
    with ledger.read() as connection:
        bodies: dict[int, str] = {row_number: body for row_number, body in connection.execute(query)}  # noqa: C416 - a Row is no tuple
    return [replace(one, payload=bodies[one.row_number]) for one in held]
