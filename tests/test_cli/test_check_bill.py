"""`weighbridge check-bill` over a report that was kept in a file: its exit codes and what it prints."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from sqlalchemy import update

from cli.check_bill import check_bill
from schemas.errors import BadInput
from schemas.ledger import AttemptRow
from schemas.outcome import AttemptState
from services.ledger import jobs
from tests.strategies import begin, job, quick_ledger, take

#: when the attempt left
SENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
HAIKU = {"model": "claude-haiku-5-5", "service_tier": "standard", "workspace_id": None}


def report(**more):
    """A simulated report of one day: 100 input and 7 output tokens for 0.000123456 USD."""
    times = [f"{SENT + timedelta(days=number):%Y-%m-%d}T00:00:00Z" for number in (0, 1)]
    used = {
        "uncached_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "cache_read_input_tokens": 0,
        "output_tokens": 7,
    }
    paid = {"currency": "USD", "amount": "0.0123456", "cost_type": "tokens"}
    pages = [
        {"data": [{"starting_at": times[0], "ending_at": times[1], "results": [line | HAIKU]}]}
        for line in (used, paid)
    ]
    return {"simulated": True, "usage": pages[:1], "cost": pages[1:]} | more


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A ledger of one paid attempt, in the current folder; nobody has a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANTHROPIC_ADMIN_KEY", raising=False)
    address = f"sqlite:///{tmp_path}/ledger.db"
    ledger = quick_ledger(address)
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0)], [])
    [attempt] = take(ledger, [200_000]).held
    paid = {"state": AttemptState.SUCCEEDED, "held_nano_usd": 0, "sent_at": SENT, "ended_at": SENT}
    used = {"actual_input_tokens": 100, "actual_output_tokens": 7, "actual_nano_usd": 123_456}
    with ledger.write() as connection:
        connection.execute(
            update(AttemptRow).where(AttemptRow.attempt_id == attempt.attempt_id).values(**paid, **used)
        )
    ledger.close()
    return address


def ended(content, url, **options):
    """The exit code of a comparison with this report."""
    with Path("report.json").open("w", encoding="utf-8") as file:
        json.dump(content, file)
    with pytest.raises(typer.Exit) as end:
        check_bill(cost_report="report.json", ledger=url, **{"tolerance": "0", "as_json": False} | options)
    return end.value.exit_code


def test_a_match_is_0_and_prints_the_sums(url, capsys):
    assert ended(report(), url) == 0
    out = capsys.readouterr().out
    assert "Everything matches exactly" in out
    assert "0.000123456 USD in the ledger, 0.000123456 in the report" in out
    assert "simulated: no real money" in out
    assert ended(report(), url, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["matches"], told["ledger_usd"], told["tolerance_percent"]) == (True, "0.000123456", "0")
    assert [line["ledger"]["usd"] for line in told["lines"]] == ["0.000123456"]


def test_what_does_not_match_is_4_unless_it_is_tolerated(url, capsys, tmp_path):
    content = report()
    content["cost"][0]["data"][0]["results"][0]["amount"] = "0.0123455"
    assert ended(content, url) == 4
    out = capsys.readouterr().out
    assert "the report lacks 0.000000001 USD that the ledger has as paid for" in out
    assert ended(content, url, tolerance="0.01") == 0
    assert "within the tolerance" in capsys.readouterr().out
    quick_ledger(f"sqlite:///{tmp_path}/empty.db").close()
    assert ended(report(), f"sqlite:///{tmp_path}/empty.db") == 4
    assert "other use of the same workspace" in capsys.readouterr().out
    # each report alone
    assert ended(content["usage"], url) == 0
    assert ended(content["cost"][0], url) == 4


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"content": report(simulated=False)}, "simulated"),
        ({"cost_report": "missing.json"}, "missing.json"),
        ({"cost_report": "ledger.db"}, "not JSON"),
        ({"save": "x.json"}, "--save"),
        ({"cost_report": "api"}, "ANTHROPIC_ADMIN_KEY"),
        ({"first_day": "2020-01-01"}, "covers days"),
        ({"last_day": "2020-01-01"}, "before the period"),
        ({"first_day": "yesterday"}, "--from"),
        ({"first_day": "2026-11-02", "last_day": "2026-11-01"}, "--to"),
        ({"workspace": "wrkspc_1"}, "wrkspc_1"),
        ({"tolerance": "-1"}, "--tolerance"),
        ({"tolerance": "NaN"}, "--tolerance"),
        ({"tolerance": "much"}, "--tolerance"),
    ],
)
def test_bad_arguments_are_a_sentence_each(url, options, word):
    options = {"cost_report": "report.json", "tolerance": "0", "content": report()} | options
    with Path("report.json").open("w", encoding="utf-8") as file:
        json.dump(options.pop("content"), file)
    with pytest.raises(BadInput, match=word):
        check_bill(ledger=url, **options)
