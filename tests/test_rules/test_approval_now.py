"""Approval now: a job passes only by a review that lets pass what the run has read, and that has not lapsed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rules.approval_now import ApprovalNow, at_its_ceilings, ending_now
from schemas.money import NanoUsd
from schemas.outcome import LETS_PASS, Outcome, Reason, ReviewStatus
from tests.test_rules.test_scale import job

NOW = datetime(2026, 10, 8, tzinfo=UTC)
JOB = replace(job(), review_id=1, ceiling_tokens=10, ceiling=NanoUsd(10))
FINGERPRINTS = st.sampled_from([JOB.fingerprint, "of another payload", None])
APPROVALS = st.builds(
    ApprovalNow,
    status=st.sampled_from(ReviewStatus),
    reason=st.just(Reason.OVER_INPUT_LIMIT),
    detail=st.just("too heavy"),
    fingerprint=FINGERPRINTS,
    decided_by=st.just("ana"),
    expires_at=st.none() | st.sampled_from([NOW - timedelta(1), NOW, NOW + timedelta(1)]),
    ceiling_tokens=st.none() | st.integers(0, 9),
    ceiling=st.integers(0, 9).map(NanoUsd),
)


@given(APPROVALS)
def test_a_job_passes_by_an_approval_of_its_own_payload_that_holds_or_because_it_was_sent(approval):
    is_of_it = approval.fingerprint == JOB.fingerprint
    holds = approval.expires_at is None or approval.expires_at > NOW
    approved = approval.status in LETS_PASS and holds
    passes = is_of_it and (approved or approval.status is ReviewStatus.SENT)
    assert (ending_now(JOB.fingerprint, approval, NOW) is None) == passes


@given(APPROVALS)
def test_what_does_not_pass_ends_as_people_left_it(approval):
    ending = ending_now(JOB.fingerprint, approval, NOW)
    if ending is None:
        return
    if approval.status is ReviewStatus.REJECTED:
        assert ending.outcome is Outcome.REJECTED
    elif approval.status in (*LETS_PASS, ReviewStatus.SENT) and approval.fingerprint != JOB.fingerprint:
        assert (ending.outcome, ending.reason) == (Outcome.DEFERRED, Reason.DECIDED_MEANWHILE)
    else:
        assert (ending.outcome, ending.reason, ending.detail) == (
            Outcome.REVIEW,
            approval.reason,
            "too heavy",
        )


@given(APPROVALS)
def test_the_ceilings_are_those_of_the_review_while_it_lets_pass(approval):
    found = at_its_ceilings(JOB, approval)
    if approval.status in LETS_PASS:
        assert (found.ceiling_tokens, found.ceiling) == (approval.ceiling_tokens, approval.ceiling)
    else:
        assert found == JOB
