"""Observations: estimates beside bills, as far as both are whole, for the lessons of the next run."""

from sqlalchemy import and_, literal_column, or_, select

from rules.lesson import LessonKey, Observation, Tally, Taught
from schemas.job import RunId
from schemas.ledger import AttemptRow, RunRow
from schemas.outcome import Billing, Method
from schemas.payload.traits import PayloadClass
from services.ledger.store import Ledger

#: written out, because a database uses an index of some rows only for a condition that it can read
_SUCCEEDED = AttemptRow.state == literal_column("'succeeded'")
#: a signed error means something only where the provider counted and the usage says all that was billed
COMPLETE = and_(
    AttemptRow.method == Method.COUNTED,
    or_(AttemptRow.billing.is_(None), AttemptRow.billing == Billing.FULL),
    AttemptRow.input_tokens > 0,
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


def latest(ledger: Ledger, run_id: RunId, kind: LessonKey, most: int) -> Tally:
    """The last answers of one kind before a run began, so that a run taken over later learns the same.

    Args:
        ledger: the ledger.
        run_id: the run that learns.
        kind: the model and the class of payloads.
        most: at most so many answers.
    """
    model, payload_class = kind
    began = select(RunRow.started_at).where(RunRow.run_id == run_id).scalar_subquery()
    query = (
        select(*_FIGURES)
        .where(
            _SUCCEEDED,
            AttemptRow.model == model,
            AttemptRow.payload_class == payload_class,
            AttemptRow.ended_at < began,
            COMPLETE,
        )
        .order_by(AttemptRow.ended_at.desc())
        .limit(most)
    )
    with ledger.read() as connection:
        return Tally(Observation(*row) for row in connection.execute(query))


def of_run(ledger: Ledger, run_id: RunId) -> dict[LessonKey, Taught]:
    """What a run saw of each kind that it paid for."""
    taught: dict[LessonKey, Taught] = {}
    query = (
        select(
            AttemptRow.model,
            AttemptRow.payload_class,
            COMPLETE.label("complete"),
            AttemptRow.input_bound,
            *_FIGURES,
        )
        .where(AttemptRow.run_id == run_id, _SUCCEEDED)
        .order_by(AttemptRow.model, AttemptRow.payload_class)
    )
    with ledger.read() as connection:
        for model, kind, complete, bound, *figures in connection.execution_options(yield_per=1_000).execute(
            query
        ):
            seen = taught.setdefault((model, PayloadClass(kind)), Taught())
            seen.jobs += 1
            seen.over_bound += (figures[1] or 0) > bound
            if complete:
                seen.tally.add(Observation(*figures))
            else:
                seen.left_out += 1
    return taught
