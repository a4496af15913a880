"""Lessons: estimates compared with bills, as far as both are whole, for the estimates to come."""

from datetime import datetime
from functools import cached_property

from sqlalchemy import ColumnElement, and_, or_, select

from rules.lesson import Lesson, LessonKey, Observation, Tally, Taught, lesson
from rules.usage_alarm import is_far_off
from schemas.job import RunId
from schemas.ledger import AttemptRow
from schemas.outcome import Billing, Method
from schemas.payload.traits import PayloadClass
from schemas.policy_sections import Margin
from services.ledger.store import Ledger
from services.ledger.written_out import SUCCEEDED

#: a signed error means something only where the provider counted and the usage says all that was billed
COMPLETE = and_(
    AttemptRow.method == Method.COUNTED,
    or_(AttemptRow.billing.is_(None), AttemptRow.billing == Billing.FULL),
    AttemptRow.input_tokens > 0,
    AttemptRow.actual_input_tokens.is_not(None),
    AttemptRow.actual_output_tokens.is_not(None),
)
#: the provider counted all of it, and billed for it
_COMPARABLE = and_(
    AttemptRow.method == Method.COUNTED,
    AttemptRow.billing.is_distinct_from(Billing.NOT_BILLED),
    AttemptRow.actual_input_tokens.is_not(None),
    AttemptRow.actual_output_tokens.is_not(None),
)
_FIGURES = (
    AttemptRow.input_tokens,
    AttemptRow.actual_input_tokens,
    AttemptRow.actual_output_tokens,
    AttemptRow.max_tokens,
    AttemptRow.thinking_tokens,
)


def observed(
    ledger: Ledger, key: LessonKey, before: datetime, most: int, *also: ColumnElement[bool]
) -> Tally:
    """The last answers of one kind that ended before a moment, so that whoever asks again learns the same.

    Args:
        ledger: the ledger.
        key: the model, the class of payloads and the effort.
        before: only answers that ended before it.
        most: at most this many answers.
        also: only answers of which all of this holds, too.
    """
    query = (
        select(*_FIGURES)
        .where(
            SUCCEEDED,
            AttemptRow.model == key.model,
            AttemptRow.payload_class == key.payload_class,
            AttemptRow.effort == key.effort,  # of none: IS NULL
            AttemptRow.ended_at < before,
            COMPLETE,
            *also,
        )
        # the effort is one; named here, its index gives the order for an effort that is null, too
        .order_by(AttemptRow.effort.desc(), AttemptRow.ended_at.desc())
        .limit(most)
    )
    with ledger.read() as connection:
        return Tally(Observation(*row) for row in connection.execute(query))


def observed_way(ledger: Ledger, key: LessonKey, budget: int | None, before: datetime, most: int) -> Tally:
    """The last answers at one way to think that ended before a moment.

    Args:
        ledger: the ledger.
        key: the model, the class of payloads and the effort.
        budget: where no effort is named, only answers at this thinking budget, in tokens; None: at none.
        before: only answers that ended before it.
        most: at most this many answers.
    """
    if key.effort is not None:
        return observed(ledger, key, before, most)
    return observed(ledger, key, before, most, AttemptRow.thinking_budget == budget)


class Lessons:
    """What was learned before a moment, by model, class of payload and effort; each lesson is read once.

    Args:
        ledger: where the bills are.
        before: the moment: the beginning of a run, or now, for an edit.
        margin: the policy's.
    """

    def __init__(self, ledger: Ledger, before: datetime, margin: Margin) -> None:
        self._ledger, self._before, self._margin = ledger, before, margin
        self._read: dict[LessonKey, Lesson] = {}

    def of(self, key: LessonKey) -> Lesson:
        """The lesson about one model, one class of payloads and one effort."""
        if key not in self._read:
            seen = Tally()
            if self._are_there:
                seen = observed(self._ledger, key, self._before, self._margin.last_answers)
            self._read[key] = lesson(key, seen, self._margin)
        return self._read[key]

    @cached_property
    def _are_there(self) -> bool:
        """Whether there is any answer: a new ledger has none of some hundred kinds."""
        with self._ledger.read() as connection:
            query = select(AttemptRow.attempt_id).where(SUCCEEDED).limit(1)
            return connection.execute(query).first() is not None


def of_run(ledger: Ledger, run_id: RunId) -> dict[LessonKey, Taught]:
    """What a run saw of each kind that it paid for."""
    taught: dict[LessonKey, Taught] = {}
    query = (
        select(
            AttemptRow.model,
            AttemptRow.payload_class,
            AttemptRow.effort,
            COMPLETE.label("complete"),
            AttemptRow.input_bound,
            _COMPARABLE.label("comparable"),
            *_FIGURES,
        )
        .where(AttemptRow.run_id == run_id, SUCCEEDED)
        .order_by(AttemptRow.model, AttemptRow.payload_class, AttemptRow.effort)
    )
    with ledger.read() as connection:
        rows = connection.execution_options(yield_per=1_000).execute(query)
        for model, kind, effort, complete, bound, comparable, *figures in rows:
            seen = taught.setdefault(LessonKey(model, PayloadClass(kind), effort), Taught())
            seen.jobs += 1
            seen.over_bound += (figures[1] or 0) > bound
            if comparable:
                _compare(seen, bound, *figures[:4])
            if complete:
                seen.tally.add(Observation(*figures))
            else:
                seen.left_out += 1
    return taught


def _compare(seen: Taught, bound: int, counted: int, billed: int, output: int, max_tokens: int) -> None:
    """Add to what a run saw how an answer's usage has nothing to do with what was asked."""
    if counted and not billed:
        seen.without_input += 1
    else:
        seen.far_off += is_far_off(counted, billed, bound)
    seen.over_output += output > max_tokens
