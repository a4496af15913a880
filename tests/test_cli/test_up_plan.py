"""What `weighbridge up` starts: everything of its own place, and nothing of another server."""

from pathlib import Path

import pytest

from cli.up_plan import UpPlan, UpPorts

HERE = Path("/srv/night")
HOME = HERE / "data/up"
FOREIGN = {
    "PREFECT_API_URL": "https://elsewhere/api",
    "PREFECT_API_KEY": "secret",
    "PREFECT_PROFILE": "other",
    "ANTHROPIC_API_KEY": "sk-real",
    "PATH": "/bin",
}


def plan(simulate=False, **caller):
    ports = UpPorts(prefect=1, review=2, simulator=3)
    return UpPlan(home=HOME, folder=HERE, ports=ports, caller=FOREIGN | caller, simulate=simulate)


def processes(planned):
    return [
        planned.simulator_process(),
        planned.server_process(),
        planned.review_process(),
        planned.worker_process("pool"),
    ]


@pytest.mark.parametrize("simulate", [False, True])
def test_each_process_talks_to_this_server_and_keeps_its_things_in_the_home(simulate):
    for child in processes(plan(simulate)):
        assert child.environment["PREFECT_API_URL"] == "http://127.0.0.1:1/api"
        assert child.environment["PREFECT_HOME"] == "/srv/night/data/up/prefect"
        assert child.environment["WEIGHBRIDGE_LEDGER"] == "sqlite:////srv/night/data/up/ledger.db"
        assert child.environment["WEIGHBRIDGE_RESULTS"] == "/srv/night/data/up/results"
        assert child.environment["WEIGHBRIDGE_REVIEW_URL"] == "http://127.0.0.1:2"
        assert not {"PREFECT_API_KEY", "PREFECT_PROFILE"} & child.environment.keys()
        assert child.environment["PATH"] == "/bin"
        assert child.folder == HERE


def test_the_real_key_is_never_given_to_what_talks_to_a_simulator():
    for child in processes(plan(simulate=True)):
        assert child.environment["ANTHROPIC_API_KEY"] == "simulated"
        assert child.environment["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:3"
    assert plan().environment["ANTHROPIC_API_KEY"] == "sk-real"
    assert "ANTHROPIC_BASE_URL" not in plan().environment


def test_places_that_the_caller_named_are_used_at_absolute_places():
    named = plan(WEIGHBRIDGE_LEDGER="sqlite:///l.db", WEIGHBRIDGE_RESULTS="r", WEIGHBRIDGE_POLICY="p.toml")
    assert named.ledger_url == "sqlite:////srv/night/l.db"
    assert str(named.results) == "/srv/night/r"
    assert named.environment["WEIGHBRIDGE_POLICY"] == "/srv/night/p.toml"
    shared = "postgresql+psycopg://ana@db/weighbridge"
    for named in (shared, "postgres://ana@db/weighbridge"):
        assert plan(WEIGHBRIDGE_LEDGER=named).ledger_url == shared


def test_every_process_listens_on_this_machine_alone():
    words = [" ".join(child.command) for child in processes(plan())]
    assert "--host 127.0.0.1 --port 1" in words[1]
    assert "0.0.0.0" not in "".join(words)


def test_a_review_page_that_the_caller_names_is_the_one_that_reports_lead_to():
    named = plan(WEIGHBRIDGE_REVIEW_URL="https://review.example")
    assert named.worker_process("pool").environment["WEIGHBRIDGE_REVIEW_URL"] == "https://review.example"


def test_another_shell_is_told_all_that_it_needs_and_no_password():
    assert plan(simulate=True).shell_lines == [
        "export PREFECT_API_URL=http://127.0.0.1:1/api",
        "export WEIGHBRIDGE_LEDGER=sqlite:////srv/night/data/up/ledger.db",
        "export WEIGHBRIDGE_RESULTS=/srv/night/data/up/results",
        "export ANTHROPIC_BASE_URL=http://127.0.0.1:3",
        "export ANTHROPIC_API_KEY=simulated",
    ]
    named = plan(
        WEIGHBRIDGE_LEDGER="postgresql://ana:SECRET@db/l", WEIGHBRIDGE_RESULTS="my results"
    ).shell_lines
    assert named == [
        "export PREFECT_API_URL=http://127.0.0.1:1/api",
        "export WEIGHBRIDGE_RESULTS='/srv/night/my results'",
    ]
