"""The vocabulary of reviews: every status is in its groups, every verb has its way, and an edit knows whether it fits."""

import pytest

from schemas.outcome import (
    DECIDED_STATUSES,
    FINAL_STATUSES,
    LETS_PASS,
    OPEN_STATUSES,
    Method,
    ReviewStatus,
)
from schemas.review import EditEstimate
from schemas.review_tables import REVIEW_STATUSES
from schemas.transitions import TRANSITIONS, Verb, Who


def test_every_status_is_open_final_or_rejected():
    assert sorted([*OPEN_STATUSES, *FINAL_STATUSES, ReviewStatus.REJECTED]) == sorted(ReviewStatus)
    assert set(DECIDED_STATUSES) == {*LETS_PASS, ReviewStatus.REJECTED}
    assert tuple(ReviewStatus) == REVIEW_STATUSES


def test_every_verb_has_its_transition_and_no_person_does_what_a_run_does():
    assert set(TRANSITIONS) == set(Verb)
    for verb, transition in TRANSITIONS.items():
        by_a_run = verb in (Verb.PARK, Verb.CLOSE, Verb.EXPIRE)
        assert {who == Who.A_RUN for who in transition.open_to.values()} == {by_a_run}


def test_nobody_decides_about_what_another_has_claimed():
    for verb in (Verb.APPROVE, Verb.REJECT, Verb.EDIT, Verb.CLAIM, Verb.RELEASE):
        assert TRANSITIONS[verb].open_to[ReviewStatus.CLAIMED] == Who.CLAIMER


@pytest.mark.parametrize(
    ("limit_tokens", "limit", "fits"),
    [(None, None, True), (7, 70, True), (6, None, False), (None, 69, False), (6, 70, False), (7, 69, False)],
)
def test_an_edit_fits_when_it_is_within_both_limits(limit_tokens, limit, fits):
    estimate = EditEstimate("m", 7, Method.COUNTED, 70, limit_tokens, limit)
    assert estimate.fits is fits
