"""What the checks of an installation say: from facts to one sentence, and a person's next step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from rules.deployment_differences import difference_lines
from rules.ledger_option import ledger_option
from schemas.alert import AlertOnServer
from schemas.checkup import CheckState, Diagnosis
from schemas.deployment import Cockpit, DeploymentSpec
from schemas.policy import Policy

#: prices change a few times a year; a list that knows of nothing newer may have missed one
STALE_AFTER = timedelta(days=180)
#: a contract price that ends sooner is named
_ENDS_SOON = timedelta(days=14)
_START_ALL = "`weighbridge up` starts a server with all of it."


@dataclass(frozen=True, slots=True)
class RouteModel:
    """What is known of the model of a route.

    Attributes:
        why_not: why it cannot be called; None: it can.
        ending: how it nears its end; None: it does not.
    """

    model: str
    why_not: str | None = None
    ending: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerState:
    """How the ledger stands.

    Attributes:
        url: as it may be shown.
        version: of its tables; None: there is no ledger yet.
        newest: the version that this program works with.
        simulated: whether its runs are simulated; None: it has no runs.
        time_zone: whose days it counts in; None: it has no runs.
    """

    url: str
    version: str | None
    newest: str | None
    simulated: bool | None = None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class FolderState:
    """A folder that is written to.

    Attributes:
        what: what it is for.
        writable: whether it can be made and written to.
    """

    what: str
    path: str
    writable: bool


def _ok(name: str, found: str, what_to_do: str = "") -> Diagnosis:
    return Diagnosis(name=name, state=CheckState.OK, found=found, what_to_do=what_to_do)


def _off(name: str, found: str, what_to_do: str = "") -> Diagnosis:
    return Diagnosis(name=name, state=CheckState.OFF, found=found, what_to_do=what_to_do)


def refused(name: str, sentence: str) -> Diagnosis:
    """A check that an error's own sentence answers: it says what to do as well."""
    return _off(name, sentence.rstrip("."))


def not_made(name: str, why: str) -> Diagnosis:
    """A check that could not be made, because what it needs is not there."""
    return Diagnosis(name=name, state=CheckState.NOT_MADE, found=f"not checked: {why}")


def broken(name: str, kind: str) -> Diagnosis:
    """A check that failed itself; what cannot be known counts as off."""
    return _off(
        name,
        f"the check could not be made ({kind})",
        "Run it again; if it stays, report the check and this word.",
    )


def policy_check(policy: Policy, path: str) -> Diagnosis:
    """The policy can be used."""
    models = ", ".join(dict.fromkeys(route.model for route in policy.routes))
    return _ok(
        "policy", f"{policy.name} ({path}): {len(policy.routes)} routes to {models}, mode {policy.mode}"
    )


def prices_check(
    policy: Policy, unpriced: Sequence[str], newest: date | None, today: date, *, simulated: bool = False
) -> Diagnosis:
    """Every model of a route has its price, and the price list is not old, where real money is spent.

    Args:
        policy: whose contract prices are looked at.
        unpriced: why models of routes have no price.
        newest: the newest day that the price list knows of; None: it names none.
        today: the UTC day.
        simulated: the endpoint is a simulator, whose prices do not change as the years go by.
    """
    if unpriced:
        return _off("prices", "; ".join(unpriced), "Add the model's price as [[prices]] to the policy.")
    if newest is None or today - newest > STALE_AFTER:
        known = "names no day" if newest is None else f"has nothing newer than {newest}"
        old = f"the price list {known}: a change of the last {STALE_AFTER.days} days may be missing"
        upgrade = "Upgrade genai-prices, and compare the prices with the provider's page"
        if simulated:
            found = f"every route has its price, as the simulator has it; for real money, {old}"
            return _ok("prices", found, f"{upgrade}, before you spend real money.")
        return _off("prices", old, f"{upgrade}.")
    found = f"every route has its price; the newest in the price list is of {newest}"
    ending = [
        f"{price.model} on {price.last_day}"
        for price in policy.prices
        if price.last_day is not None and today <= price.last_day <= today + _ENDS_SOON
    ]
    if ending:
        return _ok(
            "prices", f"{found}; contract prices end: {', '.join(ending)}", "Renew them in the policy."
        )
    return _ok("prices", found)


def key_check(*, has_key: bool) -> Diagnosis:
    """There is a key that can be sent, or an endpoint that may need none."""
    if has_key:
        return _ok("key", "there is a key that can be sent")
    return _ok("key", "there is no key; an endpoint of one's own may need none")


def endpoint_check(endpoint: str, models: int, *, simulated: bool) -> Diagnosis:
    """The API answers a free call with this key."""
    kind = " (simulated: no real API, no real money)" if simulated else ""
    return _ok("endpoint", f"{endpoint} answers and lists {models} models{kind}")


def endpoint_silent(seconds: int) -> Diagnosis:
    """The API took too long."""
    return _off(
        "endpoint",
        f"the API did not answer within {seconds} seconds",
        "Check the network, and the address in ANTHROPIC_BASE_URL.",
    )


def models_check(models: Iterable[RouteModel]) -> Diagnosis:
    """The models of the routes may be called, and go on being answered for."""
    seen = list(models)
    if refusals := [f"{one.model}: {one.why_not}" for one in seen if one.why_not]:
        return _off("models", "; ".join(refusals), "Name other models in the policy.")
    if endings := [f"{one.model} {one.ending}" for one in seen if one.ending]:
        return _off("models", "; ".join(endings), "Choose the successor in the policy.")
    return _ok("models", f"{len(seen)} of the policy may be called; none of them is near its end")


def ledger_check(ledger: LedgerState, *, simulated: bool | None, time_zone: str | None = None) -> Diagnosis:
    """The ledger can be used by this program at this endpoint, under this policy.

    Args:
        ledger: how it stands.
        simulated: whether the endpoint is a simulator; None: not known.
        time_zone: of the policy; None: not known.
    """
    if ledger.version is None:
        return _ok("ledger", f"there is none yet at {ledger.url}; the first run makes it")
    if ledger.version != ledger.newest:
        return _off(
            "ledger",
            f"{ledger.url} has tables of version {ledger.version}, and this program works with {ledger.newest}",
            "An older one is brought up to date by the next run; a newer one needs the version that made it.",
        )
    if simulated is not None and ledger.simulated is not None and simulated is not ledger.simulated:
        kinds = ("real", "simulated")
        return _off(
            "ledger",
            f"{ledger.url} holds {kinds[ledger.simulated]} runs, and the endpoint is {kinds[simulated]}",
            "Name another ledger with --ledger or WEIGHBRIDGE_LEDGER, or another endpoint.",
        )
    if None not in (time_zone, ledger.time_zone) and time_zone != ledger.time_zone:
        return _off(
            "ledger",
            f"{ledger.url} counts its days in {ledger.time_zone}, and the policy in {time_zone}",
            f'Write time_zone = "{ledger.time_zone}" in the policy, or change the zone of the ledger with '
            f"`weighbridge time-zone {time_zone}{ledger_option(ledger.url)}`.",
        )
    return _ok("ledger", f"{ledger.url} is of version {ledger.version}")


def folders_check(folders: Sequence[FolderState]) -> Diagnosis:
    """What a run writes can be written."""
    if closed := [f"{one.what} in {one.path}" for one in folders if not one.writable]:
        return _off(
            "folders",
            f"cannot be written: {', '.join(closed)}",
            "Change the rights of the folder, or name another one.",
        )
    return _ok("folders", "can be written: " + ", ".join(f"{one.what} in {one.path}" for one in folders))


def server_check(cockpit: Cockpit) -> Diagnosis:
    """The Prefect server answers."""
    return _ok("server", f"{cockpit.address} answers, Prefect {cockpit.version}")


def server_away(address: str, kind: str) -> Diagnosis:
    """The Prefect server that the settings name does not answer."""
    return _off(
        "server", f"{address} does not answer ({kind})", f"Start it, or unset PREFECT_API_URL; {_START_ALL}"
    )


def pool_check(cockpit: Cockpit) -> Diagnosis:
    """The work pool of the deployments is there and hands out work."""
    if cockpit.pool_type is None:
        advice = f"`prefect work-pool create {cockpit.pool} --type process` makes it; {_START_ALL}"
        return _off("work pool", f"there is no work pool {cockpit.pool}", advice)
    if cockpit.pool_paused:
        return _off(
            "work pool",
            f"{cockpit.pool} is paused: no run of a deployment starts",
            f"`prefect work-pool resume {cockpit.pool}` lets it go on.",
        )
    return _ok("work pool", f"{cockpit.pool}, type {cockpit.pool_type}")


def worker_check(cockpit: Cockpit) -> Diagnosis:
    """Somebody does the work of the pool."""
    if not cockpit.workers:
        return _off(
            "worker",
            f"no worker of {cockpit.pool} is online: no run of a deployment starts",
            f"`prefect worker start --pool {cockpit.pool}`, with the key in its environment; {_START_ALL}",
        )
    return _ok("worker", f"online: {', '.join(cockpit.workers)}")


def deployments_check(cockpit: Cockpit, ours: Mapping[str, DeploymentSpec]) -> Diagnosis:
    """The server has every deployment of prefect.yaml. What an operator changed is named, and is not off."""
    there = cockpit.deployments
    if missing := [name for name in ours if name not in there]:
        return _off(
            "deployments",
            f"not on the server: {', '.join(missing)}",
            "`weighbridge up` makes those that are missing.",
        )
    differences = [line for name, spec in ours.items() for line in difference_lines(spec, there[name])]
    if differences:
        return _ok(
            "deployments",
            f"all {len(ours)} are there; {' '.join(differences)}".rstrip("."),
            "`weighbridge up --reset` takes what the file has.",
        )
    return _ok("deployments", f"all {len(ours)} are there, as prefect.yaml has them")


def alerts_check(found: Sequence[AlertOnServer]) -> Diagnosis:
    """Whether somebody hears of a night that needs a hand. A night can do without."""
    apply = "`weighbridge alerts apply` makes them."
    on = [one.name for one in found if one.on]
    if not on:
        return _ok("alerts", "none is on: nobody hears of a night that fails", apply)
    if off := [one.name for one in found if not one.on]:
        return _ok("alerts", f"on: {len(on)}; not on: {', '.join(off)}", f"If they should be on: {apply}")
    return _ok("alerts", f"all {len(on)} are on")
