"""`weighbridge review show` has what came and could not be read, and `weighbridge review accept` makes it the answer."""

import pytest

from services.ledger import reviews
from tests.test_ledger.test_reviews.table import RAW, money, unknown_review, unread_review

HOSTILE = "<script>alert(1)</script>[bold]x[/bold]\x1b[2J" + "ü" * 8_000


def test_show_has_the_raw_answer_as_text_up_to_a_bound(weighbridge, ledger):
    review, attempt_id = unread_review(ledger, body=HOSTILE)
    shown = weighbridge("review", "show", review.id)
    assert (shown.code, shown.err) == (0, "")
    assert f"could not read (attempt {attempt_id})" in shown.out
    assert "<script>alert(1)</script>[bold]x[/bold]?[2J" in shown.out
    assert "\x1b[2J" not in shown.out
    left_out = len(HOSTILE.encode()) - 7_999
    assert f"... {left_out:,} more bytes ..." in shown.out
    assert f"weighbridge review accept {review.id} --billed USD" in shown.out
    [raw] = weighbridge("review", "show", review.id, "--json").json["raw_answers"]
    assert raw["attempt_id"] == attempt_id
    assert (raw["held_usd"], raw["left_out_bytes"]) == ("0.000000100", left_out)
    assert HOSTILE.startswith(raw["text"])


def test_a_review_without_one_has_none(weighbridge, ledger):
    review = unknown_review(ledger)
    assert weighbridge("review", "show", review.id, "--json").json["raw_answers"] == []
    assert "review accept" not in weighbridge("review", "show", review.id).out


@pytest.mark.parametrize(
    ("options", "billed"), [(("--billed", "0.00000003"), 30), (("--not-billed",), 0)], ids=["billed", "not"]
)
def test_accepting_books_and_answers(weighbridge, ledger, options, billed):
    review, attempt_id = unread_review(ledger)
    ended = weighbridge("review", "accept", review.id, *options, "--by", "ana", "--json")
    assert ended.json == {
        "review": review.id,
        "attempt": attempt_id,
        "held_usd": "0.000000100",
        "billed_usd": f"0.0000000{billed:02d}",
    }
    assert money(ledger)["day"] == (0, billed)
    assert reviews.one_review(ledger, review.id).status == "sent"
    shown = weighbridge("show", "job-0", "--answer")
    assert RAW in shown.out
    again = weighbridge("review", "accept", review.id, *options, "--by", "ben")
    assert again.code == 2
    assert again.sentence.startswith(f"Review {review.id} cannot be accepted: ")
    assert again.sentence.endswith("Nothing was accepted.")


def test_the_sentence_says_what_was_booked_and_what_comes_next(weighbridge, ledger):
    review, attempt_id = unread_review(ledger)
    ended = weighbridge("review", "accept", review.id, "--billed", "0.00000003", "--by", "ana")
    assert (ended.code, ended.err) == (0, "")
    for words in (attempt_id, "0.000000030 USD booked", "0.000000100 USD ended", "weighbridge collect"):
        assert words in ended.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "Use either --billed USD or --not-billed"),
        (("--billed", "1", "--not-billed"), "Use either"),
        (("--billed", "much"), "amount"),
        (("--billed", "1"), "more than the 0.000000100 USD that it can have cost"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(weighbridge, ledger, options, words):
    review, _ = unread_review(ledger)
    ended = weighbridge("review", "accept", review.id, *options, "--by", "ana")
    assert ended.code == 2
    assert words in ended.sentence
    assert money(ledger)["day"] == (100, 0)
