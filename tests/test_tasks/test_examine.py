"""Examining an installation: what is ready, what is not, and that no check stops another."""

import asyncio
from contextlib import closing

import pytest

from rules.diagnosis import STALE_AFTER
from schemas.alert import AlertOnServer
from schemas.checkup import CheckState
from schemas.deployment import Cockpit
from schemas.errors import BadInput
from schemas.settings import DEFAULT_POLICY
from services.ledger import open_ledger
from simulator.process import running_simulator
from tasks import examine as examining
from tasks.examine import Installation, examine
from tests.strategies import begin

NAMES = [
    "policy",
    "prices",
    "key",
    "endpoint",
    "models",
    "ledger",
    "folders",
    "server",
    "work pool",
    "worker",
    "deployments",
    "alerts",
]


@pytest.fixture(autouse=True)
def _without_a_server(monkeypatch):
    monkeypatch.setattr(examining, "server_address", lambda: None)
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def states(folder, **more):
    asked = {"policy": DEFAULT_POLICY, "ledger_url": f"sqlite:///{folder}/ledger.db", "results": folder}
    found = asyncio.run(examine(Installation(**asked | more)))
    assert [check.name for check in found.checks] == NAMES
    return {check.name: check for check in found.checks}


def test_an_installation_with_a_simulator_is_ready_but_for_prefect_and_nothing_is_written(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "simulated")
    with running_simulator() as simulator:
        found = states(tmp_path, base_url=simulator.base_url)
        assert simulator.stats()["billed"] == 0
    assert {check.state for check in found.values()} == {CheckState.OK, CheckState.NOT_MADE}
    assert [name for name, check in found.items() if check.state is CheckState.NOT_MADE] == NAMES[7:]
    assert "simulated" in found["endpoint"].found
    assert list(tmp_path.iterdir()) == []


def test_the_years_go_by_and_the_price_list_is_old_only_where_real_money_is_spent(tmp_path, monkeypatch):
    monkeypatch.setattr(examining, "newest_price_day", lambda today: today - 2 * STALE_AFTER)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "simulated")
    with running_simulator() as simulator:
        assert states(tmp_path, base_url=simulator.base_url)["prices"].state is CheckState.OK
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert states(tmp_path)["prices"].state is CheckState.OFF


def test_a_ledger_of_real_runs_is_off_at_a_simulator(tmp_path):
    with closing(open_ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        begin(ledger, simulated=False)
    with running_simulator() as simulator:
        found = states(tmp_path, base_url=simulator.base_url)
    assert "holds real runs, and the endpoint is simulated" in found["ledger"].found


def test_without_a_key_a_policy_or_a_ledger_that_can_be_opened_each_check_says_so(tmp_path):
    found = states(
        tmp_path, policy=tmp_path / "none.toml", ledger_url="nonsense", results=tmp_path / "a" / "b"
    )
    off = [name for name, check in found.items() if check.state is CheckState.OFF]
    assert off == ["policy", "key", "ledger"]
    assert "There is no API key" in found["key"].found
    assert "that of `weighbridge simulate`" in found["key"].found
    assert found["models"].found == "not checked: there is no key that can be sent"
    assert found["prices"].state is CheckState.NOT_MADE


def test_a_check_that_fails_itself_is_a_finding_and_the_others_go_on(tmp_path, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(examining, "newest_price_day", fails)
    found = states(tmp_path)
    assert found["prices"].found == "the check could not be made (ZeroDivisionError)"
    assert found["folders"].state is CheckState.OK


def test_a_server_that_does_not_answer_is_off_and_what_needs_it_is_not_made(tmp_path, monkeypatch):
    async def away(_):
        raise ConnectionError

    monkeypatch.setattr(examining, "server_address", lambda: "http://127.0.0.1:1/api")
    monkeypatch.setattr(examining, "read_cockpit", away)
    found = states(tmp_path)
    assert found["server"].found == "http://127.0.0.1:1/api does not answer (ConnectionError)"
    assert found["worker"].found == "not checked: the server does not answer"


def test_what_a_server_has_is_checked_and_a_file_that_cannot_be_read_stops_only_its_own_check(
    tmp_path, monkeypatch
):
    async def read(pool):
        return Cockpit("http://x/api", "3.8.8", pool, pool_type="process", workers=("ana",))

    def unreadable():
        raise BadInput("The deployments cannot be read. Nothing was deployed.")

    monkeypatch.setattr(examining, "server_address", lambda: "http://x/api")

    async def no_alerts(api, specs):
        return [AlertOnServer(spec.name, spec.watches, None) for spec in specs]

    monkeypatch.setattr(examining, "named_server", lambda: "http://x/api")
    monkeypatch.setattr(examining, "alerts_on_server", no_alerts)
    monkeypatch.setattr(examining, "read_cockpit", read)
    found = states(tmp_path)
    assert [found[name].state for name in NAMES[7:]] == ["ok", "ok", "ok", "off", "ok"]
    assert "`weighbridge alerts apply`" in found["alerts"].what_to_do
    assert "not on the server: nightly" in found["deployments"].found
    monkeypatch.setattr(examining, "deployments_of", unreadable)
    found = states(tmp_path)
    assert [found[name].state for name in NAMES[7:]] == ["ok", "ok", "ok", "off", "ok"]
    assert "cannot be read" in found["deployments"].found


def test_a_folder_that_cannot_be_made_is_off(tmp_path):
    (tmp_path / "file").write_text("")
    assert states(tmp_path, results=tmp_path / "file" / "results")["folders"].state is CheckState.OFF
