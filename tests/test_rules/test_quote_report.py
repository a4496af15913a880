"""The two prices of a run whose answers are due: when all batches end in time, and when none does."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rules.deadline import deadline_of
from rules.job_quote import JobQuote
from rules.lesson import Tally
from rules.quote_policies import other_name, own_name
from rules.quote_report import quote_figures, quoted_deadline
from rules.quote_tally import QuotedRow, QuoteTally
from rules.quote_text import quoted_deadline_line
from rules.thinking_ways import ThinkingWays
from schemas.estimate import Estimate
from schemas.money import NanoUsd, to_nano
from schemas.outcome import Method, Outcome, Reason, RunOutcome
from tests.strategies import policy

NOW = datetime(2026, 11, 27, 21, tzinfo=UTC)
DUE = {"deadline": "06:30", "deadline_budget_usd": "2"}


def one(expected, worst):
    estimate = Estimate("m", 10, Method.COUNTED, 30, NanoUsd(expected), NanoUsd(worst))
    return JobQuote(estimate, ("m", "text"), 0, 0, 0, least=expected // 2, most=worst, output_tokens=3)


def tally_of(rules, *others):
    tally = QuoteTally([own_name(rules), *others], ThinkingWays(lambda *_: Tally(), ()))
    tally.policies[own_name(rules)].sums.add(one(300_000_000, 700_000_000))
    for name in others:
        tally.compare(name, one(600_000_000, 1_400_000_000))
    return tally


@pytest.mark.parametrize(
    ("used_usd", "reserve_usd", "covered"),
    [("0", "0", True), ("0.6", "0", True), ("0.61", "0", False), ("0.5", "0.2", False)],
)
def test_both_prices_are_named_and_whether_the_deadlines_budget_has_room_for_the_dearer(
    used_usd, reserve_usd, covered
):
    rules = policy(mode="batches", batch=DUE, hold={"reserve_usd": reserve_usd})
    tally = tally_of(rules, other_name(rules))
    found = quoted_deadline(tally, deadline_of(rules, NOW), rules, to_nano(Decimal(used_usd)))
    assert (f"{found.in_time.expected_usd:f}", f"{found.in_time.worst_usd:f}") == (
        "0.300000000",
        "0.700000000",
    )
    assert f"{found.all_at_deadline.worst_usd:f}" == "1.400000000"
    assert found.covered is covered
    line = quoted_deadline_line(found)
    assert "due at 2026-11-28 06:30 UTC" in line
    assert "before 06:00: $0.300000 expected, at most $0.700000" in line
    assert "full price: $0.600000 expected, at most $1.40" in line
    assert ("may not cover" in line) is not covered


def test_a_policy_that_is_compared_with_no_other_has_one_price():
    rules = policy(mode="batches", batch=DUE)
    assert quoted_deadline(tally_of(rules), deadline_of(rules, NOW), rules, 0) is None


@pytest.mark.parametrize(
    ("outcome", "reason", "ends"),
    [
        (Outcome.SUCCEEDED, None, RunOutcome.COMPLETE),
        (Outcome.REVIEW, Reason.CUT_OFF, RunOutcome.COMPLETE),
        (Outcome.REVIEW, Reason.IMPOSSIBLE_COUNT, RunOutcome.INCOMPLETE),
        (Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME, RunOutcome.INCOMPLETE),
        (Outcome.DEFERRED, Reason.IN_FLIGHT_ELSEWHERE, RunOutcome.INCOMPLETE),
        (Outcome.REJECTED, Reason.INVALID_ROW, RunOutcome.INCOMPLETE),
        (Outcome.REJECTED, Reason.REJECTED_BY_REVIEWER, RunOutcome.COMPLETE),
        (Outcome.FAILED, Reason.API_UNAVAILABLE, RunOutcome.INCOMPLETE),
    ],
)
def test_a_quote_ends_as_the_run_would(outcome, reason, ends):
    rules = policy()
    tally = tally_of(rules)
    tally.add(QuotedRow(0, "job-0", None, outcome, reason, None))
    found = quote_figures(tally, [], rules)
    assert found.outcome is ends
    assert found.jobs.read == 1
    if outcome in (Outcome.REVIEW, Outcome.UNKNOWN):
        assert found.jobs.review == found.policies[0].review == 1
