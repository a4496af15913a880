"""Jobs that were brought within a budget, on record: what was done, and what is sent of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, func, select, update

from schemas.fitted_job import FittedJob, Fitting
from schemas.job import RunId
from schemas.ledger import JobRow, PayloadRow
from schemas.saving_tables import FittedJobRow
from services.ledger.store import Ledger, upsert

_FIGURES = (
    "how", "fingerprint", "model_before", "model", "turns_before", "turns", "input_tokens_before", "input_tokens",
    "expected_before_nano_usd", "expected_nano_usd",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FittedSum:
    """The jobs of a run that went out within a budget by one means.

    Attributes:
        jobs: how many.
        turns: dropped, together.
        input_tokens: by how many they became lighter, together.
        expected: by how many nano-USD they are expected to cost less, as far as they had a price before.
    """

    how: Fitting
    jobs: int
    turns: int
    input_tokens: int
    expected: int


def add(connection: Connection, run_id: RunId, fits: Sequence[FittedJob]) -> None:
    """Put on record how jobs were brought within their budgets, and what is sent of them, in the caller's transaction.

    A job keeps its own fingerprint, so that later runs find its answer; its own payload stays until it has ended.
    """
    if not fits:
        return
    statement = upsert(connection, FittedJobRow)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["run_id", "row_number"],
            set_={name: statement.excluded[name] for name in _FIGURES},
        ),
        [_row(run_id, one) for one in fits],
    )
    pruned = [one for one in fits if one.how is Fitting.PRUNED]
    if not pruned:
        return
    connection.execute(
        update(PayloadRow)
        .where(PayloadRow.run_id == run_id, PayloadRow.row_number == bindparam("r_row_number"))
        .values(pruned_body=bindparam("v_body")),
        [{"r_row_number": one.row_number, "v_body": one.payload.text.decode()} for one in pruned],
    )
    connection.execute(
        update(JobRow)
        .where(JobRow.run_id == run_id, JobRow.row_number == bindparam("r_row_number"))
        .values(traits=bindparam("v_traits"), cache_ttl=bindparam("v_cache_ttl")),
        [
            {
                "r_row_number": one.row_number,
                "v_traits": one.payload.traits.as_json(),
                "v_cache_ttl": one.payload.cache_ttl,
            }
            for one in pruned
        ],
    )


def _row(run_id: RunId, one: FittedJob) -> dict[str, object]:
    return {
        "run_id": run_id,
        "row_number": one.row_number,
        "how": one.how,
        "fingerprint": one.payload.fingerprint,
        "model_before": one.before.model,
        "model": one.estimate.model,
        "turns_before": one.turns_before,
        "turns": one.turns,
        "input_tokens_before": one.before.input_tokens,
        "input_tokens": one.estimate.input_tokens,
        "expected_before_nano_usd": one.before.expected,
        "expected_nano_usd": one.estimate.expected,
    }


def sums(ledger: Ledger, run_id: RunId) -> list[FittedSum]:
    """What being brought within their budgets came to for the jobs of a run that went out so."""
    less = func.coalesce(FittedJobRow.expected_before_nano_usd - FittedJobRow.expected_nano_usd, 0)
    query = (
        select(
            FittedJobRow.how,
            func.count(),
            func.sum(FittedJobRow.turns_before - FittedJobRow.turns),
            func.sum(FittedJobRow.input_tokens_before - FittedJobRow.input_tokens),
            func.sum(less),
        )
        .join(
            JobRow,
            and_(JobRow.run_id == FittedJobRow.run_id, JobRow.row_number == FittedJobRow.row_number),
        )
        .where(FittedJobRow.run_id == run_id, JobRow.attempt_id.is_not(None))
        .group_by(FittedJobRow.how)
        .order_by(FittedJobRow.how)
    )
    with ledger.read() as connection:
        return [
            FittedSum(Fitting(how), *(int(value) for value in rest))
            for how, *rest in connection.execute(query)
        ]
