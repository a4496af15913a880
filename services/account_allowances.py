"""The rates of an account as one process uses them: each limit's turns leased from the ledger that all processes share."""

import contextlib
from collections.abc import AsyncIterator

from rules.lease_block import Block, BlockAsk
from services.ledger import Ledger, allowances
from services.limiter import EndpointLimiter
from services.shared_turns import SharedTurns


class AccountAllowances:
    """The rates of one account, as far as this process leases blocks of them.

    Args:
        ledger: where they are leased; None: this process takes them whole.
        account: whose they are; see `services.api_client.account_of`.
    """

    def __init__(self, ledger: Ledger | None, account: str) -> None:
        self._ledger = ledger
        self._account = account
        self._shared: list[SharedTurns] = []

    def share(self, limiter: EndpointLimiter, limit_name: str) -> EndpointLimiter:
        """The limiter, its turns leased from now on."""
        ledger = self._ledger
        if ledger is None:
            return limiter

        async def lease(ask: BlockAsk) -> Block:
            return await ledger.off_loop(allowances.lease, self._account, limit_name, ask)

        shared = SharedTurns(limiter, lease)
        self._shared.append(shared)
        limiter.shared = shared
        return limiter

    async def close(self) -> None:
        """Give back what is held."""
        for shared in self._shared:
            await shared.close()


@contextlib.asynccontextmanager
async def shared_allowances(ledger: Ledger | None, account: str) -> AsyncIterator[AccountAllowances]:
    """The allowances of an account, for as long as this process calls; then what is held is given back."""
    allowances = AccountAllowances(ledger, account)
    try:
        yield allowances
    finally:
        await allowances.close()
