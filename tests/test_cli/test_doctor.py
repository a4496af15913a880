"""`weighbridge doctor`: a line a check, its JSON, and its exit codes."""

import pytest

from schemas.checkup import CheckState, Checkup, Diagnosis


@pytest.fixture
def examined(monkeypatch):
    """What the examination finds; and what was examined."""
    from cli import doctor  # noqa: PLC0415 - after the environment was cleared

    asked = []

    def finds(*states):
        async def examine(here):
            asked.append(here)
            checks = [Diagnosis(name=f"check{n}", state=s, found="it is so") for n, s in enumerate(states)]
            return Checkup(checks=checks)

        monkeypatch.setattr(doctor, "examine", examine)
        return asked

    return finds


def test_nothing_off_is_0_with_a_line_a_check(weighbridge, examined):
    examined(CheckState.OK, CheckState.NOT_MADE)
    ended = weighbridge("doctor")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split()[:2] for line in ended.out.splitlines()] == [["ok", "check0"], ["-", "check1"]]


def test_something_off_is_4_also_as_json(weighbridge, examined):
    examined(CheckState.OK, CheckState.OFF)
    ended = weighbridge("doctor", "--json")
    assert ended.code == 4
    assert ended.json["ok"] is False
    assert [check["state"] for check in ended.json["checks"]] == ["ok", "off"]


def test_the_options_say_what_is_examined(weighbridge, examined, tmp_path):
    asked = examined(CheckState.OK)
    weighbridge("doctor")
    ledger = "sqlite:///x.db"
    weighbridge(
        "doctor", "--policy", "p.toml", "--ledger", ledger, "--results", "r", "--base-url", "http://x"
    )
    assert asked[0].ledger_url == f"sqlite:///{tmp_path}/data/ledger.db"
    assert asked[0].base_url is None
    assert (str(asked[1].policy), asked[1].ledger_url, str(asked[1].results)) == ("p.toml", ledger, "r")
    assert asked[1].base_url == "http://x"


def test_it_really_examines_and_never_crashes(weighbridge):
    ended = weighbridge("doctor", "--json")
    assert ended.code == 4
    assert {check["name"]: check["state"] for check in ended.json["checks"]}["key"] == "off"
