"""Reviews on SQLite and PostgreSQL: whoever decides, by the Python interface or in plain SQL, decides once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, select, text, update

from schemas.errors import BadInput, RunFailed
from schemas.outcome import DECIDED_STATUSES, LETS_PASS, ReviewStatus
from schemas.payload.payload import Payload
from schemas.review import APPROVAL_HOLDS, Filter
from schemas.review_tables import ReviewEventRow, ReviewRow
from schemas.transitions import TRANSITIONS
from services.ledger import reviews
from tests.strategies import begin, request
from tests.test_ledger.test_reviews.table import FIGURES, ONLY_THE_DATABASE, sql, waiting

# --- plain SQL ------------------------------------------------------------------------------------------------


def test_an_approval_in_plain_sql_is_completed_and_remembered(ledger, three):
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert (
        sql(ledger, "UPDATE reviews SET status='approved', decided_by='ana' WHERE reason='over_cost_limit'")
        == 3
    )
    for row, review_id in enumerate(three):
        found = reviews.one_review(ledger, review_id)
        assert (found.ceiling_tokens, found.ceiling_nano_usd, found.version) == (
            100 + row,
            10**9 * (row + 1),
            2,
        )
        assert Decimal(found.ceiling_usd) == row + 1
        assert before < found.decided_at < datetime.now(UTC) + timedelta(seconds=1)
        assert timedelta(0) <= found.expires_at - found.decided_at - APPROVAL_HOLDS < timedelta(seconds=1)
        first, event = reviews.events(ledger, review_id)
        assert (first.from_status, first.to_status, first.by) == (None, "pending", "run-1")
        assert (event.from_status, event.to_status, event.by) == ("pending", "approved", "ana")
        assert (event.ceiling_tokens, event.ceiling_nano_usd) == (100 + row, 10**9 * (row + 1))
        assert before < event.at < datetime.now(UTC) + timedelta(seconds=1)
    # the same once more is no change
    sql(ledger, "UPDATE reviews SET status='approved', decided_by='ana'")
    assert {reviews.one_review(ledger, review_id).version for review_id in three} == {2}


def test_a_ceiling_an_end_and_a_note_in_plain_sql_are_kept_as_given(ledger, three):
    sql(
        ledger,
        "UPDATE reviews SET status='approved', decided_by='ana', ceiling_nano_usd=5, ceiling_tokens=6, note='why', "
        "expires_at='9000-06-01 00:00:00.000000' WHERE id=:id",
        id=three[0],
    )
    found = reviews.one_review(ledger, three[0])
    assert (found.ceiling_nano_usd, found.ceiling_tokens, found.expires_at.year) == (5, 6, 9000)
    assert reviews.events(ledger, three[0])[-1].note == "why"
    # approved again, by the same person, with another ceiling; and opened again
    sql(ledger, "UPDATE reviews SET ceiling_nano_usd=9 WHERE id=:id", id=three[0])
    assert (
        reviews.one_review(ledger, three[0]).ceiling_nano_usd,
        reviews.one_review(ledger, three[0]).version,
    ) == (9, 3)
    sql(ledger, "UPDATE reviews SET status='pending', decided_by='ben' WHERE id=:id", id=three[0])
    found = reviews.one_review(ledger, three[0])
    assert (found.decided_by, found.decided_at, found.ceiling_nano_usd, found.expires_at) == (None,) * 4
    assert reviews.events(ledger, three[0])[-1].by == "ben"


REFUSED = {
    "two people": (
        "status='approved', decided_by='ana'",
        "status='rejected', decided_by='ben'",
        "by somebody else",
    ),
    "two who approve": (
        "status='approved', decided_by='ana'",
        "status='approved', decided_by='ben'",
        "somebody else",
    ),
    "not the claimer": (
        "status='claimed', claimed_by='ana'",
        "status='approved', decided_by='ben'",
        "is claimed by",
    ),
    "a claimed decision": (
        "status='approved', decided_by='ana'",
        "status='claimed', claimed_by='ana'",
        "is decided",
    ),
    "a turn": ("status='rejected', decided_by='ana'", "status='approved', decided_by='ana'", "is decided"),
    "sent": ("status='sent'", "status='approved', decided_by='ana'", "was sent"),
    "expired": ("status='expired'", "status='claimed', claimed_by='ana'", "has expired"),
    "no worst case": ("worst_case_nano_usd=NULL", "status='approved', decided_by='ana'", "no worst case"),
    "a name alone": ("note='x'", "decided_by='ana'", "belong to a decision"),
    "a ceiling alone": ("note='x'", "ceiling_nano_usd=4", "belong to a decision"),
    "an edit alone": (
        "status='approved', decided_by='ana'",
        "edited_fingerprint='e'",
        "belongs to the decision",
    ),
    "an edit of an edit": (
        "status='edited', decided_by='ana', edited_fingerprint='e'",
        "edited_fingerprint='f'",
        "belongs to the decision",
    ),
    "no edit": ("note='x'", "status='edited', decided_by='ana'", "an_edit_has_a_payload"),
    "no name": ("note='x'", "status='approved'", "a_decision_has_a_name|needs the name"),
    "no claimer": ("note='x'", "status='claimed'", "a_claim_has_a_name|needs the name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_not_be_is_refused_with_a_sentence_and_changes_nothing(ledger, three, case):
    first, then, sentence = REFUSED[case]
    sql(ledger, f"UPDATE reviews SET {first} WHERE id=:id", id=three[1])
    before = (
        [reviews.one_review(ledger, review_id) for review_id in three],
        len(reviews.events(ledger, three[1])),
    )
    with pytest.raises(Exception, match=sentence), ledger.engine.begin() as connection:
        connection.execute(text(f"UPDATE reviews SET {then}"))
    assert (
        [reviews.one_review(ledger, review_id) for review_id in three],
        len(reviews.events(ledger, three[1])),
    ) == before


# --- the Python interface -------------------------------------------------------------------------------------


def test_all_that_a_filter_means_is_approved_in_one_statement_and_the_rest_named(ledger):
    begin(ledger)
    ids = waiting(ledger, 4, group_name="red")
    waiting(ledger, 2, start=4, group_name="blue")
    sql(ledger, "UPDATE reviews SET worst_case_nano_usd = NULL WHERE id=:id", id=ids[0])
    reviews.claim(ledger, [ids[1]], "ben")
    decided = reviews.approve(ledger, Filter(group="red"), "ana", ceiling_usd=Decimal("3.5"))
    assert decided.changed == 1
    assert dict(decided.refused).keys() == {ids[0], ids[1], ids[3]}
    why = dict(decided.refused)
    assert "worst case" in why[ids[0]]
    assert "claimed by ben" in why[ids[1]]
    assert "over the ceiling of 3.5" in why[ids[3]]
    assert reviews.totals(ledger, Filter(status="pending", group="blue")).count == 2
    assert reviews.facets(ledger)["status"] == {"pending": 4, "approved": 1, "claimed": 1}


def test_a_selection_that_changed_after_it_was_confirmed_is_left_alone(ledger, three):
    pending = Filter(status="pending")
    shown = reviews.totals(ledger, pending)
    assert (shown.count, shown.worst_case, shown.input_tokens) == (3, 6 * 10**9, 303)
    reviews.reject(ledger, [three[0]], "ben")
    decided = reviews.approve(ledger, pending, "ana", confirmed=shown)
    assert decided.changed == 0
    assert decided.refused[0].review_id is None
    assert reviews.approve(ledger, pending, "ana", confirmed=reviews.totals(ledger, pending)).changed == 2


def test_who_read_an_older_version_changes_nothing(ledger, three):
    reviews.claim(ledger, [three[0]], "ana")
    decided = reviews.approve(ledger, [*three, 10**6], "ana", versions=dict.fromkeys(three, 1))
    assert decided.changed == 2
    assert [refusal.review_id for refusal in decided.refused] == [three[0], 10**6]
    payload = Payload.checked(request("short"))
    assert reviews.edit(ledger, three[0], "ana", payload, FIGURES, version=1).changed == 0
    assert reviews.edit(ledger, three[0], "ana", payload, FIGURES, version=2).changed == 1
    found = reviews.one_review(ledger, three[0])
    assert (found.status, found.edited_payload, found.edited_fingerprint, found.ceiling_nano_usd) == (
        "edited",
        payload.text.decode(),
        payload.fingerprint,
        70,
    )


def test_an_approval_expires_and_can_be_given_again(ledger, three):
    now = datetime.now(UTC)
    reviews.approve(ledger, three[:2], "ana", expires_in=timedelta(hours=1))
    assert reviews.expire(ledger, now) == 0
    assert reviews.expire(ledger, now + timedelta(hours=2)) == 2
    assert reviews.approve(ledger, three[:1], "ben").changed == 1
    found = reviews.one_review(ledger, three[0])
    assert (found.decided_by, found.ceiling_tokens, found.expires_at > now + timedelta(days=13)) == (
        "ben",
        100,
        True,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": " "},
        {"by": "x" * 101},
        {"ceiling_tokens": -1},
        {"ceiling_tokens": 10**30},
        {"ceiling_usd": Decimal(-1)},
        {"ceiling_usd": Decimal(10**30)},
        {"ceiling_usd": Decimal("NaN")},
        {"ceiling_usd": Decimal("sNaN")},
        {"ceiling_usd": Decimal("Infinity")},
        {"expires_in": timedelta(0)},
        {"expires_in": timedelta.max},
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_with_a_sentence(ledger, three, wrong):
    with pytest.raises(BadInput, match="nothing was decided"):
        reviews.approve(ledger, three, **{"by": "ana"} | wrong)
    assert reviews.totals(ledger, Filter(status="pending")).count == 3


def test_an_id_that_no_review_can_have_is_refused_and_the_others_are_decided(ledger, three):
    decided = reviews.approve(ledger, [three[0], 0, -1, 2**31, 10**30], "ana")
    assert decided.changed == 1
    assert [why for _, why in decided.refused] == ["there is no such review"] * 4


def test_a_note_that_no_database_takes_is_kept_as_well_as_can_be(ledger, three):
    for decide in (reviews.reject, reviews.reopen, reviews.approve):
        assert decide(ledger, three[:1], "ana", note=f"{decide.__name__}\0").changed == 1
        assert reviews.one_review(ledger, three[0]).note == f"{decide.__name__}?"


def test_an_approval_with_a_note_only_is_up_to_what_the_review_says(ledger, three):
    reviews.approve(ledger, three[:1], "ana", note="as it is")
    found = reviews.one_review(ledger, three[0])
    assert (found.note, found.ceiling_tokens, found.ceiling_nano_usd) == ("as it is", 100, 10**9)


# --- two reviewers, any statement -----------------------------------------------------------------------------

#: what may follow a status
CHANGES = ONLY_THE_DATABASE | {
    (before, transition.to) for transition in TRANSITIONS.values() for before in transition.open_to
}
people = st.sampled_from(["ana", "ben"])
places = st.integers(0, 2)
statuses = st.sampled_from(list(ReviewStatus))


class TwoReviewers(RuleBasedStateMachine):
    """Whatever two people do, by the interface or in SQL: one decision, one version and one event a change."""

    ledger = None

    @initialize()
    def start(self):
        with self.ledger.write() as connection:
            connection.execute(delete(ReviewEventRow))
            connection.execute(delete(ReviewRow))
        self.ids = waiting(self.ledger)
        self.before = self.read()

    def read(self):
        with self.ledger.read() as connection:
            rows = connection.execute(select(ReviewRow.__table__).order_by(ReviewRow.id)).all()
            events = connection.scalars(select(ReviewEventRow.review_id)).all()
        return {row.id: (row, events.count(row.id)) for row in rows}

    @rule(places=st.lists(places, unique=True), by=people, take_over=st.booleans())
    def claim(self, places, by, take_over):
        self.done(
            reviews.claim(self.ledger, [self.ids[p] for p in places], by, take_over=take_over), len(places)
        )

    @rule(places=st.lists(places, unique=True), by=people)
    def release_or_reopen(self, places, by):
        ids = [self.ids[p] for p in places]
        released = reviews.release(self.ledger, ids, by)
        self.judge()
        self.done(reviews.reopen(self.ledger, [i for i, _ in released.refused], by), len(released.refused))

    @rule(
        places=st.lists(places, unique=True),
        by=people,
        ceiling=st.none() | st.integers(0, 4),
        old=st.booleans(),
    )
    def approve(self, places, by, ceiling, old):
        ids = [self.ids[p] for p in places]
        usd = None if ceiling is None else Decimal(ceiling)
        versions = dict.fromkeys(ids, 1) if old else None
        self.done(reviews.approve(self.ledger, ids, by, ceiling_usd=usd, versions=versions), len(places))

    @rule(status=statuses | st.none(), by=people, rejects=st.booleans())
    def decide_by_filter(self, status, by, rejects):
        which = Filter(status=status)
        meant = reviews.totals(self.ledger, which).count
        self.done((reviews.reject if rejects else reviews.approve)(self.ledger, which, by), meant)

    @rule(place=places, by=people)
    def edit(self, place, by):
        payload = Payload.checked(request(by))
        self.done(reviews.edit(self.ledger, self.ids[place], by, payload, FIGURES), 1)

    @rule(days=st.sampled_from([0, 20]))
    def expire(self, days):
        reviews.expire(self.ledger, datetime.now(UTC) + timedelta(days=days))

    @rule(
        place=places | st.none(), status=statuses | st.none(), decided=people | st.none(), claimed=people | st.none(),
        ceiling=st.none() | st.integers(0, 9), version=st.booleans(), edited=st.booleans(),
    )  # fmt: skip
    def plain_sql(self, place, status, decided, claimed, ceiling, version, edited):
        values = {"status": status, "decided_by": decided, "claimed_by": claimed, "ceiling_nano_usd": ceiling}
        values = {name: value for name, value in values.items() if value is not None}
        values |= {"version": ReviewRow.version + 1} if version else {}
        values |= {"edited_fingerprint": "e"} if edited else {}
        statement = update(ReviewRow).values(values or {"note": "hm"})
        if place is not None:
            statement = statement.where(ReviewRow.id == self.ids[place])
        try:
            with self.ledger.write() as connection:
                connection.execute(statement)
        except RunFailed:
            assert self.read() == self.before

    def done(self, decided, asked):
        assert decided.changed + len(decided.refused) == asked
        assert all(why for _, why in decided.refused)

    @invariant()
    def judge(self):
        after = self.read()
        for review_id, (old, events) in self.before.items():
            new, more = after[review_id]
            if new == old:
                assert more == events
                continue
            assert (new.version, more) == (old.version + 1, events + 1)
            assert new.status == old.status or (old.status, new.status) in CHANGES
            if new.status in DECIDED_STATUSES:
                assert new.decided_by
                assert new.decided_at
                if old.status in DECIDED_STATUSES:
                    assert new.decided_by == old.decided_by
                if old.status == "claimed":
                    assert new.decided_by == old.claimed_by
            if new.status in LETS_PASS:
                assert None not in (new.ceiling_nano_usd, new.expires_at, new.worst_case_nano_usd)
            if new.status == "pending":
                kept = (new.claimed_by, new.decided_by, new.decided_at, new.ceiling_nano_usd, new.expires_at)
                assert kept == (None,) * 5
        self.before = after


def test_two_reviewers_never_both_decide(ledger):
    begin(ledger)
    machine = type("TwoReviewersHere", (TwoReviewers,), {"ledger": ledger})
    run_state_machine_as_test(machine, settings=settings(max_examples=30, stateful_step_count=20))
