"""A decision counts for an attempt only when it was made after the attempt ended, on a review that said so."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from rules.informed_decision import was_informed
from schemas.outcome import AttemptState, Reason

ENDED = datetime(2026, 11, 1, tzinfo=UTC)
LATER = ENDED + timedelta(hours=1)


class Attempt(NamedTuple):
    ended_at: datetime | None = ENDED
    was_cut_off: bool = True


@pytest.mark.parametrize(
    ("state", "attempt", "reason", "decided_at", "informed"),
    [
        (AttemptState.UNKNOWN, Attempt(), Reason.UNKNOWN_OUTCOME, LATER, True),
        (AttemptState.UNKNOWN, Attempt(was_cut_off=False), Reason.UNKNOWN_OUTCOME, LATER, True),
        (AttemptState.SUCCEEDED, Attempt(), Reason.CUT_OFF, LATER, True),
        (AttemptState.SUCCEEDED, Attempt(was_cut_off=False), Reason.CUT_OFF, LATER, False),
        (AttemptState.UNKNOWN, Attempt(), Reason.OVER_COST_LIMIT, LATER, False),
        (AttemptState.UNKNOWN, Attempt(), Reason.CUT_OFF, LATER, False),
        (AttemptState.UNKNOWN, Attempt(), Reason.UNKNOWN_OUTCOME, ENDED, False),
        (AttemptState.UNKNOWN, Attempt(), Reason.UNKNOWN_OUTCOME, None, False),
        (AttemptState.UNKNOWN, Attempt(), None, None, False),
        (AttemptState.UNKNOWN, Attempt(ended_at=None), Reason.UNKNOWN_OUTCOME, LATER, False),
        (AttemptState.OPEN, Attempt(), Reason.UNKNOWN_OUTCOME, LATER, False),
    ],
)
def test_who_decided_knew_of_the_attempt(state, attempt, reason, decided_at, informed):
    assert was_informed(state, attempt, reason, decided_at) is informed
