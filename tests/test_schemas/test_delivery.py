"""What crosses the border to a worker: small, and the same on the other side."""

import pickle
from datetime import UTC, datetime

from schemas.delivery import Assignment, Delivered
from schemas.job import Shard
from schemas.outcome import Reason
from schemas.report import CallFigures
from schemas.run import Deadline, RunReference
from tests.strategies import policy

NOW = datetime(2026, 11, 27, 2, tzinfo=UTC)


def test_an_assignment_and_what_came_of_it_are_the_same_after_the_border_and_small():
    reference = RunReference(
        run_id="run-1",
        policy=policy(run={"budget_usd": "5", "runner": "processes"}),
        ledger_url="postgresql+psycopg://user:secret@host/ledger",
        results="/results",
        started_at=NOW,
        owner="token",
        deadline=Deadline(NOW, NOW),
    )
    sent = (
        Assignment(reference, "http://x", True, 2),
        Shard(1, 9),
        Delivered(3, CallFigures(count=4), Reason.ACCESS_DENIED, "why"),
    )
    written = pickle.dumps(sent)
    assert pickle.loads(written) == sent
    assert len(written) < 20_000
    assert "secret" not in repr(sent)
