"""`weighbridge review` claim, release, approve, reject, reopen and book."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from cli.review import decide_review
from schemas.ledger import AttemptRow
from schemas.outcome import AttemptState, Outcome, Reason
from schemas.review_tables import ReviewRow
from services.ledger import jobs, reviews
from services.ledger.reviews import JobLimits
from tests.strategies import begin, job, settlement, take, write_down


@pytest.fixture
def statuses(ledger):
    """The statuses of all reviews, by id."""

    def read():
        with ledger.read() as connection:
            return dict(connection.execute(select(ReviewRow.id, ReviewRow.status)).tuples().all())

    return read


@pytest.fixture
def terminal(monkeypatch):
    """A person at a terminal, whose answers the test gives; what they were asked."""
    answers, asked = [], []

    def confirm(question, **_):
        asked.append(question)
        return answers.pop(0)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(decide_review.typer, "confirm", confirm)
    return answers, asked


def test_a_claim_is_taken_released_and_taken_over(weighbridge, ledger, waiting, statuses):
    claimed = weighbridge("review", "claim", *waiting[:2], "--by", "ana", "--json")
    assert claimed.json == {"claimed": 2, "refused": []}
    refused = weighbridge("review", "claim", waiting[0], "--by", "ben")
    assert refused.code == 4
    assert (
        f"Review {waiting[0]} was not changed: it is claimed by ana; take it over first." in refused.sentence
    )
    assert weighbridge("review", "claim", waiting[0], "--by", "ben", "--take-over").code == 0
    assert reviews.one_review(ledger, waiting[0]).claimed_by == "ben"
    assert weighbridge("review", "release", waiting[1], "--by", "ana").out == "1 review(s) released.\n"
    assert [statuses()[review] for review in waiting] == ["claimed", "pending", "pending"]


def test_an_approval_by_id_needs_no_question_and_keeps_its_ceiling(weighbridge, ledger, waiting):
    ended = weighbridge(
        *("review", "approve", waiting[0], "--ceiling-usd", "1.25", "--ceiling-tokens", 2_000),
        *("--expires-days", 3, "--note", "quarter end", "--by", "ana"),
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "1 review(s) approved. `weighbridge resubmit-approved` sends what is approved.\n"
    row = reviews.one_review(ledger, waiting[0])
    assert (row.status, row.decided_by, row.note) == ("approved", "ana", "quarter end")
    assert (row.ceiling_nano_usd, row.ceiling_tokens) == (1_250_000_000, 2_000)
    assert row.expires_at - row.decided_at == timedelta(days=3)


def test_what_is_over_the_ceiling_is_refused_with_4_and_the_figures(weighbridge, waiting, statuses):
    ended = weighbridge("review", "approve", *waiting, "--ceiling-usd", "2", "--by", "ana", "--json")
    assert ended.code == 4
    assert ended.json["approved"] == 2
    [refused] = ended.json["refused"]
    assert refused["review"] == waiting[2]
    assert "over the ceiling of 2.000000000 USD" in refused["why"]
    assert statuses()[waiting[2]] == "pending"


def test_a_filter_decides_about_what_matches_only(weighbridge, waiting, statuses):
    ended = weighbridge("review", "reject", "--group", "red", "--yes", "--by", "ana", "--json")
    assert ended.json == {"rejected": 2, "refused": []}
    assert [statuses()[review] for review in waiting] == ["rejected", "rejected", "pending"]


def test_a_filter_shows_its_total_and_asks(weighbridge, waiting, statuses, terminal):
    answers, asked = terminal
    answers += [False, True]
    refused = weighbridge("review", "approve", "--group", "blue", "--by", "ana")
    assert refused.code == 2
    assert "Approve 1 review(s), worst case $3.00 in total, 1,002 input tokens." in refused.err
    assert "nothing was decided" in refused.err
    assert set(statuses().values()) == {"pending"}
    assert weighbridge("review", "approve", "--group", "blue", "--by", "ana").code == 0
    assert statuses()[waiting[2]] == "approved"
    assert len(asked) == 2


def test_what_changed_while_it_was_asked_about_is_left_alone(
    weighbridge, ledger, waiting, statuses, monkeypatch, terminal
):
    def confirm(*_, **__):
        reviews.claim(ledger, waiting[:1], "ben")
        return True

    monkeypatch.setattr(decide_review.typer, "confirm", confirm)
    ended = weighbridge("review", "reject", "--by", "ana")
    assert ended.code == 4
    assert "Nothing was changed: " in ended.err
    assert "rejected" not in statuses().values()


def test_without_a_terminal_a_filter_needs_yes(weighbridge, waiting, statuses):
    ended = weighbridge("review", "approve", "--reason", "over_cost_limit", "--by", "ana")
    assert ended.code == 2
    assert "3 review(s)" in ended.sentence
    assert "add --yes" in ended.sentence
    assert set(statuses().values()) == {"pending"}


def test_a_decision_is_taken_back(weighbridge, waiting, statuses):
    weighbridge("review", "reject", waiting[0], "--by", "ana")
    again = weighbridge("review", "reopen", *waiting[:2], "--by", "ben", "--note", "by mistake", "--json")
    assert again.code == 4
    assert again.json["reopened"] == 1
    assert again.json["refused"] == [{"review": waiting[1], "why": "nobody has decided about it yet"}]
    assert statuses()[waiting[0]] == "pending"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["approve", 1, "--ceiling-usd", "nan"], "--ceiling-usd 'nan' is not an amount"),
        (["approve", 1, "--group", "red"], "not by both; nothing was decided"),
        (["reject", 1, "--status", "all"], "not by both"),
        (["reject", "--status", "lost", "--yes"], "no status 'lost'"),
        (["approve", 1, "--by", " "], "blank"),
        (["claim", 1, "--by", "a" * 101], "100 characters"),
        (["book", 1], "either --billed USD or --not-billed"),
        (["book", 1, "--billed", "1", "--not-billed"], "either --billed USD or --not-billed"),
        (["book", 1, "--billed", "-1"], "--billed '-1' is not an amount"),
        (["book", 1, "--not-billed"], "no attempt of unknown outcome"),
        (["book", 999, "--not-billed"], "no review 999"),
        (["book", "--not-billed"], "either the id of a review or --attempt"),
        (["book", 1, "--attempt", "att_1", "--not-billed"], "either the id of a review or --attempt"),
        (["book", "--attempt", "att_1", "--not-billed"], "no attempt att_1"),
    ],
)
def test_wrong_input_is_a_sentence_and_changes_nothing(weighbridge, waiting, statuses, arguments, word):
    ended = weighbridge("review", *arguments)
    assert ended.code == 2
    assert word in ended.sentence
    assert set(statuses().values()) == {"pending"}


@pytest.mark.parametrize(
    "arguments", [["claim"], ["release", "first"], ["approve", "1", "--expires-days", "0"], ["book"]]
)
def test_arguments_that_cannot_be_end_with_2(weighbridge, waiting, arguments):
    assert weighbridge("review", *arguments).code == 2


@pytest.fixture
def unknown(ledger):
    """The review of a job whose only attempt has an unknown outcome and holds 0.0000001 USD."""
    begin(ledger)
    jobs.add(ledger, "run-1", [job()], [])
    [held] = take(ledger, [100]).held
    end = settlement(held.attempt_id, AttemptState.UNKNOWN, Outcome.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME)
    write_down(ledger, [held.attempt_id], [end])
    reviews.park_of_unknown_outcome(ledger, "run-1", JobLimits(None, None))
    with ledger.read() as connection:
        return connection.scalar(select(ReviewRow.id))


def held_and_paid(ledger):
    with ledger.read() as connection:
        return connection.execute(select(AttemptRow.held_nano_usd, AttemptRow.actual_nano_usd)).one()


def test_what_was_not_billed_is_booked_and_its_hold_ends(weighbridge, ledger, unknown):
    ended = weighbridge("review", "book", unknown, "--not-billed", "--by", "ana")
    assert (ended.code, ended.err) == (0, "")
    assert "0.000000000 USD booked; the hold of 0.000000100 USD ended" in ended.out
    assert held_and_paid(ledger).held_nano_usd == 0


def test_what_was_billed_is_booked_under_the_old_name_too(weighbridge, ledger, unknown):
    early = weighbridge("review", "book", unknown, "--billed", "0.00000004", "--by", "ana")
    assert early.code == 2
    assert "reject it" in early.sentence
    weighbridge("review", "reject", unknown, "--by", "ana")
    booked = weighbridge("review", "settle", unknown, "--billed", "0.00000004", "--by", "ana", "--json")
    assert booked.json == {"review": unknown, "held_usd": "0.000000100", "billed_usd": "0.000000040"}
    assert held_and_paid(ledger) == (0, 40)
