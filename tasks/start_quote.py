"""Start a quote: what must hold before the first count."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from rules.quote_policies import compared_policies, own_name, unfitted_policy
from rules.scale import Scale
from schemas.errors import BadInput
from schemas.ledger_place import ledger_url_of
from schemas.policy import Policy
from schemas.policy_sections import Margin
from schemas.run import RunOptions, SampleOptions
from schemas.settings import Settings
from services.flow_process import prepare_flow_process
from services.gateway import Gateway, open_gateway
from services.ledger import Ledger, day_zones, open_ledger, quotes, runs
from services.ledger.lessons import Lessons
from services.policy_file import read_policy
from services.result_file import writable_folder
from tasks.check_models import checked_models
from tasks.draw_rows import draw_rows
from tasks.quoting import Candidate, Quoting
from tasks.start_run import check_lasting, job_file, run_policy


@asynccontextmanager
async def start_quote(
    options: RunOptions,
    against: str | None = None,
    *,
    sample: SampleOptions | None = None,
    alone: bool = False,
) -> AsyncIterator[Quoting]:
    """A quote that may begin, with its services.

    Args:
        options: as for the run that is quoted.
        against: a policy file to compare with.
        sample: look at some rows only; None: at all.
        alone: compare the run's own policy with no other.

    Raises:
        BadInput: the job file, a policy, one of its models, the ledger or the results cannot be used.
        RunFailed: the ledger or the provider does not answer.
    """
    prepare_flow_process()
    settings = Settings()
    check_lasting(options, settings)
    policy = run_policy(options, settings)
    file = job_file(options, policy)
    if file is None:
        raise BadInput("A quote needs a job file. Nothing was counted.")
    whole = read_policy(Path(against)).overridden(None, None, options.mode) if against else None
    quote_id = f"quote-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    folder = writable_folder(Path(options.results or settings.results).absolute()) / quote_id
    drawn = None
    if sample is not None:
        drawn = await asyncio.to_thread(draw_rows, file, options.limit, sample.rows, sample.seed)
    ledger = open_ledger(ledger_url_of(options.ledger))
    try:
        async with open_gateway(policy.limits, options.base_url, ledger) as gateway:
            others = {} if alone else compared_policies(policy)
            candidates = await _candidates(ledger, gateway, (policy, whole), others)
            with ledger.read() as connection:
                quotes.assert_same_kind(connection, ledger.url, simulated=gateway.simulated)
                day_zones.assert_zone(connection, ledger.url, policy.time_zone)
            yield Quoting(
                quote_id=quote_id,
                ledger=ledger,
                gateway=gateway,
                candidates=candidates,
                file=file,
                limit=options.limit,
                folder=folder,
                drawn=drawn,
                asked=options,
                abandoned=frozenset(run.run_id for run in runs.left_unended(ledger)),
            )
    finally:
        ledger.close()


async def _candidates(
    ledger: Ledger, gateway: Gateway, named: tuple[Policy, Policy | None], others: dict[str, Policy]
) -> list[Candidate]:
    """The run's own policy, what it is compared with, and the one that a person names."""
    now = datetime.now(UTC)
    policy, whole = named

    listed = await gateway.models()
    # most of the policies have the same margin, and so the same lessons
    read: dict[Margin, Lessons] = {}

    async def scale(one: Policy) -> Scale:
        lessons = read.setdefault(one.margin, Lessons(ledger, now, one.margin))
        return Scale(one, await checked_models(gateway, one, listed), lessons.of)

    found = [Candidate(own_name(policy), await scale(policy), is_whole=True)]
    for name, other in others.items():
        found.append(Candidate(name, await scale(other)))
    unfitted = unfitted_policy(policy) if others else None
    if unfitted is not None:
        found.append(Candidate(own_name(unfitted), await scale(unfitted), is_whole=True))
    if whole is not None:
        name = own_name(whole)
        if any(one.name == name for one in found):
            name = f"{name} (against)"
        found.append(Candidate(name, await scale(whole), is_whole=True))
    return found
