"""Leaving: the one way out. An attempt is on record as sent before its first byte leaves, and leaves once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, tuple_, update

from schemas.budget import DayCaps
from schemas.job import AttemptId
from schemas.ledger import AttemptRow
from schemas.outcome import AttemptState, Ending
from schemas.run import RunKey
from services.ledger.leases import is_owned
from services.ledger.pages import pages
from services.ledger.reviews.standing import taken_back
from services.ledger.windows import move_to_today, one_at_a_time


class LeftBefore(Exception):  # noqa: N818 - reads as what it is where it is caught
    """An attempt has left already, or has ended, by another delivery of the same work: it must not leave again."""

    def __init__(self, attempt_id: str) -> None:
        super().__init__(f"{attempt_id} has left or ended by another delivery")


class Leaving(NamedTuple):
    """What becomes of attempts that are about to leave; of those in none of the four the run is not the owner.

    Attributes:
        marked: may leave now.
        staying: today's windows have no room for them.
        gone: have left or ended before.
        taken_back: people do not let them pass any more, and how their jobs end.
    """

    marked: set[AttemptId]
    staying: set[AttemptId]
    gone: set[AttemptId]
    taken_back: dict[AttemptId, Ending]


def record_leaving(
    connection: Connection, run: RunKey, attempts: Sequence[AttemptId], today: DayCaps, sent_by: str
) -> Leaving:
    """Put on record that attempts are about to leave, each once unless it came back unbilled; see `record_back`.

    This is the only way out, for single calls and for batches. The statement that marks attempts asks for the owner's
    token, so that a run which was taken over lets no byte leave, and that nobody let them leave before, so that work
    which is delivered twice is paid for once. Who marks them may mark them again: its first transaction may have gone
    through without an answer. Of those that it marks, the ones that people do not let pass any more, and the ones that
    today's windows have no room for, are unmarked again; what was held on another day moves to today's windows.

    Args:
        connection: the caller's transaction.
        run: the run, with its owner's token.
        attempts: of the run.
        today: the day on which they leave, and its caps.
        sent_by: a token of the caller, which lets each of the attempts leave at most once by it.
    """
    if not attempts:
        return Leaving(set(), set(), set(), {})
    one_at_a_time(connection)
    marked = _marked(connection, run, attempts, sent_by)
    # asked of these only: one that has left by another delivery was sent, whatever people say by now
    not_let = taken_back(connection, sorted(marked))
    in_order = [one for one in attempts if one in marked and one not in not_let]
    staying = move_to_today(connection, in_order, today)
    for page in pages([*not_let, *staying]):
        of_page = AttemptRow.attempt_id.in_(page)
        connection.execute(update(AttemptRow).where(of_page).values(sent_at=None, sent_by=None))
    gone = set(attempts) - marked
    if gone and not connection.scalar(select(is_owned(run))):
        gone = set()
    return Leaving(marked - staying - not_let.keys(), staying, gone, not_let)


def _marked(
    connection: Connection, run: RunKey, attempts: Sequence[AttemptId], sent_by: str
) -> set[AttemptId]:
    """Mark those of some attempts that have not left as leaving, for the owner of their run."""
    marked: set[AttemptId] = set()
    for page in pages(attempts):
        leave = (
            update(AttemptRow)
            .where(
                AttemptRow.attempt_id.in_(page),
                AttemptRow.run_id == run.run_id,
                AttemptRow.state == AttemptState.OPEN,
                AttemptRow.sent_at.is_(None) | (AttemptRow.sent_by == sent_by),
                is_owned(run),
            )
            .values(sent_at=datetime.now(UTC), sent_by=sent_by)
            .returning(AttemptRow.attempt_id)
        )
        marked.update(AttemptId(one) for one in connection.scalars(leave))
    return marked


def record_back(
    connection: Connection, run: RunKey, came_back: Sequence[tuple[AttemptId, str]]
) -> set[AttemptId]:
    """Put on record that attempts came back without having been billed, so that they stand as if they had never left.

    Args:
        connection: the caller's transaction.
        run: the run, with its owner's token.
        came_back: attempts, each with the token that it left by.

    Returns:
        Those that may leave again: open, of this owner, and not let go by another delivery meanwhile.
    """
    if not came_back:
        return set()
    one_at_a_time(connection)
    stands = (AttemptRow.run_id == run.run_id, AttemptRow.state == AttemptState.OPEN, is_owned(run))
    left_by = tuple_(AttemptRow.attempt_id, AttemptRow.sent_by).in_(came_back)
    connection.execute(update(AttemptRow).where(left_by, *stands).values(sent_at=None, sent_by=None))
    ids = [attempt_id for attempt_id, _ in came_back]
    query = select(AttemptRow.attempt_id).where(
        AttemptRow.attempt_id.in_(ids), AttemptRow.sent_at.is_(None), *stands
    )
    return {AttemptId(one) for one in connection.scalars(query)}
