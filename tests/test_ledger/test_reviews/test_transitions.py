"""Who may do what to a review: one table, which the statements, the sentences and the database's rules agree with."""

from itertools import product

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from schemas.outcome import ReviewStatus
from schemas.review import APPROVAL_HOLDS, MAX_NAME_CHARACTERS
from schemas.review_tables import ReviewRow
from schemas.transitions import TRANSITIONS, Verb, Who, why_not
from services.ledger import reviews
from services.ledger.reviews.deciding import _may
from tests.strategies import begin
from tests.test_ledger.test_reviews.table import ONLY_THE_DATABASE, sql, waiting

NAMES = ("ana", "ben")
#: a status that carries a name, and the column it stands in
NAMED = {
    ReviewStatus.CLAIMED: "claimed_by",
    ReviewStatus.APPROVED: "decided_by",
    ReviewStatus.EDITED: "decided_by",
    ReviewStatus.REJECTED: "decided_by",
}


def of_ana(ledger):
    """A review of each status, claimed and decided by ana; their ids by status."""
    begin(ledger)
    ids = {}
    for number, status in enumerate(ReviewStatus):
        named = {"claimed_by": "ana", "decided_by": "ana", "edited_fingerprint": "e"}
        [ids[status]] = waiting(ledger, 1, start=number, status=status, **named)
    return ids


def allowed_by_the_table(before, after, name):
    """Whether some verb leads from one status to another for this person, who is ana or somebody else."""
    for transition in TRANSITIONS.values():
        who = transition.open_to.get(before)
        if transition.to != after or who is None:
            continue
        # where a statement carries no name, the database cannot ask for one
        if who in (Who.ANYBODY, Who.A_RUN) or name == "ana" or after not in NAMED:
            return True
    return False


def test_what_the_table_allows_the_database_allows_and_nothing_else(ledger):
    ids = of_ana(ledger)
    wrong = []
    for before, after, name in product(ReviewStatus, ReviewStatus, NAMES):
        table = allowed_by_the_table(before, after, name)
        if before == after and not table:
            continue  # nothing is changed
        values = {"status": after}
        if after in NAMED:
            values[NAMED[after]] = name
        if after == ReviewStatus.EDITED:
            values["edited_fingerprint"] = "another"
        with ledger.engine.connect() as connection, connection.begin() as transaction:
            try:
                connection.execute(update(ReviewRow).where(ReviewRow.id == ids[before]).values(values))
                database = True
            except DBAPIError:
                database = False
            transaction.rollback()
        if database != (table or (before, after) in ONLY_THE_DATABASE):
            wrong.append((before, after, name, database))
    assert wrong == []


def test_a_statement_means_what_its_sentence_says(ledger):
    ids = of_ana(ledger)
    for verb, name in product(Verb, NAMES):
        with ledger.read() as connection:
            may = set(connection.scalars(select(ReviewRow.id).where(_may(verb, name))))
        for review_id in ids.values():
            why = why_not(verb, reviews.one_review(ledger, review_id), name)
            assert (why is None) == (review_id in may), (verb, name, review_id, why)
            assert why is None or why


@pytest.mark.parametrize(
    ("verb", "status", "sentence"),
    [
        (Verb.APPROVE, "claimed", "it is claimed by ana; take it over first"),
        (Verb.APPROVE, "approved", "it is approved already, by ana; reopen it first"),
        (Verb.EDIT, "edited", "it is edited already, by ana; reopen it first"),
        (Verb.REJECT, "sent", "it was sent"),
        (Verb.CLAIM, "expired", "its approval has expired; reopen it first"),
        (Verb.RELEASE, "pending", "nobody has claimed it"),
        (Verb.REOPEN, "pending", "nobody has decided about it yet"),
    ],
)
def test_who_may_not_is_given_the_reason_and_the_way(ledger, verb, status, sentence):
    review = reviews.one_review(ledger, of_ana(ledger)[status])
    assert why_not(verb, review, "ben") == sentence


def test_the_database_lets_an_approval_hold_as_long_as_we_do(ledger, three):
    sql(ledger, "UPDATE reviews SET status='approved', decided_by='ana' WHERE id=:id", id=three[0])
    found = reviews.one_review(ledger, three[0])
    late = found.expires_at - found.decided_at - APPROVAL_HOLDS
    assert abs(late.total_seconds()) < 1


def test_the_longest_name_fits_into_each_column_that_holds_one(ledger, three):
    name = "ü" * MAX_NAME_CHARACTERS
    assert reviews.claim(ledger, three, name).changed == 3
    assert reviews.approve(ledger, three, name).changed == 3
    assert reviews.events(ledger, three[0])[-1].by == name
    with ledger.engine.connect() as connection:
        lengths = {column.type.length for column in (ReviewRow.claimed_by, ReviewRow.decided_by)}
        assert connection.scalar(text("SELECT decided_by FROM reviews LIMIT 1")) == name
    assert lengths == {MAX_NAME_CHARACTERS}
