"""Verifying: the ledger recomputed from its rows and files, and compared with what it says. Nothing is written.

All checks read the ledger as it was at one moment, so that a run may be in progress meanwhile. Sums are made in SQL, and
rows are streamed: memory does not grow with them.
"""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, and_, false, func, null, or_, select, true
from sqlalchemy.orm import aliased

from rules.identity import Made, same_job
from rules.verdict import Fact, verdict
from schemas.ledger import AttemptRow, BatchRow, JobRow, ResponseRow, RunRow
from schemas.outcome import UNSETTLED_STATES, WAITING_STATUSES, AttemptState, BatchState
from schemas.review_tables import REVIEW_STATUSES, ReviewRow
from schemas.verification import CheckFinding, Verification
from services.ledger.leases import is_over
from services.ledger.reviews.reading import is_about
from services.ledger.settle import ACCEPTED_UNREAD
from services.ledger.store import Ledger, revision
from services.ledger.tables_version import newest_revision
from services.ledger.taken_up import MADE, OTHER, ROWS_ARE_THERE, attempt_pairs
from services.ledger.verify_days import check_days
from services.ledger.verify_results import check_results
from services.ledger.verify_rows import (
    RESTORE,
    check_rows,
    examples,
    has_its_rows,
)
from services.ledger.verify_windows import check_windows

_SUCCEEDED = AttemptRow.state == AttemptState.SUCCEEDED


def verify(ledger: Ledger, results: Path | None = None) -> Verification:
    """Every check of a ledger; of tables of another version, only that they are.

    Args:
        ledger: of any version; see `open_to_read`.
        results: the folder that has the results of the runs, each in a folder named after it; None: where the runs
            wrote them.
    """
    with ledger.read() as connection:
        version = check_schema(connection)
        if not version.ok:
            return Verification(checks=[version])
        checks = [check(connection) for check in _CHECKS]
        return Verification(checks=[version, *checks, check_results(connection, results)])


def check_schema(connection: Connection) -> CheckFinding:
    """The tables are of this program's version."""
    found, newest = revision(connection), newest_revision()
    if found == newest:
        return CheckFinding(name="schema", ok=True, found=f"the tables are of version {found}")
    return CheckFinding(
        name="schema",
        ok=False,
        found=f"the tables are of version {found} and this program works with {newest}; nothing else was checked",
        what_to_do="An older ledger is brought up to date by the next command that opens it, such as `weighbridge "
        "report`; a newer one needs the version of Weighbridge that made it. Then verify again.",
    )


def check_holds(connection: Connection) -> CheckFinding:
    """Only open and unknown attempts hold money, and somebody will settle each open one."""
    attempt = select(AttemptRow.attempt_id)
    open_of = attempt.join(RunRow, RunRow.run_id == AttemptRow.run_id).where(
        AttemptRow.state == AttemptState.OPEN
    )
    ended_and_holds = and_(AttemptRow.state.not_in(UNSETTLED_STATES), AttemptRow.held_nano_usd != 0)
    abandoned = open_of.where(RunRow.ended_at.is_(None), is_over(connection))
    return verdict(
        "holds",
        "only open and unknown attempts hold money, and no run has ended with an open one",
        [
            Fact(
                "attempts that hold money and must not",
                examples(connection, attempt.where(or_(ended_and_holds, AttemptRow.held_nano_usd < 0))),
                RESTORE,
            ),
            Fact(
                "open attempts of a run that has ended",
                examples(connection, open_of.where(RunRow.ended_at.is_not(None))),
                "Look in the provider's console whether they were billed. " + RESTORE,
            ),
            Fact(
                "open attempts of a run that nobody works on",
                examples(connection, abandoned),
                "Settle them with `weighbridge collect`.",
                is_fault=False,
            ),
        ],
    )


def check_answers(connection: Connection) -> CheckFinding:
    """Each succeeded attempt has its answer, its tokens and its cost.

    Pruning takes an answer and the attempt's usage: an attempt without usage may be without its answer. An answer that
    a person accepted unread has its cost and no tokens.
    """
    attempt = select(AttemptRow.attempt_id).where(_SUCCEEDED)
    answered = select(ResponseRow.attempt_id).where(ResponseRow.attempt_id == AttemptRow.attempt_id).exists()
    tokens = (AttemptRow.actual_input_tokens, AttemptRow.actual_output_tokens)
    figures = (AttemptRow.actual_nano_usd, *tokens)
    without_tokens = and_(ACCEPTED_UNREAD.is_not(true()), or_(*(one.is_(None) for one in tokens)))
    missing = or_(AttemptRow.actual_nano_usd.is_(None), without_tokens)
    without_figures = or_(missing, *(figure < 0 for figure in figures))
    return verdict(
        "answers",
        "every succeeded attempt has its cost, its tokens and, unless that was pruned, its answer",
        [
            Fact(
                "succeeded attempts that lost their answer",
                examples(connection, attempt.where(AttemptRow.usage.is_not(null()), ~answered)),
                "If prune-history was interrupted, run it again; else take the answers from the result files. "
                + RESTORE,
            ),
            Fact(
                "succeeded attempts without cost or tokens",
                examples(connection, attempt.where(without_figures)),
                "Look their cost up with `weighbridge check-bill`. " + RESTORE,
            ),
            Fact(
                "attempts billed over their worst case (over_hold)",
                examples(
                    connection, attempt.where(AttemptRow.actual_nano_usd > AttemptRow.worst_case_nano_usd)
                ),
                "Compare them with the bill: `weighbridge check-bill`.",
                is_fault=False,
            ),
        ],
    )


def check_paid_once(connection: Connection) -> CheckFinding:
    """The same job with the same payload succeeded at most once."""
    both = (_SUCCEEDED, OTHER.state == AttemptState.SUCCEEDED, OTHER.attempt_id > AttemptRow.attempt_id)
    pairs = attempt_pairs().where(*both, or_(ROWS_ARE_THERE, AttemptRow.model == OTHER.model))
    # there are few ways to make two attempts, and maybe many pairs
    same = [
        and_(*(column.is_not_distinct_from(value) for column, value in zip(MADE, way, strict=True)))
        for way in connection.execute(pairs.distinct()).all()
        if same_job(Made(*way[:2]), Made(*way[2:]))
    ]
    last = func.max(OTHER.attempt_id)
    of_one_job = (AttemptRow.fingerprint, AttemptRow.job_id)
    twice = pairs.with_only_columns(last).where(or_(false(), *same)).group_by(*of_one_job)
    return verdict(
        "paid_once",
        "no job succeeded twice with the same payload",
        [
            Fact(
                "jobs that succeeded more than once with the same payload",
                examples(connection, twice, last),
                "Send nothing more over this ledger until it is known why. " + RESTORE,
            )
        ],
    )


def check_batches(connection: Connection) -> CheckFinding:
    """The items of each ended batch are its attempts, and what is with the provider can be found there."""
    own = aliased(AttemptRow)
    of_batch = (
        select(func.count()).where(own.batch_id == BatchRow.batch_id).correlate(BatchRow).scalar_subquery()
    )
    batch = select(BatchRow.batch_id)
    differs = or_(
        of_batch > BatchRow.requests,
        and_(of_batch < BatchRow.requests, has_its_rows(BatchRow.run_id)),
    )
    holding = (
        select(own.attempt_id)
        .where(own.batch_id == BatchRow.batch_id, own.held_nano_usd > 0)
        .correlate(BatchRow)
        .exists()
    )
    return verdict(
        "batches",
        "every ended batch has as many attempts as it had items, and every submitted one has the provider's id",
        [
            Fact(
                "ended batches with another number of attempts than of items",
                examples(connection, batch.where(BatchRow.state == BatchState.ENDED, differs)),
                RESTORE,
            ),
            Fact(
                "submitted batches without the provider's id",
                examples(
                    connection,
                    batch.where(BatchRow.state == BatchState.SUBMITTED, BatchRow.provider_batch_id.is_(None)),
                ),
                "Find them in the provider's console by the custom ids of their attempts. " + RESTORE,
            ),
            Fact(
                "batches that were given up and still hold money",
                examples(connection, batch.where(BatchRow.given_up_at.is_not(None), holding)),
                "Look in the provider's console what they cost, and book it with `weighbridge review book`.",
                is_fault=False,
            ),
        ],
    )


def check_reviews(connection: Connection) -> CheckFinding:
    """Each review that waits is about a job on record, and no attempt of unknown outcome is overlooked."""
    review = select(ReviewRow.id)
    job = (
        select(JobRow.run_id)
        .where(
            JobRow.run_id == ReviewRow.run_id,
            JobRow.row_number == ReviewRow.row_number,
            JobRow.job_id == ReviewRow.job_id,
        )
        .exists()
    )
    waits = ReviewRow.status.in_(WAITING_STATUSES)
    its_review = select(ReviewRow.id).where(is_about(AttemptRow.job_id, AttemptRow.fingerprint)).exists()
    unseen = select(AttemptRow.attempt_id).where(AttemptRow.state == AttemptState.UNKNOWN, ~its_review)
    return verdict(
        "reviews",
        "every review that waits is about a job on record",
        [
            Fact(
                "reviews that wait for a job that is not on record",
                examples(connection, review.where(waits, ~job, has_its_rows(ReviewRow.run_id))),
                RESTORE,
            ),
            Fact(
                "reviews with an unknown status",
                examples(connection, review.where(ReviewRow.status.not_in(REVIEW_STATUSES))),
                RESTORE,
            ),
            Fact(
                "attempts of unknown outcome without a review",
                examples(connection, unseen),
                "Look up what they cost, and book it with `weighbridge review book`.",
                is_fault=False,
            ),
        ],
    )


_CHECKS: tuple[Callable[[Connection], CheckFinding], ...] = (
    check_windows,
    check_days,
    check_holds,
    check_rows,
    check_answers,
    check_paid_once,
    check_batches,
    check_reviews,
)
