"""Examine an installation: is it ready for a night? Each check is small, and none can stop the others."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import make_url, select

from rules import diagnosis
from rules.diagnosis import FolderState, LedgerState, RouteModel
from rules.models import Models, nearing_its_end
from rules.price_age import newest_price_day
from rules.prices import PriceCard, Unpriced
from rules.watched_alerts import alerts
from schemas.checkup import CheckState, Checkup, Diagnosis
from schemas.deployment import Cockpit
from schemas.errors import WeighbridgeError
from schemas.ledger import RunRow
from schemas.model_facts import ModelFacts
from schemas.policy import Policy
from schemas.policy_sections import RateLimits
from schemas.words import masked_url
from services.alerts import alerts_on_server
from services.cockpit import named_server, read_cockpit, server_address
from services.deployments import POOL, deployments_of
from services.gateway import Gateway, client_for, open_gateway
from services.ledger import open_to_read
from services.ledger.day_zones import zone_of
from services.ledger.store import revision
from services.ledger.tables_version import newest_revision
from services.policy_file import read_policy
from tasks.check_models import why_not_callable

#: how long the API may take for all that is asked of it, seconds
_API_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Installation:
    """What is examined.

    Attributes:
        policy: the policy file.
        ledger_url: a SQLAlchemy URL.
        results: the folder for results.
        base_url: the API's address; None leaves it to the environment.
    """

    policy: Path
    ledger_url: str
    results: Path
    base_url: str | None = None


@dataclass(slots=True)
class _Seen:
    """What the checks before have found; None: they could not."""

    policy: Policy | None = None
    listed: Mapping[str, ModelFacts] | None = None
    simulated: bool | None = None


async def examine(here: Installation) -> Checkup:
    """Every check of an installation, told in the order in which they matter. Nothing is written, and nothing is paid."""
    seen = _Seen()
    checks = [await _made("policy", lambda: _policy(here, seen))]
    of_the_api = await _api_checks(here, seen)
    checks.append(await _made("prices", lambda: _prices(seen)))
    checks += of_the_api
    checks.append(await _made("ledger", lambda: _ledger(here, seen)))
    checks.append(await _made("folders", lambda: _folders(here)))
    checks += await _prefect_checks()
    return Checkup(checks=checks)


async def _made(name: str, check: Callable[[], Diagnosis | Awaitable[Diagnosis]]) -> Diagnosis:
    """What a check found, whatever happens in it."""
    try:
        found = check()
        return found if isinstance(found, Diagnosis) else await found
    except WeighbridgeError as error:
        return diagnosis.refused(name, str(error))
    except Exception as error:  # noqa: BLE001 - a check that fails is a finding, and the others go on
        return diagnosis.broken(name, type(error).__name__)


def _policy(here: Installation, seen: _Seen) -> Diagnosis:
    seen.policy = read_policy(here.policy)
    return diagnosis.policy_check(seen.policy, str(here.policy))


def _prices(seen: _Seen) -> Diagnosis:
    policy = seen.policy
    if policy is None:
        return diagnosis.not_made("prices", "the policy cannot be used")
    now = datetime.now(UTC)
    unpriced = []
    for model in dict.fromkeys(route.model for route in policy.routes):
        try:
            PriceCard(model, now, policy)
        except Unpriced as error:
            unpriced.append(str(error))
    today = now.date()
    return diagnosis.prices_check(
        policy, unpriced, newest_price_day(today), today, simulated=bool(seen.simulated)
    )


async def _api_checks(here: Installation, seen: _Seen) -> list[Diagnosis]:
    """The key, the endpoint and the models: each needs the one before."""
    key = await _made("key", lambda: _key(here))
    if key.state is CheckState.OFF:
        why = "there is no key that can be sent"
        return [key, diagnosis.not_made("endpoint", why), diagnosis.not_made("models", why)]
    try:
        async with (
            asyncio.timeout(_API_SECONDS),
            open_gateway(RateLimits(tries=2), here.base_url) as gateway,
        ):
            endpoint = await _made("endpoint", lambda: _endpoint(gateway, seen))
            return [key, endpoint, await _made("models", lambda: _models(gateway, seen))]
    except TimeoutError:
        endpoint = diagnosis.endpoint_silent(_API_SECONDS)
    except Exception as error:  # noqa: BLE001 - as in _made
        endpoint = diagnosis.broken("endpoint", type(error).__name__)
    return [key, endpoint, diagnosis.not_made("models", "the endpoint does not answer")]


def _key(here: Installation) -> Diagnosis:
    client = client_for(here.base_url)
    has_key = bool(client.credentials or client.auth_token or client.api_key not in (None, "none"))
    return diagnosis.key_check(has_key=has_key)


async def _endpoint(gateway: Gateway, seen: _Seen) -> Diagnosis:
    seen.listed = await gateway.models()
    seen.simulated = gateway.simulated
    return diagnosis.endpoint_check(gateway.endpoint, len(seen.listed), simulated=gateway.simulated)


async def _models(gateway: Gateway, seen: _Seen) -> Diagnosis:
    if seen.policy is None or seen.listed is None:
        return diagnosis.not_made("models", "they need the policy and the endpoint")
    models = Models(seen.policy, seen.listed.values())
    found = []
    for name in dict.fromkeys(route.model for route in seen.policy.routes):
        why = await why_not_callable(gateway, models, name)
        facts = models.callable.get(name)
        ending = None if facts is None else nearing_its_end(facts, datetime.now(UTC))
        found.append(RouteModel(name, why, ending))
    return diagnosis.models_check(found)


def _ledger(here: Installation, seen: _Seen) -> Diagnosis:
    time_zone = None if seen.policy is None else seen.policy.time_zone
    return diagnosis.ledger_check(
        _ledger_state(here.ledger_url), simulated=seen.simulated, time_zone=time_zone
    )


def _ledger_state(address: str) -> LedgerState:
    """How the ledger stands; it is neither made nor migrated."""
    file = _sqlite_path(address)
    newest = newest_revision()
    if file is not None and not file.exists():
        return LedgerState(masked_url(address), None, newest)
    with closing(open_to_read(address)) as ledger, ledger.read() as connection:
        version = revision(connection)
        if version != newest:
            return LedgerState(masked_url(address), version, newest)
        simulated = connection.scalar(select(RunRow.simulated).limit(1))
        return LedgerState(masked_url(address), version, newest, simulated, zone_of(connection))


def _sqlite_path(address: str) -> Path | None:
    """The file of a SQLite ledger; None for any other, and for what opening it refuses."""
    try:
        url = make_url(address)
    except Exception:  # noqa: BLE001 - opening it has the sentence
        return None
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _folders(here: Installation) -> Diagnosis:
    folders = [("results", here.results.absolute())]
    file = _sqlite_path(here.ledger_url)
    if file is not None:
        folders.append(("the ledger", file.absolute().parent))
    return diagnosis.folders_check(
        [FolderState(what, str(path), _is_writable(path)) for what, path in folders]
    )


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made: nothing is made to find out."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


async def _prefect_checks() -> list[Diagnosis]:
    """The server, and what a night on a schedule needs of it."""
    later = ("work pool", "worker", "deployments", "alerts")
    address = server_address()
    if address is None:
        why = "none is named (PREFECT_API_URL); a run by hand starts its own, a schedule needs one"
        unnamed = [diagnosis.not_made(name, "no server is named") for name in later]
        return [diagnosis.not_made("server", why), *unnamed]
    try:
        cockpit = await read_cockpit(POOL)
    except Exception as error:  # noqa: BLE001 - whatever the client raises, the server is away
        away = diagnosis.server_away(address, type(error).__name__)
        return [away, *(diagnosis.not_made(name, "the server does not answer") for name in later)]
    return [
        diagnosis.server_check(cockpit),
        diagnosis.pool_check(cockpit),
        diagnosis.worker_check(cockpit),
        await _made("deployments", lambda: _deployments(cockpit)),
        await _made("alerts", _alerts),
    ]


def _deployments(cockpit: Cockpit) -> Diagnosis:
    return diagnosis.deployments_check(cockpit, {one.name: one for one in deployments_of()})


async def _alerts() -> Diagnosis:
    return diagnosis.alerts_check(await alerts_on_server(named_server(), alerts(late_hours=2)))
