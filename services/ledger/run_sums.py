"""Sums of a run, and its rows one by one, for its report and its results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, case, func, select

from rules.endings import LEFT_UNANSWERED
from schemas.attempt import NothingSum, PaidAttempt
from schemas.budget import Window, windows_of
from schemas.job import RunId
from schemas.ledger import AttemptRow, BudgetRow, JobRow, ResponseRow
from schemas.outcome import AttemptState, Billing, Outcome, Reason, Scope
from schemas.usage import CUT_OFF, REFUSED
from services.ledger.payers import paying_groups
from services.ledger.shared_answers import cost_of_row
from services.ledger.store import Ledger

_SUCCEEDED = AttemptRow.state == AttemptState.SUCCEEDED


@dataclass(frozen=True, slots=True)
class ModelSums:
    """One model's paid attempts of one run: tokens, and nano-USD.

    Attributes:
        expected_low, expected_high: over those whose output was expected by what was observed.
        assumed: those whose output was assumed.
        over_bound: those billed above the bound their hold was priced at.
        partial: those whose usage does not say all that was billed.
    """

    model: str
    jobs: int
    estimated_input: int
    actual_input: int
    actual_output: int
    worst_case: int
    expected: int
    expected_low: int
    expected_high: int
    actual: int
    assumed: int
    over_bound: int
    partial: int


@dataclass(frozen=True, slots=True)
class ReasonSum:
    """How many rows of a run ended so for one reason, and the first of them."""

    outcome: str
    reason: str
    jobs: int
    first_row: int
    example_job_id: str | None = None
    example_detail: str | None = None


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """A succeeded row with its answer, whichever run paid for it.

    Attributes:
        cost: nano-USD; 0 where the answer to another job is shared.
        body: the answer's JSON; None when history was pruned. What is known of the attempt is None when it was
            forgotten.
        kept: texts of its input row, by column; None: none were kept.
    """

    row_number: int
    job_id: str
    attempt_id: str | None
    run_id: str | None
    model: str | None
    stop_reason: str | None
    actual_input_tokens: int | None
    actual_output_tokens: int | None
    cost: int | None
    body: str | None
    kept: dict[str, str | None] | None


@dataclass(frozen=True, slots=True)
class UnansweredRow:
    """A row without an answer, why, and the texts that are kept of it."""

    row_number: int
    job_id: str | None
    outcome: str
    reason: str | None
    detail: str | None
    kept: dict[str, str | None] | None


def rows_by_outcome(ledger: Ledger, run_id: RunId) -> dict[str | None, int]:
    """Rows by outcome; the key None counts rows that have none yet."""
    query = select(JobRow.outcome, func.count()).where(JobRow.run_id == run_id).group_by(JobRow.outcome)
    with ledger.read() as connection:
        return {outcome: count for outcome, count in connection.execute(query)}  # noqa: C416 - a Row is no tuple


def carried(ledger: Ledger, run_id: RunId) -> int:
    """Succeeded rows that an earlier run had paid for."""
    query = (
        select(func.count())
        .select_from(JobRow)
        .join(AttemptRow, AttemptRow.attempt_id == JobRow.attempt_id)
        .where(JobRow.run_id == run_id, JobRow.outcome == Outcome.SUCCEEDED, AttemptRow.run_id != run_id)
    )
    with ledger.read() as connection:
        return connection.scalar(query) or 0


def by_model(ledger: Ledger, run_id: RunId) -> list[ModelSums]:
    """Sums over the attempts this run paid for, by model."""
    query = (
        select(
            AttemptRow.model,
            func.count(),
            func.sum(AttemptRow.input_tokens),
            func.sum(func.coalesce(AttemptRow.actual_input_tokens, 0)),
            func.sum(func.coalesce(AttemptRow.actual_output_tokens, 0)),
            func.sum(AttemptRow.worst_case_nano_usd),
            func.sum(AttemptRow.expected_nano_usd),
            func.sum(func.coalesce(AttemptRow.expected_low_nano_usd, 0)),
            func.sum(func.coalesce(AttemptRow.expected_high_nano_usd, 0)),
            func.sum(AttemptRow.actual_nano_usd),
            func.sum(case((AttemptRow.expected_low_nano_usd.is_(None), 1), else_=0)),
            func.sum(case((AttemptRow.actual_input_tokens > AttemptRow.input_bound, 1), else_=0)),
            func.sum(case((func.coalesce(AttemptRow.billing, Billing.FULL) != Billing.FULL, 1), else_=0)),
        )
        .where(AttemptRow.run_id == run_id, _SUCCEEDED)
        .group_by(AttemptRow.model)
        .order_by(AttemptRow.model)
    )
    with ledger.read() as connection:
        return [ModelSums(row[0], *(int(value) for value in row[1:])) for row in connection.execute(query)]


def held(ledger: Ledger, run_id: RunId) -> int:
    """Nano-USD that attempts of this run still hold."""
    query = select(func.sum(AttemptRow.held_nano_usd)).where(AttemptRow.run_id == run_id)
    with ledger.read() as connection:
        return int(connection.scalar(query) or 0)


def bought_nothing(ledger: Ledger, run_id: RunId) -> list[NothingSum]:
    """Sums over the attempts of a run that brought no whole answer: of unknown ones what they hold, else what they cost.

    An item that its batch left, expired or cancelled, was never answered and is not among them, nor what never left.
    """
    left_by_batch = (
        select(JobRow.row_number)
        .where(
            JobRow.attempt_id == AttemptRow.attempt_id,
            JobRow.reason.in_((Reason.BATCH_EXPIRED, Reason.BATCH_CANCELED)),
        )
        .exists()
    )
    # a job that was queued again does not say it any more
    left = left_by_batch | func.coalesce(AttemptRow.error, "").endswith(LEFT_UNANSWERED)
    errored = (AttemptRow.state == AttemptState.FAILED) & AttemptRow.sent_at.is_not(None) & ~left
    billed = AttemptRow.billing.is_distinct_from(Billing.NOT_BILLED)
    kind = case(
        (AttemptRow.state == AttemptState.UNKNOWN, "unknown"),
        (_SUCCEEDED & (AttemptRow.stop_reason == CUT_OFF), "cut_off"),
        (_SUCCEEDED & (AttemptRow.stop_reason == REFUSED) & billed, "refused"),
        (errored, "errored"),
    )
    cost = case(
        (AttemptRow.state == AttemptState.UNKNOWN, AttemptRow.held_nano_usd),
        else_=func.coalesce(AttemptRow.actual_nano_usd, 0),
    )
    found = (
        select(
            kind.label("kind"),
            AttemptRow.model,
            AttemptRow.payload_class,
            AttemptRow.effort,
            AttemptRow.row_number,
            cost.label("cost"),
        )
        .where(AttemptRow.run_id == run_id)
        .subquery()
    )
    key = (found.c.kind, found.c.model, found.c.payload_class, found.c.effort)
    query = (
        select(*key, func.count(found.c.row_number.distinct()), func.sum(found.c.cost))
        .where(found.c.kind.is_not(None))
        .group_by(*key)
        .order_by(*key)
    )
    with ledger.read() as connection:
        return [
            NothingSum(
                kind=kind, model=model, payload_class=payload_class, jobs=jobs, cost=int(nano), effort=effort
            )
            for kind, model, payload_class, effort, jobs, nano in connection.execute(query)
        ]


def for_deadline(ledger: Ledger, run_id: RunId) -> tuple[int, int]:
    """Attempts that a run paid for at full price because its answers were due: how many, and nano-USD together."""
    query = select(func.count(), func.sum(AttemptRow.actual_nano_usd)).where(
        AttemptRow.run_id == run_id, AttemptRow.deadline.is_not(None), _SUCCEEDED
    )
    with ledger.read() as connection:
        number, nano = connection.execute(query).one()
    return number, int(nano or 0)


def over_holds(ledger: Ledger, run_id: RunId) -> tuple[int, int]:
    """Attempts of a run that were billed above their worst case: how many, and by how many nano-USD together."""
    excess = AttemptRow.actual_nano_usd - AttemptRow.worst_case_nano_usd
    query = select(func.count(), func.sum(excess)).where(AttemptRow.run_id == run_id, excess > 0)
    with ledger.read() as connection:
        number, nano = connection.execute(query).one()
    return number, int(nano or 0)


def settled_in_windows(ledger: Ledger, run_id: RunId) -> dict[Window, int]:
    """Nano-USD settled in each window that attempts of a run fall under, by whomever."""
    with ledger.read() as connection:
        windows = {
            window
            for day, group, deadline in paying_groups(connection, AttemptRow.run_id == run_id)
            for window in windows_of(run_id, day, group, deadline=deadline)
        }
        query = select(
            BudgetRow.scope, BudgetRow.period, BudgetRow.group_name, BudgetRow.settled_nano_usd
        ).where(BudgetRow.period.in_({window.period for window in windows}))
        rows = connection.execute(query).all()
    settled = {Window(Scope(scope), period, group): nano for scope, period, group, nano in rows}
    return {window: settled[window] for window in sorted(windows) if window in settled}


def by_reason(ledger: Ledger, run_id: RunId) -> list[ReasonSum]:
    """Rows that did not succeed, by outcome and reason, each with the id and detail of the first."""
    query = (
        select(JobRow.outcome, JobRow.reason, func.count(), func.min(JobRow.row_number))
        .where(JobRow.run_id == run_id, JobRow.outcome != Outcome.SUCCEEDED)
        .group_by(JobRow.outcome, JobRow.reason)
        .order_by(JobRow.outcome, func.count().desc())
    )
    with ledger.read() as connection:
        sums = connection.execute(query).all()
        firsts = select(JobRow.row_number, JobRow.job_id, JobRow.detail).where(
            JobRow.run_id == run_id, JobRow.row_number.in_([first for *_, first in sums])
        )
        examples = {number: (job_id, detail) for number, job_id, detail in connection.execute(firsts)}
    return [
        ReasonSum(outcome or "", reason or "", number, first, *examples[first])
        for outcome, reason, number, first in sums
    ]


def paid(ledger: Ledger, run_id: RunId) -> Iterator[PaidAttempt]:
    """Every attempt this run paid for, one row each, streamed."""
    query = (
        select(
            AttemptRow.attempt_id,
            AttemptRow.job_id,
            AttemptRow.model,
            AttemptRow.group_name,
            AttemptRow.payload_class,
            AttemptRow.method,
            func.coalesce(AttemptRow.billing, Billing.FULL).label("billing"),
            AttemptRow.service_tier,
            AttemptRow.input_tokens,
            AttemptRow.actual_input_tokens,
            AttemptRow.cache_write_tokens,
            AttemptRow.cache_write_1h_tokens,
            AttemptRow.cache_read_tokens,
            AttemptRow.actual_output_tokens,
            AttemptRow.web_searches,
            AttemptRow.inference_geo,
            AttemptRow.batch_id,
            AttemptRow.usage,
            AttemptRow.thinking_tokens,
            AttemptRow.expected_nano_usd,
            AttemptRow.expected_low_nano_usd,
            AttemptRow.expected_high_nano_usd,
            AttemptRow.worst_case_nano_usd,
            AttemptRow.actual_nano_usd,
        )
        .where(AttemptRow.run_id == run_id, _SUCCEEDED)
        .order_by(AttemptRow.row_number)
    )
    yield from (PaidAttempt(*row) for row in _streamed(ledger, query))


def answers(ledger: Ledger, run_id: RunId) -> Iterator[AnsweredRow]:
    """Every succeeded row of a run with its answer, whichever run paid for it, streamed.

    The answer is None when history was pruned; so is all that is known of the attempt, when it was forgotten.
    """
    query = (
        select(
            JobRow.row_number,
            JobRow.job_id,
            JobRow.attempt_id,
            AttemptRow.run_id,
            AttemptRow.model,
            AttemptRow.stop_reason,
            AttemptRow.actual_input_tokens,
            AttemptRow.actual_output_tokens,
            cost_of_row(),
            ResponseRow.body,
            JobRow.kept,
        )
        .outerjoin(AttemptRow, AttemptRow.attempt_id == JobRow.attempt_id)
        .outerjoin(ResponseRow, ResponseRow.attempt_id == JobRow.attempt_id)
        .where(JobRow.run_id == run_id, JobRow.outcome == Outcome.SUCCEEDED)
        .order_by(JobRow.row_number)
    )
    yield from (AnsweredRow(*row) for row in _streamed(ledger, query))


def unanswered(ledger: Ledger, run_id: RunId, outcomes: Sequence[Outcome]) -> Iterator[UnansweredRow]:
    """Rows of a run that ended as one of these outcomes, and why, in the order of the input, streamed."""
    query = (
        select(JobRow.row_number, JobRow.job_id, JobRow.outcome, JobRow.reason, JobRow.detail, JobRow.kept)
        .where(JobRow.run_id == run_id, JobRow.outcome.in_(outcomes))
        .order_by(JobRow.row_number)
    )
    yield from (UnansweredRow(*row) for row in _streamed(ledger, query))


def _streamed(ledger: Ledger, query: Select[Any]) -> Iterator[Any]:
    with ledger.read() as connection:
        yield from connection.execution_options(yield_per=1_000).execute(query)
