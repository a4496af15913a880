"""Weighing quoted jobs: each is counted once for all policies, and priced under each."""

import asyncio
from pathlib import Path

import pytest

from rules.quote_tally import QuoteTally
from rules.thinking_ways import ThinkingWays
from schemas.errors import RunFailed
from schemas.outcome import Outcome, Reason
from tasks.count_tokens import JobOnScale
from tasks.quoting import Candidate, Quoting
from tasks.weigh_quoted import compare_policies, count_batch, quote_under
from tests.nights import Rows, a_run, with_models_checked
from tests.strategies import job

pytestmark = pytest.mark.one_database


def on_scale(text):
    made = job(0, text=text)
    return JobOnScale(made.queued(), made.payload)


def quoting(ledger, *, limit=None):
    run = asyncio.run(with_models_checked(a_run(ledger)))
    request = {} if limit is None else {"request": {"max_input_tokens": limit}}
    other = asyncio.run(with_models_checked(a_run(ledger, **request)))
    candidates = [Candidate("own", run.scale, is_whole=True), Candidate("other", other.scale, is_whole=True)]
    return Quoting("q", ledger, run.gateway, candidates, Rows([]), None, Path("there"))


def test_a_job_is_counted_once_and_priced_under_each_policy(ledger):
    under = quoting(ledger, limit=1)
    one = on_scale("hello")
    asyncio.run(count_batch(under, [one]))
    assert len(under.gateway.counted) == 1
    found = quote_under(under.scale, one, with_limits=True)
    assert (found.outcome, found.quote is not None) == (None, True)
    tally = QuoteTally(["own", "other"], ThinkingWays(lambda *_: None, ()))
    compare_policies(under, one, found, tally)
    assert tally.policies["other"].review == 1
    over = quote_under(under.candidates[1].scale, one, with_limits=True)
    assert (over.outcome, over.reason) == (Outcome.REVIEW, Reason.OVER_INPUT_LIMIT)


def test_a_failure_that_concerns_all_jobs_ends_the_quote_with_a_sentence(ledger):
    with pytest.raises(RunFailed, match="could not be counted"):
        asyncio.run(count_batch(quoting(ledger), [on_scale("count:denied")]))
