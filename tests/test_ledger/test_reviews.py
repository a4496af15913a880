"""Reviews on SQLite and PostgreSQL: whoever decides, by the Python interface or in plain SQL, decides once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, insert, select, text, update

from schemas.attempt import Settlement
from schemas.errors import BadInput, RunFailed
from schemas.ledger import AttemptRow, BudgetRow, JobRow, ReviewEventRow, ReviewPayloadRow, ReviewRow
from schemas.outcome import AttemptState, Method, Outcome, Reason
from schemas.payload.payload import Payload
from schemas.review import EditEstimate, Filter
from services.ledger import jobs, reviews
from services.ledger.reviews import JobLimits
from services.ledger.settle import record_sent_and_settled
from tests.strategies import begin, job, request, take

NO_LIMITS = JobLimits(None, None)
DECIDED = ("approved", "edited", "rejected")
#: by status: what may come next
NEXT = {
    "pending": {"pending", "claimed", "approved", "rejected", "edited", "sent", "expired"},
    "claimed": {"pending", "claimed", "approved", "rejected", "edited", "sent", "expired"},
    "approved": {"pending", "approved", "rejected", "sent", "expired"},
    "edited": {"pending", "edited", "approved", "rejected", "sent", "expired"},
    "rejected": {"rejected", "pending"},
    "expired": {"expired", "pending", "approved", "rejected", "edited"},
    "sent": {"sent", "pending"},
}
FIGURES = EditEstimate("claude-haiku-5-5", 7, Method.COUNTED, 70)


def waiting(ledger, number=3, start=0, **more):
    """So many reviews of run-1; their ids."""
    rows = [
        {
            "job_id": f"job-{row}", "run_id": "run-1", "reason": "over_cost_limit", "detail": "dear", "row_number": row,
            "created_at": datetime.now(UTC), "fingerprint": f"f{row}", "model": "claude-opus-5-5",
            "input_tokens": 100 + row, "worst_case_nano_usd": 10**9 * (row + 1),
        } | more
        for row in range(start, start + number)
    ]  # fmt: skip
    with ledger.write() as connection:
        connection.execute(insert(ReviewRow), rows)
        found = connection.scalars(select(ReviewRow.id).order_by(ReviewRow.id.desc()).limit(number))
        ids = sorted(found)
        connection.execute(insert(ReviewPayloadRow), [{"review_id": i, "payload": "{}"} for i in ids])
    return ids


def sql(ledger, statement, **values):
    with ledger.write() as connection:
        return connection.execute(text(statement), values).rowcount


def standing(ledger, review_id):
    return reviews.one_review(ledger, review_id)


@pytest.fixture
def three(ledger):
    begin(ledger)
    return waiting(ledger)


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
        assert timedelta(0) <= found.expires_at - found.decided_at - timedelta(days=14) < timedelta(seconds=1)
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
        "expires_at='2030-01-01 00:00:00.000000' WHERE id=:id",
        id=three[0],
    )
    found = reviews.one_review(ledger, three[0])
    assert (found.ceiling_nano_usd, found.ceiling_tokens, found.expires_at.year) == (5, 6, 2030)
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
    before = [standing(ledger, review_id) for review_id in three], len(reviews.events(ledger, three[1]))
    with pytest.raises(Exception, match=sentence), ledger.engine.begin() as connection:
        connection.execute(text(f"UPDATE reviews SET {then}"))
    assert (
        [standing(ledger, review_id) for review_id in three],
        len(reviews.events(ledger, three[1])),
    ) == before


def test_views_say_what_waits_and_what_is_left_today(ledger, three):
    sql(ledger, "UPDATE reviews SET status='rejected', decided_by='ana' WHERE id=:id", id=three[0])
    today = datetime.now(UTC).date()
    usd = 10**9
    with ledger.write() as connection:
        connection.execute(
            insert(BudgetRow),
            [
                {"scope": scope, "period": str(period)[: 7 if scope == "month" else 10], "group_name": group,
                 "cap_nano_usd": 10 * usd, "held_nano_usd": usd, "settled_nano_usd": 2 * usd}
                for scope, period, group in [
                    ("day", today, ""), ("day", today, "red"), ("day", today - timedelta(days=3), ""),
                    ("month", today, ""), ("month", today - timedelta(days=40), ""), ("run", "run-1", ""),
                ]
            ],
        )  # fmt: skip
    with ledger.read() as connection:
        pending = connection.execute(text("SELECT * FROM reviews_pending ORDER BY id")).all()
        spend = connection.execute(text("SELECT * FROM spend_today ORDER BY scope, group_name")).all()
    assert [row.id for row in pending] == three[1:]
    assert "payload" not in pending[0]._mapping
    assert (pending[0].job_id, pending[0].reason, Decimal(pending[0].worst_case_usd)) == (
        "job-1",
        "over_cost_limit",
        2,
    )
    assert [(row.scope, row.group_name, float(row.left_usd)) for row in spend] == [
        ("day", "all", 7), ("day", "red", 7), ("month", "all", 7)
    ]  # fmt: skip


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
    "wrong", [{"by": " "}, {"by": "x" * 101}, {"ceiling_tokens": -1}, {"expires_in": timedelta(0)}]
)
def test_a_decision_that_makes_no_sense_is_said_to_be_none(ledger, three, wrong):
    with pytest.raises(BadInput):
        reviews.approve(ledger, three, **{"by": "ana"} | wrong)
    assert reviews.totals(ledger, Filter(status="pending")).count == 3


def test_filters_mean_what_they_say(ledger, three):
    sql(ledger, "UPDATE reviews SET note='100% Sure_' WHERE id=:id", id=three[2])
    for which, count in [
        (Filter(over_usd=Decimal(2)), 1), (Filter(search="JOB-1"), 1),
        (Filter(search="100% sure"), 1), (Filter(search="%"), 1), (Filter(run_id="run-2"), 0),
        (Filter(model="claude-opus-5-5", reason="over_cost_limit"), 3),
    ]:  # fmt: skip
        assert (which, len(reviews.listed(ledger, which))) == (which, count)
        assert reviews.totals(ledger, which).count == count
    assert [row.id for row in reviews.listed(ledger, order="dearest", limit=2, offset=1)] == [
        three[1],
        three[0],
    ]


# --- parked again ---------------------------------------------------------------------------------------------


def parked(ledger, run_id, tokens, reason=Reason.OVER_INPUT_LIMIT, review_id=None, sent="hello"):
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, text=sent)], [])
    with ledger.write() as connection:
        connection.execute(
            update(JobRow)
            .where(JobRow.run_id == run_id)
            .values(
                outcome=Outcome.REVIEW, reason=reason, model="m", input_tokens=tokens, worst_case_nano_usd=tokens * 10,
                review_id=review_id,
            )
        )  # fmt: skip
    assert (
        reviews.park_over_budget(
            ledger, run_id, NO_LIMITS, lambda parked: f"raise to {parked.job.input_tokens}"
        )
        == 1
    )
    [found] = reviews.listed(ledger)
    return found


def test_a_claim_is_kept_with_new_figures_and_an_expired_approval_waits_again(ledger):
    first = parked(ledger, "run-1", 50)
    assert first.would_pass == "raise to 50"
    reviews.claim(ledger, [first.id], "ana")
    again = parked(ledger, "run-2", 60)
    assert (again.status, again.claimed_by, again.input_tokens, again.run_id) == (
        "claimed",
        "ana",
        60,
        "run-2",
    )
    assert reviews.events(ledger, first.id)[-1].by == "run-2"
    parked(ledger, "run-3", 60)
    assert len(reviews.events(ledger, first.id)) == 3  # the same figures are no change
    reviews.approve(ledger, [first.id], "ana")
    reviews.expire(ledger, datetime.now(UTC) + timedelta(days=15))
    last = parked(ledger, "run-4", 60)
    assert (last.status, last.decided_by, last.ceiling_tokens) == ("pending", None, None)
    event = reviews.events(ledger, first.id)[-1]
    assert (event.from_status, event.to_status, event.by) == ("expired", "pending", "run-4")


def test_a_job_that_outgrew_its_ceiling_waits_again_under_its_own_review(ledger):
    first = parked(ledger, "run-1", 50)
    payload = Payload.checked(request("edited"))
    reviews.edit(ledger, first.id, "ana", payload, FIGURES)
    # what was sent is the edit, which has a fingerprint of its own
    again = parked(ledger, "run-2", 90, Reason.OVER_CEILING, first.id, sent="edited")
    assert (again.id, again.status, again.input_tokens) == (first.id, "pending", 90)
    assert reviews.one_review(ledger, first.id).edited_payload == payload.text.decode()


def test_a_job_parked_again_as_it_was_forgets_an_edit_that_nobody_stands_by(ledger):
    first = parked(ledger, "run-1", 50)
    own = reviews.one_review(ledger, first.id).payload
    payload = Payload.checked(request("edited"))
    reviews.edit(ledger, first.id, "ana", payload, FIGURES)
    parked(ledger, "run-2", 50)
    kept = reviews.one_review(ledger, first.id)
    assert (kept.status, kept.payload, kept.edited_payload) == ("edited", own, payload.text.decode())
    reviews.reopen(ledger, [first.id], "ana")
    parked(ledger, "run-3", 50)
    kept = reviews.one_review(ledger, first.id)
    assert (kept.status, kept.payload) == ("pending", own)
    assert (kept.edited_payload, kept.edited_fingerprint) == (None, None)


# --- attempts of unknown outcome ------------------------------------------------------------------------------


def money(ledger):
    with ledger.read() as connection:
        query = select(BudgetRow.scope, BudgetRow.held_nano_usd, BudgetRow.settled_nano_usd)
        return {scope: (held, settled) for scope, held, settled in connection.execute(query)}


@pytest.mark.parametrize("billed", [None, 30])
def test_the_hold_of_an_unknown_attempt_stays_until_it_is_booked(ledger, billed):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0)], [])
    [held] = take(ledger, [100]).held
    unknown = Settlement(
        held.attempt_id, AttemptState.UNKNOWN, Outcome.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME
    )
    record_sent_and_settled(ledger, [held.attempt_id], [unknown])
    assert reviews.park_of_unknown_outcome(ledger, "run-1", NO_LIMITS) == 1
    [review] = reviews.listed(ledger)
    if billed is not None:
        with pytest.raises(BadInput, match="approve it"):
            reviews.book(ledger, review.id, "ana", billed)
    assert reviews.reject(ledger, [review.id], "ana").changed == 1
    assert money(ledger) == dict.fromkeys(("run", "day", "month"), (100, 0))
    with pytest.raises(BadInput, match="more than"):
        reviews.book(ledger, review.id, "ana", 101)
    assert reviews.book(ledger, review.id, "ana", billed) == 100
    assert money(ledger) == dict.fromkeys(("run", "day", "month"), (0, billed or 0))
    with ledger.read() as connection:
        [attempt] = connection.execute(select(AttemptRow.held_nano_usd, AttemptRow.actual_nano_usd))
    assert tuple(attempt) == (0, billed or 0)
    assert "booked" in reviews.events(ledger, review.id)[-1].note
    with pytest.raises(BadInput, match="no attempt"):
        reviews.book(ledger, review.id, "ana", billed)


# --- two reviewers, any statement -----------------------------------------------------------------------------

people = st.sampled_from(["ana", "ben"])
places = st.integers(0, 2)
statuses = st.sampled_from(sorted(NEXT))


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
            assert new.status in NEXT[old.status]
            if new.status in DECIDED:
                assert new.decided_by
                assert new.decided_at
                if old.status in DECIDED:
                    assert new.decided_by == old.decided_by
                if old.status == "claimed":
                    assert new.decided_by == old.claimed_by
            if new.status in ("approved", "edited"):
                assert None not in (new.ceiling_nano_usd, new.expires_at, new.worst_case_nano_usd)
            if new.status == "pending":
                kept = (new.claimed_by, new.decided_by, new.decided_at, new.ceiling_nano_usd, new.expires_at)
                assert kept == (None,) * 5
        self.before = after


def test_two_reviewers_never_both_decide(ledger):
    begin(ledger)
    machine = type("TwoReviewersHere", (TwoReviewers,), {"ledger": ledger})
    run_state_machine_as_test(machine, settings=settings(max_examples=30, stateful_step_count=20))
