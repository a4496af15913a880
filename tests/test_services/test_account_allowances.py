"""Two processes of one key, each with a gateway over one ledger, against a simulator that enforces the rate."""

import os

import pytest

from bench.limiter import SCENARIOS, measured
from services.account_allowances import shared_allowances
from services.limiter import EndpointLimiter, RequestPace
from services.shared_turns import SharedTurns


async def test_without_a_ledger_a_limiter_stays_as_it_is_and_with_one_it_shares(ledger):
    limiter = EndpointLimiter(RequestPace(None, 10))
    async with shared_allowances(None, "key") as allowances:
        assert allowances.share(limiter, "count_tokens").shared is None
    async with shared_allowances(ledger, "key") as allowances:
        assert isinstance(allowances.share(limiter, "count_tokens").shared, SharedTurns)
        await limiter.turn()


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["requests, server below policy"])
def test_two_processes_are_hardly_ever_refused_and_both_send(scenario):
    one = measured(SCENARIOS[scenario], 2, 8)
    assert one.share_refused <= 0.005
    assert min(one.by_process) > 0.1 * sum(one.by_process)
    assert (
        one.share_used > 0.5
    )  # a few seconds on a machine that does other things; the slow form has the target


@pytest.mark.slow
@pytest.mark.skipif(
    "WEIGHBRIDGE_QUIET" not in os.environ, reason="eleven minutes of a machine without other work"
)
@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_two_processes_together_use_the_rate_and_are_hardly_ever_refused(scenario):
    one = measured(SCENARIOS[scenario], 2, 130)
    assert one.share_refused <= 0.005
    assert one.share_used >= 0.97
