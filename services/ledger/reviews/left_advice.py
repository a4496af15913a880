"""Advice about what a dead run left: by the policy that it began with, without asking which models there are."""

import logging

from rules.advice import advise
from rules.limits import policy_limits
from rules.models import Models
from rules.policy_on_record import policy_on_record
from rules.scale import Scale
from schemas.review import JobLimits, ParkedJob
from schemas.run import RunOnRecord
from services.ledger.lessons import Lessons
from services.ledger.reviews.parking import Advise
from services.ledger.store import Ledger

log = logging.getLogger("weighbridge")


def left_advice(ledger: Ledger, run: RunOnRecord) -> tuple[JobLimits, Advise]:
    """The limits of a run's policy, and what it advises. The books are closed whatever is wrong with either."""
    try:
        policy, _ = policy_on_record(run)
    except ValueError as error:
        log.warning("The policy of %s cannot be read any more (%s).", run.run_id, type(error).__name__)
        return JobLimits(None, None), lambda _: None
    scale = Scale(policy, Models(policy), Lessons(ledger, run.started_at, policy.margin).of)

    def advice(parked: ParkedJob) -> str | None:
        try:
            return advise(parked, scale)
        except Exception as error:  # noqa: BLE001 - the boundary of a job
            log.warning(
                "Nothing can be advised about row %s of %s (%s).",
                parked.job.row_number,
                run.run_id,
                type(error).__name__,
            )
            return None

    return policy_limits(policy), advice
