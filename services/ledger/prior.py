"""Prior attempts: what became earlier of the same jobs, in whichever run."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, select

from rules.identity import same_model
from schemas.fitted_job import Fitting
from schemas.job import EndedJob, Job, KeptAnswers, QueuedJob, RunId
from schemas.ledger import AttemptRow, JobRow, ResponseRow
from schemas.outcome import AttemptState
from schemas.review_tables import ReviewRow
from schemas.saving_tables import FittedJobRow, SharedAnswerRow
from schemas.usage import CUT_OFF
from services.ledger.given_keys import given_keys
from services.ledger.store import Ledger
from services.ledger.written_out import SUCCEEDED


class PriorAttempt(NamedTuple):
    """An earlier attempt at a job that was answered, is in flight, or may have been billed."""

    attempt_id: str
    run_id: str
    batch_id: str | None
    ended_at: datetime | None
    model: str
    stop_reason: str | None
    sent_at: datetime | None

    @property
    def was_cut_off(self) -> bool:
        """Whether it was answered, and its max_tokens cut the answer off."""
        return self.stop_reason == CUT_OFF


#: earlier attempts at a job by how they stand, the latest last; none stands under a state that no attempt has
Prior = dict[AttemptState, list[PriorAttempt]]
#: a job, and one of the payloads that it was sent with
_Key = tuple[str, str]


def prior_attempts(connection: Connection, queued: Sequence[QueuedJob]) -> dict[int, Prior]:
    """Earlier attempts at jobs, by row: those that count for a job as it is now.

    An answer, or an attempt in flight, counts for the payload it was made with and for the model that the job is pinned
    to, if it is. One that may have been billed counts for every pin, and for either payload of a review: a person
    decides whether the job is sent again.
    """
    keys = _keys_of(connection, queued)
    found = _attempts(connection, {key for of_job in keys.values() for key in of_job})
    prior: dict[int, Prior] = {}
    for job in queued:
        own = (job.job_id, job.fingerprint)
        standing = prior[job.row_number] = {}
        for key in keys[job.row_number]:
            for state, attempt in found.get(key, ()):
                serves = key == own and same_model(job.pinned_model, attempt.model)
                if state == AttemptState.UNKNOWN or serves:
                    standing.setdefault(state, []).append(attempt)
    return prior


def _keys_of(connection: Connection, queued: Sequence[QueuedJob]) -> dict[int, list[_Key]]:
    """By row: the job's payload last, after the other one of its review, if it was edited."""
    query = select(ReviewRow.job_id, ReviewRow.fingerprint, ReviewRow.edited_fingerprint).where(
        ReviewRow.edited_fingerprint.is_not(None), ReviewRow.job_id.in_([job.job_id for job in queued])
    )
    other: dict[_Key, str] = {}
    for job_id, fingerprint, edited in connection.execute(query):
        other[job_id, fingerprint] = edited
        other[job_id, edited] = fingerprint
    keys: dict[int, list[_Key]] = {}
    for job in queued:
        own = (job.job_id, job.fingerprint)
        keys[job.row_number] = [(job.job_id, other[own]), own] if own in other else [own]
    return keys


def _attempts(
    connection: Connection, keys: Iterable[_Key]
) -> dict[_Key, list[tuple[AttemptState, PriorAttempt]]]:
    given = given_keys(connection, set(keys))
    of_key = (AttemptRow.job_id == given.c.job_id) & (AttemptRow.fingerprint == given.c.fingerprint)
    query = (
        select(
            AttemptRow.job_id,
            AttemptRow.fingerprint,
            AttemptRow.state,
            AttemptRow.attempt_id,
            AttemptRow.run_id,
            AttemptRow.batch_id,
            AttemptRow.ended_at,
            AttemptRow.model,
            AttemptRow.stop_reason,
            AttemptRow.sent_at,
        )
        .join(given, of_key)
        .where(AttemptRow.state != AttemptState.FAILED)
    )
    found: dict[_Key, list[tuple[AttemptState, PriorAttempt]]] = {}
    for job_id, fingerprint, state, *rest in connection.execute(query.order_by(AttemptRow.opened_at)):
        found.setdefault((job_id, fingerprint), []).append((AttemptState(state), PriorAttempt(*rest)))
    return found


def answers(connection: Connection, jobs: Sequence[Job], serving: KeptAnswers) -> dict[int, str]:
    """The attempt that answered each job as it is now, by row, where one did.

    Args:
        connection: the caller's transaction.
        jobs: the jobs.
        serving: whether answers that were cut off at their max_tokens do.
    """
    keys = {(job.job_id, job.payload.fingerprint) for job in jobs}
    found = _attempts(connection, keys) if keys else {}
    answered: dict[int, str] = {}
    for job in jobs:
        for state, attempt in found.get((job.job_id, job.payload.fingerprint), ()):
            serves = same_model(job.model, attempt.model) and not (serving.whole and attempt.was_cut_off)
            if state == AttemptState.SUCCEEDED and serves:
                answered[job.row_number] = attempt.attempt_id
    return answered


def paid_before(
    connection: Connection, jobs: Sequence[Job], ended: Mapping[int, EndedJob], serving: KeptAnswers
) -> dict[int, str]:
    """The attempt that was paid for before and answers each job, by row, whatever was decided about it since.

    The answer to an edit of it comes first: it was asked for later.

    Args:
        connection: the caller's transaction.
        jobs: the jobs, ended ones included.
        ended: those that are decided about, by row.
        serving: which answers do.
    """
    own = answers(connection, jobs, serving)
    undecided = [job for job in jobs if job.row_number not in own.keys() | ended.keys()]
    of_edits = {number for number, end in ended.items() if end.attempt_id}
    paid = own | answers_of_others(connection, undecided, serving)
    return {number: attempt for number, attempt in paid.items() if number not in of_edits}


def answers_of_others(connection: Connection, jobs: Sequence[Job], serving: KeptAnswers) -> dict[int, str]:
    """The attempt whose kept answer serves each job, by row, though another job with the same payload was sent.

    A job with an attempt of its own that is in flight or may have been billed goes by that one.

    Args:
        connection: the caller's transaction.
        jobs: jobs that have no answer of their own.
        serving: which answers do.
    """
    if not serving.of_others or not jobs:
        return {}
    offered: dict[str, list[_Offer]] = {}
    fingerprints = {job.payload.fingerprint for job in jobs}
    for offer in (*_remembered(connection, jobs), *_offers(connection, fingerprints, serving)):
        offered.setdefault(offer.fingerprint, []).append(offer)
    wanting = [job for job in jobs if job.payload.fingerprint in offered]
    own = _attempts(connection, {(job.job_id, job.payload.fingerprint) for job in wanting}) if wanting else {}
    doubtful = {
        key for key, found in own.items() if any(state != AttemptState.SUCCEEDED for state, _ in found)
    }
    answered: dict[int, str] = {}
    for job in wanting:
        if (job.job_id, job.payload.fingerprint) in doubtful:
            continue
        for offer in offered[job.payload.fingerprint]:
            in_reach = offer.group_name == job.group or not serving.same_group
            of_job = offer.job_id in (None, job.job_id) and not (serving.whole and offer.was_cut_off)
            if of_job and in_reach and same_model(job.model, offer.model):
                answered[job.row_number] = offer.attempt_id
    return answered


class _Offer(NamedTuple):
    """The last kept answer to a payload under one model, of one group where that matters.

    Attributes:
        job_id: the job that it serves; None: any with the payload.
    """

    fingerprint: str
    model: str
    group_name: str | None
    attempt_id: str
    stop_reason: str | None
    job_id: str | None = None

    @property
    def was_cut_off(self) -> bool:
        """Whether its max_tokens cut it off."""
        return self.stop_reason == CUT_OFF


def _remembered(connection: Connection, jobs: Sequence[Job]) -> list[_Offer]:
    """What jobs were answered with before, by sharing: it serves them also when the answer itself is pruned."""
    shared = SharedAnswerRow
    given = given_keys(connection, {(job.job_id, job.payload.fingerprint) for job in jobs})
    query = (
        select(
            shared.fingerprint,
            AttemptRow.model,
            AttemptRow.group_name,
            AttemptRow.attempt_id,
            AttemptRow.stop_reason,
            shared.job_id,
        )
        .join(AttemptRow, AttemptRow.attempt_id == shared.attempt_id)
        .join(given, (shared.job_id == given.c.job_id) & (shared.fingerprint == given.c.fingerprint))
        .where(AttemptRow.state == AttemptState.SUCCEEDED)
        .order_by(AttemptRow.ended_at, AttemptRow.attempt_id)
    )
    return [_Offer(*row) for row in connection.execute(query)]


def _offers(connection: Connection, fingerprints: Collection[str], serving: KeptAnswers) -> list[_Offer]:
    """The answers to payloads that were not pruned, one for each model: attempts at one payload may be many."""
    one_of: list[Any] = [AttemptRow.fingerprint, AttemptRow.model]
    if serving.same_group:
        one_of.append(func.coalesce(AttemptRow.group_name, ""))
    newest = func.row_number().over(
        partition_by=one_of, order_by=(AttemptRow.ended_at.desc(), AttemptRow.attempt_id)
    )
    found = (
        select(
            AttemptRow.fingerprint,
            AttemptRow.model,
            AttemptRow.group_name,
            AttemptRow.attempt_id,
            AttemptRow.stop_reason,
            newest.label("place"),
        )
        .join(ResponseRow, ResponseRow.attempt_id == AttemptRow.attempt_id)
        .where(
            AttemptRow.fingerprint.in_(fingerprints),
            AttemptRow.state == AttemptState.SUCCEEDED,
            ~_was_pruned(),
        )
    )
    if serving.whole:
        found = found.where(AttemptRow.stop_reason.is_distinct_from(CUT_OFF))
    ranked = found.subquery()
    columns = ("fingerprint", "model", "group_name", "attempt_id", "stop_reason")
    query = select(*(ranked.c[name] for name in columns))
    rows = connection.execute(query.where(ranked.c.place == 1).order_by(ranked.c.model))
    return [_Offer(*row) for row in rows]


def _was_pruned() -> ColumnElement[bool]:
    """Whether an attempt was sent without the oldest turns of its job: its answer is none to the whole payload."""
    return exists().where(
        FittedJobRow.run_id == AttemptRow.run_id,
        FittedJobRow.row_number == AttemptRow.row_number,
        FittedJobRow.how == Fitting.PRUNED,
    )


#: why a job that was answered before is paid for again, the first that is true
_CHANGES = ("pinned to another model", "with another max_tokens", "with another request")


def changed_since(connection: Connection, jobs: Sequence[QueuedJob]) -> dict[int, str]:
    """Why jobs that were answered before would be paid for again, by row; those that were never answered are left out."""
    query = select(AttemptRow.job_id, AttemptRow.fingerprint, AttemptRow.max_tokens).where(
        AttemptRow.job_id.in_([job.job_id for job in jobs]), SUCCEEDED
    )
    by_id: dict[str, list[tuple[str, int]]] = {}
    for job_id, fingerprint, max_tokens in connection.execute(query):
        by_id.setdefault(job_id, []).append((fingerprint, max_tokens))
    changed: dict[int, str] = {}
    for job in jobs:
        if found := by_id.get(job.job_id):
            if any(fingerprint == job.fingerprint for fingerprint, _ in found):
                change = 0
            else:
                change = 1 if any(tokens != job.max_tokens for _, tokens in found) else 2
            changed[job.row_number] = _CHANGES[change]
    return changed


def paid_again(ledger: Ledger, run_id: RunId) -> dict[str, int]:
    """Jobs of a run that were answered before and are to be paid for again: what changed, and how many of them."""
    changed = case(
        (AttemptRow.fingerprint == JobRow.fingerprint, 0),
        (AttemptRow.max_tokens != JobRow.max_tokens, 1),
        else_=2,
    )
    # it is weighed, and then waits for a person
    waits = and_(
        AttemptRow.fingerprint == JobRow.fingerprint,
        func.coalesce(JobRow.pinned_model, AttemptRow.model) == AttemptRow.model,
    )
    of_job = (
        select(func.min(changed).label("changed"))
        .select_from(JobRow)
        .join(AttemptRow, (AttemptRow.job_id == JobRow.job_id) & SUCCEEDED)
        .where(JobRow.run_id == run_id, JobRow.outcome.is_(None), JobRow.attempt_id.is_(None), ~waits)
        .group_by(JobRow.row_number)
        .subquery()
    )
    query = select(of_job.c.changed, func.count()).group_by(of_job.c.changed).order_by(of_job.c.changed)
    with ledger.read() as connection:
        return {_CHANGES[change]: number for change, number in connection.execute(query)}
