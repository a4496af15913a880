"""`weighbridge review list`."""

import pytest


def jobs_listed(weighbridge, *options):
    ended = weighbridge("review", "list", "--json", *options)
    assert ended.code == 0, ended
    return [row["job_id"] for row in ended.json]


def test_the_table_has_the_reviews_and_their_total(weighbridge, waiting):
    shown = weighbridge("review", "list")
    assert (shown.code, shown.err) == (0, "")
    assert all(f"job-{row}" in shown.out for row in range(3))
    assert "3 review(s), worst case $6.00 in total, 3,003 input tokens." in shown.out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [2, 1, 0]),
        (["--order", "oldest"], [0, 1, 2]),
        (["--order", "dearest", "--limit", "1"], [2]),
        (["--group", "red"], [1, 0]),
        (["--over", "1.5"], [2, 1]),
        (["--search", "JOB-1"], [1]),
        (["--model", "claude-haiku-5-5"], []),
        (["--reason", "over_cost_limit", "--run", "run-1"], [2, 1, 0]),
        (["--reason", "over cost limit"], [2, 1, 0]),
        (["--run", "run-2"], []),
        (["--status", "approved"], []),
        (["--status", "all"], [2, 1, 0]),
    ],
)
def test_each_filter_leaves_only_what_it_asks_for(weighbridge, waiting, options, expected):
    assert jobs_listed(weighbridge, *options) == [f"job-{row}" for row in expected]


def test_who_claimed_a_review_stands_next_to_its_status(weighbridge, waiting):
    weighbridge("review", "claim", waiting[0], "--by", "ana")
    assert "claimed (ana)" in weighbridge("review", "list", "--status", "claimed").out


def test_when_nothing_matches_it_says_of_what_and_where(weighbridge, ledger):
    assert weighbridge("review", "list").out == f"No pending review matches in {ledger.url}.\n"
    assert weighbridge("review", "list", "--status", "all").out == f"No review matches in {ledger.url}.\n"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--status", "lost"], "There is no status 'lost'"),
        (
            ["--reason", "too_dear"],
            "There is no reason 'too_dear'; use one of over_input_limit, over_cost_limit, ",
        ),
        (["--over", "nan"], "--over 'nan' is not an amount"),
        (["--ledger", "sqlite:///other.db"], "There is no ledger"),
    ],
)
def test_wrong_input_is_a_sentence(weighbridge, waiting, options, word):
    ended = weighbridge("review", "list", *options)
    assert ended.code == 2
    assert word in ended.sentence


@pytest.mark.parametrize("options", [["--limit", "0"], ["--order", "cheapest"]])
def test_options_that_cannot_be_end_with_2(weighbridge, waiting, options):
    assert weighbridge("review", "list", *options).code == 2
