"""Quoted sharing: the first row of a payload is priced, the others end as it does, and the groups' money goes with it."""

from dataclasses import replace

import pytest

from rules.job_quote import JobQuote
from rules.lesson import Tally
from rules.quote_tally import QuotedRow, QuoteTally
from rules.quoted_sharing import Lead, QuotedSharing
from rules.thinking_ways import ThinkingWays
from schemas.estimate import Estimate
from schemas.outcome import Method, Outcome, Reason
from schemas.payload.traits import PayloadClass
from tests.strategies import job, policy

ESTIMATE = Estimate("claude-haiku-5-5", 10, Method.COUNTED, 30, 40, 100)
QUOTE = JobQuote(
    estimate=ESTIMATE,
    key=("claude-haiku-5-5", PayloadClass.TEXT),
    observed=0,
    shift=0,
    spread=0,
    least=1,
    most=90,
    output_tokens=5,
)


def priced(one):
    queued = replace(one.queued(), model="claude-haiku-5-5")
    return QuotedRow(one.row_number, one.job_id, queued, None, None, None, QUOTE)


def test_the_first_of_a_payload_leads_and_what_becomes_of_it_is_known_to_the_others():
    sharing = QuotedSharing(policy(), looks_at_all=True)
    assert [sharing.leads(job(0)), sharing.leads(job(1)), sharing.leads(job(2, text="x"))] == [
        True,
        False,
        True,
    ]
    lead = Lead(Outcome.REVIEW, Reason.NO_ROUTE, "too heavy")
    sharing.note(job(0), lead)
    sharing.note(job(3), Lead(place=7))
    assert sharing.lead(job(1)) == lead


@pytest.mark.parametrize(
    ("changes", "other", "leads"),
    [
        ({}, {"model": "claude-opus-5-5"}, True),
        ({}, {"group": "ana"}, False),
        ({"run": {"answers_private_to_group": True}}, {"group": "ana"}, True),
        ({}, {"max_cost": 5}, False),
        ({"prune": {"on_over_budget": "prune"}}, {"max_cost": 5}, True),
        ({"run": {"share_answers": False}}, {}, True),
    ],
)
def test_what_makes_another_job_is_what_does_in_a_run(changes, other, leads):
    sharing = QuotedSharing(policy(**changes), looks_at_all=True)
    sharing.leads(job(0))
    assert sharing.leads(job(1, **other)) == leads


def test_in_a_sample_every_row_is_priced_by_itself():
    sharing = QuotedSharing(policy(), looks_at_all=False)
    assert sharing.leads(job(0))
    assert sharing.leads(job(1))


def test_a_row_that_would_be_sent_in_place_of_another_takes_its_money_to_its_own_group():
    tally = QuoteTally(["own"], ThinkingWays(lambda *_: Tally(), ()))
    tally.add(priced(job(0, group="ana")), 0)
    assert tally.outranks(0, 1)
    assert not tally.outranks(0, 0)
    tally.hand_over(0, priced(job(1, group="ben")), 1)
    assert {name: sums.jobs for name, sums in tally.groups.by_name.items() if sums.jobs} == {"ben": 1}
    assert tally.groups.by_name["ana"].p90 == tally.groups.by_name["ana"].worst_case == 0
    assert [(need.row_number, need.group, need.priority) for need in tally.needs] == [(1, "ben", 1)]


def test_a_shared_row_is_counted_and_costs_nothing():
    tally = QuoteTally(["own"], ThinkingWays(lambda *_: Tally(), ()))
    tally.add(priced(job(0)), 0)
    tally.add(replace(priced(job(1)), outcome=Outcome.SUCCEEDED, is_shared=True), 0)
    assert (tally.shared, tally.rows[None], tally.rows[Outcome.SUCCEEDED]) == (1, 1, 0)
    assert tally.policies["own"].sums.expected == 40
