"""The review table: jobs that wait for a person. Read it, decide about it, and put jobs into it.

The rules of a review hold in the database itself (migration 0006), so they hold for a SQL shell too; what is refused
there is refused here first, one by one, with its reason.
"""

from schemas.review import JobLimits, ParkedJob
from services.ledger.reviews.accepting import accept, accept_attempt, runs_to_publish
from services.ledger.reviews.applying import apply_decisions, approved_jobs, modes_of_approved
from services.ledger.reviews.booking import book, book_attempt, count_unknown_holds, unknown_holds
from services.ledger.reviews.closing import close_answered, name_cut_off, reopen_unsent
from services.ledger.reviews.deciding import approve, claim, edit, expire, reject, release, reopen
from services.ledger.reviews.neighbours import neighbours
from services.ledger.reviews.parking import (
    Advise,
    drop_payloads,
    park_left,
    park_of_unknown_outcome,
    park_over_budget,
    park_unknown,
)
from services.ledger.reviews.reading import (
    events,
    facets,
    listed,
    one_review,
    own_limits,
    raw_answers,
    totals,
)
from services.ledger.reviews.standing import as_approved_now

__all__ = [
    "Advise",
    "JobLimits",
    "ParkedJob",
    "accept",
    "accept_attempt",
    "apply_decisions",
    "approve",
    "approved_jobs",
    "as_approved_now",
    "book",
    "book_attempt",
    "claim",
    "close_answered",
    "count_unknown_holds",
    "drop_payloads",
    "edit",
    "events",
    "expire",
    "facets",
    "listed",
    "modes_of_approved",
    "name_cut_off",
    "neighbours",
    "one_review",
    "own_limits",
    "park_left",
    "park_of_unknown_outcome",
    "park_over_budget",
    "park_unknown",
    "raw_answers",
    "reject",
    "release",
    "reopen",
    "reopen_unsent",
    "runs_to_publish",
    "totals",
    "unknown_holds",
]
