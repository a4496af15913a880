"""Two processes of one key, each with a gateway over one ledger, against a simulator that enforces the rate."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.limiter import SCENARIOS, measured
from services.account_allowances import shared_allowances
from services.ledger import open_ledger
from services.limiter import EndpointLimiter, RequestPace
from services.shared_turns import SharedTurns


async def test_without_a_ledger_a_limiter_stays_as_it_is_and_with_one_it_shares(ledger):
    limiter = EndpointLimiter(RequestPace(None, 10))
    async with shared_allowances(None, "key") as allowances:
        assert allowances.share(limiter, "count_tokens").shared is None
    async with shared_allowances(ledger, "key") as allowances:
        assert isinstance(allowances.share(limiter, "count_tokens").shared, SharedTurns)
        await limiter.turn()


def test_two_processes_are_hardly_ever_refused():
    """How much each of them sends in a few seconds, a busy machine decides; test_turns_under_load.py has the target."""
    one = measured(SCENARIOS["requests, server below policy"], 2, 5)
    assert one.answered > 0
    assert one.share_refused <= 0.005


#: how long each scenario is called, seconds: requests are spread evenly; a minute's tokens last about 40 seconds
SHORT = {
    "requests": 20,
    "requests, of the account": 20,
    "requests, server below policy": 20,
    "input tokens, server below policy": 45,
}
QUIET = "WEIGHBRIDGE_QUIET" in os.environ


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """The short measurements under way, two at a time, the longest first: they mostly wait for their turns."""
    folder = tmp_path_factory.mktemp("allowances")
    ledgers = {name: f"sqlite:///{folder}/{number}.db" for number, name in enumerate(SHORT)}
    for url in ledgers.values():  # two threads may not migrate at once
        open_ledger(url).close()
    with ThreadPoolExecutor(2) as two:
        yield {
            name: two.submit(measured, SCENARIOS[name], 2, SHORT[name], ledgers[name])
            for name in sorted(SHORT, key=SHORT.get, reverse=True)
        }


@pytest.mark.slow
@pytest.mark.xdist_group("account-allowances")
@pytest.mark.parametrize("scenario", list(SCENARIOS) if QUIET else list(SHORT))
def test_two_processes_together_use_the_rate_and_are_hardly_ever_refused(scenario, request):
    """Only a quiet machine can show the shares: test_turns_under_load.py has them on a clock of its own."""
    one = (
        measured(SCENARIOS[scenario], 2, 130)
        if QUIET
        else request.getfixturevalue("short")[scenario].result()
    )
    assert one.answered > 0
    assert one.share_refused <= 0.005
    if QUIET:
        assert one.share_used >= 0.97
        assert min(one.by_process) > 0.1 * sum(one.by_process)
