"""A raw answer is shown up to a bound, whole characters only, and the decision about it is one sentence or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.answer_text import result_text
from rules.endings import accepted
from rules.raw_answer import shown_raw, why_not_accepted
from schemas.attempt import SentTry
from schemas.job import AttemptId
from schemas.outcome import Billing, Outcome
from schemas.review import RawAnswer

RAW = RawAnswer("att_1", "run-1", None, 60, 100, "half")


@given(st.text(), st.integers(0, 40))
def test_what_is_shown_and_what_is_left_out_are_all_of_it(body, most):
    shown = shown_raw(body, most)
    size = len(body.encode(errors="surrogatepass"))
    assert body.startswith(shown.text)
    assert len(shown.text.encode()) + shown.left_out == size
    assert len(shown.text.encode()) <= most
    if size <= most:
        assert shown == (body, 0)


@pytest.mark.parametrize(
    ("unknown", "raw", "rivals", "billed", "words"),
    [
        (0, RAW, [], 1, "no attempt of unknown outcome"),
        (1, None, [], 1, "no raw answer"),
        (1, RAW, ["att_2"], 1, "sent again (attempt att_2)"),
        (1, RAW, [], -1, "less than nothing"),
        (1, RAW, [], 101, "0.000000101 USD is more than the 0.000000100 USD"),
    ],
)
def test_what_cannot_be_accepted_has_a_sentence(unknown, raw, rivals, billed, words):
    assert words in why_not_accepted(unknown, raw, rivals, billed)


@given(st.integers(0, 100))
def test_up_to_its_hold_it_can_be_accepted(billed):
    assert why_not_accepted(1, RAW, [], billed) is None


@given(st.text(), st.integers(0, 10**15), st.text())
def test_an_accepted_answer_has_its_cost_keeps_what_came_and_can_be_published(body, cost, by):
    end = accepted(SentTry(AttemptId("att_1"), 3, "req_1"), body, cost, by)
    assert (end.ending.outcome, end.charge.cost, end.charge.billing) == (
        Outcome.SUCCEEDED,
        cost,
        Billing.PARTIAL,
    )
    assert (end.tries, end.request_id, end.response) == (3, "req_1", None)
    assert end.error.startswith("accepted although it could not be read")
    assert isinstance(result_text(body), str)
