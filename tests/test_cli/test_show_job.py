"""`weighbridge show JOB`: history and money; text only when it is asked for."""

import json

import pytest

from tests.ledgers import started
from tests.strategies import settlement, take, write_down

SECRET = "the answer is 42\x1b[2J"


@pytest.fixture
def answered(ledger):
    """A run whose first job is answered, with two text blocks."""
    started(ledger, 2)
    attempt = take(ledger, [10_000]).held[0]
    blocks = [
        {"type": "text", "text": SECRET},
        {"type": "tool_use", "name": "x"},
        {"type": "text", "text": "ok"},
    ]
    body = json.dumps({"content": blocks})
    done = settlement(attempt.attempt_id, "succeeded", "succeeded", cost=7_000, response=body)
    write_down(ledger, [attempt.attempt_id], [done])
    return attempt


def test_a_job_has_its_runs_its_attempts_and_its_money_and_no_text(weighbridge, answered):
    ended = weighbridge("show", "job-0")
    assert (ended.code, ended.err) == (0, "")
    assert "job job-0: $0.000007 spent, $0.000000 held" in ended.out
    assert "run-1" in ended.out
    assert answered.attempt_id in ended.out
    assert SECRET.partition("\x1b")[0] not in ended.out
    found = weighbridge("show", "job-0", "--json").json
    assert found["spent_usd"] == "0.000007000"
    assert [one["state"] for one in found["attempts"]] == ["succeeded"]
    assert found["attempts"][0]["actual_usd"] == "0.000007000"
    assert "answer" not in found


def test_its_answer_is_printed_when_it_is_asked_for_and_cannot_move_the_cursor(weighbridge, answered):
    shown = weighbridge("show", "job-0", "--answer").out
    assert shown.endswith("the answer is 42?[2J\nok\n")
    assert weighbridge("show", "job-0", "--json", "--answer").json["answer"] == f"{SECRET}\nok"


def test_a_job_without_an_answer_says_so(weighbridge, answered):
    assert "No answer is on record" in weighbridge("show", "job-1", "--answer").out
    assert weighbridge("show", "job-1", "--answer", "--json").json["answer"] is None


def test_a_review_is_shown_with_its_status(weighbridge, waiting, ledger):
    found = weighbridge("show", "job-2", "--json").json
    assert [review["status"] for review in found["reviews"]] == ["pending"]
    assert "over_cost_limit" in weighbridge("show", "job-2").out


def test_a_job_that_nobody_knows_is_2(weighbridge, ledger):
    ended = weighbridge("show", "job-9")
    assert ended.code == 2
    assert "has no job job-9" in ended.sentence


def test_a_job_that_has_not_ended_is_found(weighbridge, answered):
    assert [one["outcome"] for one in weighbridge("show", "job-1", "--json").json["runs"]] == [None]
    assert "not ended" in weighbridge("show", "job-1").out
