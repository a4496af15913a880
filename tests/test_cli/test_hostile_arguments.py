"""What nobody means to type is answered by a sentence or an empty list, and never by a traceback."""

import pytest

from tests.strategies import begin, end_early

HUGE = str(10**20)


@pytest.fixture
def ended(ledger):
    """A ledger with a run that has ended."""
    begin(ledger)
    end_early(ledger, "run-1")
    return ledger


@pytest.mark.parametrize(
    "arguments",
    [
        ["show"],
        ["report"],
        ["cancel"],
        ["time-zone"],
        ["review", "list", "--search"],
        ["review", "list", "--group"],
        ["review", "book", "--not-billed", "--by", "ana", "--attempt"],
        ["run"],
        ["run", "jobs.parquet", "--results"],
    ],
    ids=" ".join,
)
def test_an_argument_that_is_no_text_is_refused_by_its_bytes(weighbridge, ended, arguments):
    # as Python hands on the byte 0xff of a command line
    refused = weighbridge(*arguments, "caf\udcff")
    assert refused.code == 2
    assert "The argument 'caf\\udcff' is not UTF-8." in refused.sentence
    assert refused.out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["review", "show", HUGE], 2, f"There is no review {HUGE}"),
        (["review", "accept", HUGE, "--not-billed", "--by", "ana"], 2, f"There is no review {HUGE}"),
        (["review", "approve", HUGE, "--by", "ana"], 4, "there is no such review"),
        (["review", "list", "--limit", HUGE], 2, "--limit"),
        (["runs", "--limit", HUGE], 2, "--limit"),
        (["report", ""], 2, "has no run ; `weighbridge runs`"),
        (["cancel", ""], 2, "has no run ."),
        (["time-zone", "localtime"], 2, "unknown time zone 'localtime'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_number_or_a_name_that_nothing_has_is_a_sentence(weighbridge, ended, arguments, code, words):
    ended_with = weighbridge(*arguments)
    assert (ended_with.code, words in ended_with.err) == (code, True)
    assert "Traceback" not in ended_with.err
