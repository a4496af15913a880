"""Rows that are not done with: all but those that were answered, wait for a person, or were rejected and nobody minds."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from schemas.ledger import JobRow
from services.ledger import rows_left as module
from services.ledger.rows_left import rows_left
from tests.ledgers import started

NOW = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "reason", "is_left"),
    [
        (None, None, True),
        ("succeeded", None, False),
        ("review", "over_limit", False),
        ("deferred", "run_budget", True),
        ("failed", "no_answer", True),
        ("unknown", "no_answer", True),
        ("rejected", "invalid_row", True),
        ("rejected", "refused_by_api", True),
        ("rejected", "rejected_by_reviewer", False),
    ],
)
def test_a_row_is_left_while_another_run_or_a_person_has_to_do_something(ledger, outcome, reason, is_left):
    started(ledger, 3)
    with ledger.write() as connection:
        connection.execute(update(JobRow).values(outcome="succeeded"))
        one = update(JobRow).where(JobRow.row_number == 1)
        connection.execute(one.values(outcome=outcome, reason=reason))
    assert list(rows_left(ledger, "run-1")) == ([1] if is_left else [])


def test_a_rejected_row_that_is_known_is_not_left(ledger, monkeypatch):
    started(ledger, 3)
    with ledger.write() as connection:
        connection.execute(update(JobRow).values(outcome="rejected", reason="invalid_row"))
    monkeypatch.setattr(module, "known_rejects", lambda *_: {0: NOW, 2: NOW})
    assert list(rows_left(ledger, "run-1")) == [1]
