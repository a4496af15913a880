"""What collecting came to, in words."""

from rules.collection_text import collection_text
from schemas.batch import Collection
from schemas.outcome import RunOutcome
from schemas.report import RunReport


def test_it_says_what_is_finished_and_what_is_out():
    one = RunReport(run_id="run-1", outcome=RunOutcome.COMPLETE)
    assert collection_text(Collection([one], 2)) == "1 run finished; 2 batches still with the provider."
    assert collection_text(Collection()) == "0 runs finished; 0 batches still with the provider."


def test_what_belongs_elsewhere_is_named_with_what_it_needs():
    text = collection_text(Collection([], 3, 2))
    assert "2 of them at another endpoint or in another workspace" in text
    assert "ANTHROPIC_BASE_URL" in text


def test_nothing_to_collect_is_no_zero_among_zeros():
    assert collection_text(Collection(nothing_left=True)).startswith("Nothing is left to collect")
