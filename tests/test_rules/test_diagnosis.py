"""What the checks of an installation say: each can be fine and can be off, and then says what to do."""

from datetime import date, timedelta

import pytest

from rules import diagnosis
from rules.diagnosis import STALE_AFTER, FolderState, LedgerState, RouteModel
from schemas.alert import AlertOnServer
from schemas.checkup import CheckState, Checkup, Diagnosis
from schemas.deployment import Cockpit, DeploymentSpec
from tests.strategies import policy

TODAY = date(2026, 11, 27)
SPEC = DeploymentSpec(name="nightly", entrypoint="flows.nightly_batch.nightly_batch")
READY = Cockpit(
    "http://x/api",
    "3.8.8",
    "weighbridge",
    pool_type="process",
    workers=("ana",),
    deployments={"nightly": SPEC},
)
BARE = Cockpit("http://x/api", "3.8.8", "weighbridge")
PAUSED = Cockpit("http://x/api", "3.8.8", "weighbridge", pool_type="process", pool_paused=True)
LEDGER = LedgerState("sqlite:///x.db", "0010", "0010", simulated=True)

FINE = [
    diagnosis.policy_check(policy(), "policy.toml"),
    diagnosis.prices_check(policy(), [], TODAY - STALE_AFTER, TODAY),
    diagnosis.key_check(has_key=True),
    diagnosis.key_check(has_key=False),
    diagnosis.endpoint_check("http://x", 12, simulated=True),
    diagnosis.models_check([RouteModel("claude-haiku-5-5")]),
    diagnosis.ledger_check(LEDGER, simulated=True),
    diagnosis.ledger_check(LEDGER, simulated=None),
    diagnosis.ledger_check(LedgerState("sqlite:///x.db", None, "0010"), simulated=False),
    diagnosis.folders_check([FolderState("results", "/x", writable=True)]),
    diagnosis.server_check(READY),
    diagnosis.pool_check(READY),
    diagnosis.worker_check(READY),
    diagnosis.deployments_check(READY, {"nightly": SPEC}),
]
OFF = [
    (diagnosis.prices_check(policy(), ["no price is known for x"], TODAY, TODAY), "no price is known for x"),
    (
        diagnosis.prices_check(policy(), [], TODAY - STALE_AFTER - timedelta(days=1), TODAY),
        "has nothing newer than 2026-05-30",
    ),
    (diagnosis.prices_check(policy(), [], None, TODAY), "names no day"),
    (diagnosis.models_check([RouteModel("m", why_not="m is retired")]), "m: m is retired"),
    (diagnosis.models_check([RouteModel("m", ending="retires on 2026-11-30")]), "m retires on 2026-11-30"),
    (diagnosis.ledger_check(LedgerState("u", "0009", "0010"), simulated=None), "version 0009"),
    (
        diagnosis.ledger_check(
            LedgerState("u", "0010", "0010", time_zone="UTC"), simulated=None, time_zone="Asia/Tokyo"
        ),
        "counts its days in UTC, and the policy in Asia/Tokyo",
    ),
    (diagnosis.ledger_check(LEDGER, simulated=False), "holds simulated runs, and the endpoint is real"),
    (diagnosis.folders_check([FolderState("results", "/x", writable=False)]), "results in /x"),
    (diagnosis.server_away("http://x/api", "ConnectError"), "does not answer (ConnectError)"),
    (diagnosis.pool_check(BARE), "there is no work pool weighbridge"),
    (diagnosis.pool_check(PAUSED), "is paused"),
    (diagnosis.worker_check(BARE), "no worker of weighbridge is online"),
    (diagnosis.deployments_check(BARE, {"nightly": SPEC}), "not on the server: nightly"),
    (diagnosis.broken("models", "KeyError"), "KeyError"),
    (diagnosis.endpoint_silent(30), "did not answer within 30 seconds"),
]


@pytest.mark.parametrize("check", FINE, ids=lambda check: check.found)
def test_what_is_fine_is_ok_and_its_sentence_has_no_full_stop(check):
    assert check.state is CheckState.OK
    assert not check.found.endswith(".")
    assert Checkup(checks=[check]).ok


@pytest.mark.parametrize(("check", "words"), OFF, ids=[words for _, words in OFF])
def test_what_is_off_says_what_was_found_and_what_to_do(check, words):
    assert check.state is CheckState.OFF
    assert words in check.found
    assert check.what_to_do.endswith(".")
    assert not Checkup(checks=[FINE[0], check]).ok


def test_a_check_that_was_not_made_is_not_off():
    check = diagnosis.not_made("worker", "no server is named")
    assert (check.state, Checkup(checks=[check]).ok) == (CheckState.NOT_MADE, True)
    assert check.found == "not checked: no server is named"


def test_the_sentence_of_an_error_is_what_was_found():
    check = diagnosis.refused("policy", "The policy file x cannot be read. Nothing was sent.")
    assert check == Diagnosis(
        name="policy", state=CheckState.OFF, found="The policy file x cannot be read. Nothing was sent"
    )


def test_what_an_operator_changed_is_named_and_is_not_off():
    theirs = {"nightly": DeploymentSpec(name="nightly", entrypoint="", tags=("mine",))}
    cockpit = Cockpit("http://x/api", "3.8.8", "weighbridge", pool_type="process", deployments=theirs)
    check = diagnosis.deployments_check(cockpit, {"nightly": SPEC})
    assert check.state is CheckState.OK
    assert "tags is ['mine'] on the server" in check.found
    assert "--reset" in check.what_to_do


def test_a_contract_price_that_ends_soon_is_named():
    ending = policy(prices=[{"model": "*", "discount_percent": "5", "until": TODAY + timedelta(days=3)}])
    check = diagnosis.prices_check(ending, [], TODAY, TODAY)
    assert check.state is CheckState.OK
    assert "contract prices end: * on 2026-11-30" in check.found


@pytest.mark.parametrize("newest", [date(2020, 1, 1), None])
def test_an_old_price_list_is_named_at_a_simulator_and_is_not_off(newest):
    check = diagnosis.prices_check(policy(), [], newest, TODAY, simulated=True)
    assert check.state is CheckState.OK
    assert "for real money, the price list" in check.found
    assert "Upgrade genai-prices" in check.what_to_do
    unpriced = diagnosis.prices_check(policy(), ["no price is known for x"], newest, TODAY, simulated=True)
    assert unpriced.state is CheckState.OFF


def test_alerts_that_are_not_on_are_named_and_are_not_off():
    def found(*states):
        return [AlertOnServer(f"a{number}", "It watches.", state) for number, state in enumerate(states)]

    none, some, every = (
        diagnosis.alerts_check(found(*states)) for states in ((None, False), (True, None), (True, True))
    )
    assert {check.state for check in (none, some, every)} == {CheckState.OK}
    assert none.found == "none is on: nobody hears of a night that fails"
    assert none.what_to_do == "`weighbridge alerts apply` makes them."
    assert some.found == "on: 1; not on: a1"
    assert every.found == "all 2 are on"
    assert not every.what_to_do
