"""What several commands share: amounts of USD, and a ledger that reading never makes."""

import re
import shlex
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.options import at_ledger, opened_ledger, option_called, require_ledger, usd_amount
from schemas.errors import BadInput
from schemas.forms.flow_forms import NightlyForm, QuoteForm, ResubmitForm, ToolAuditForm
from schemas.words import masked_url
from tests.strategies import quick_ledger, texts

READING = [
    ["report"],
    ["review", "list"],
    ["review", "show", "1"],
    ["review", "claim", "1", "--by", "ana"],
    ["review", "release", "1", "--by", "ana"],
    ["review", "reopen", "1", "--by", "ana"],
    ["review", "approve", "1", "--by", "ana"],
    ["review", "reject", "--yes", "--by", "ana"],
    ["review", "edit", "1", "--max-tokens", "5", "--by", "ana"],
    ["review", "book", "1", "--not-billed", "--by", "ana"],
    ["review", "serve", "--port", "0"],
    ["check-bill", "--cost-report", "report.json"],
    ["prune-history"],
    ["collect"],
    ["cancel", "run-1"],
    ["time-zone"],
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_in_an_empty_folder_nothing_is_made_and_the_sentence_says_where_it_looked(
    weighbridge, tmp_path, arguments
):
    ended = weighbridge(*arguments)
    assert ended.code == 2
    assert f"There is no ledger at {tmp_path}/data/ledger.db." in ended.sentence
    assert "--ledger or WEIGHBRIDGE_LEDGER" in ended.sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
@pytest.mark.parametrize(
    "statement", ["", "CREATE TABLE invoices (id)"], ids=["an empty file", "a foreign database"]
)
def test_in_a_database_without_a_ledger_nothing_is_made_either(weighbridge, tmp_path, arguments, statement):
    file = tmp_path / "other.db"
    file.touch()
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(statement)
    before = file.read_bytes()
    ended = weighbridge(*arguments, "--ledger", "sqlite:///other.db")
    assert ended.code == 2
    assert "There are no tables of a ledger at sqlite:///other.db." in ended.sentence
    assert ended.sentence.endswith("Nothing was changed.")
    assert file.read_bytes() == before


def test_the_ledger_that_an_option_or_the_environment_names_is_looked_for(weighbridge, tmp_path, monkeypatch):
    assert f"{tmp_path}/other.db" in weighbridge("report", "--ledger", "sqlite:///other.db").sentence
    monkeypatch.setenv("WEIGHBRIDGE_LEDGER", "sqlite:///third.db")
    assert f"{tmp_path}/third.db" in weighbridge("report").sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "whose"),
    [
        ("simulated", "simulated runs"),
        ("up", "`weighbridge up`"),
        ("up-simulated", "`weighbridge up --simulate`"),
    ],
)
def test_a_ledger_that_is_elsewhere_below_the_folder_is_pointed_at(weighbridge, tmp_path, folder, whose):
    quick_ledger(f"sqlite:///{tmp_path}/data/{folder}/ledger.db").close()
    ended = weighbridge("report")
    assert f" Here is: sqlite:///data/{folder}/ledger.db ({whose})." in ended.sentence
    assert "has no runs" in weighbridge("report", "--ledger", f"sqlite:///data/{folder}/ledger.db").sentence


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("nowhere", "ledger URL"),
        ("sqlite:///", "no ledger"),
        ("sqlite:///:memory:", "no ledger"),
        ("nobase:///x", "ledger URL"),
        ("http://localhost:x/y", "ledger URL"),
    ],
)
def test_an_address_that_is_no_ledger_is_bad_input(weighbridge, tmp_path, address, word):
    ended = weighbridge("report", "--ledger", address)
    assert ended.code == 2
    assert word in ended.sentence
    assert list(tmp_path.iterdir()) == []


def test_a_folder_or_another_file_in_its_place_is_a_sentence_too(weighbridge, tmp_path):
    (tmp_path / "text.db").write_text("not a database, but long enough to look like a file " * 20)
    for name in (".", "text.db"):
        ended = weighbridge("report", "--ledger", f"sqlite:///{name}")
        assert ended.code == 1
        assert "cannot be read" in ended.sentence


def test_only_who_asks_for_it_makes_a_ledger(tmp_path):
    address = f"sqlite:///{tmp_path}/deep/ledger.db"
    with pytest.raises(BadInput, match="no ledger"):
        opened_ledger(address)
    opened_ledger(address, create=True).close()
    opened_ledger(address).close()
    require_ledger(f"sqlite:///file:{tmp_path}/deep/ledger.db?uri=true")


def test_other_databases_are_not_looked_for_as_files():
    require_ledger("postgresql+psycopg://nobody@localhost/nothing")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
@pytest.mark.parametrize("command", ["runs", "report", "verify", "time-zone", "doctor", "collect"])
def test_every_command_shows_an_address_as_other_tools_have_it_by_its_driver_and_without_its_password(
    weighbridge, monkeypatch, scheme, command
):
    monkeypatch.setenv("WEIGHBRIDGE_LEDGER", f"{scheme}://ann:SECRET@127.0.0.1:1/db")
    ended = weighbridge(command)
    told = ended.out + ended.err
    assert "postgresql+psycopg://ann:***@127.0.0.1:1/db" in told
    assert "SECRET" not in told
    assert "cannot be used" not in told


@given(st.decimals(0, 999_999, places=9))
def test_an_amount_is_read_exactly(amount):
    assert usd_amount(f"{amount:f}", "--over") == amount


def test_an_option_that_was_left_out_is_no_amount():
    assert usd_amount(None, "--over") is None


@given(
    st.sampled_from(
        ["nan", "-1", "inf", "-0.01", "1000000", "1e9", "", "1,5", "$1", "1_0", "1e-9", "\uff11", ".", "+1"]
    )
    | texts.map("x{}".format)
)
def test_anything_else_is_refused_with_the_options_name(text):
    with pytest.raises(BadInput, match=r"--over .* is not an amount of USD"):
        usd_amount(text, "--over")


def test_the_largest_amount_is_just_under_a_million():
    assert usd_amount("999999.999999999", "--over") == Decimal("999999.999999999")


@pytest.mark.parametrize(
    ("command", "form"),
    [
        ("run", NightlyForm),
        ("quote", QuoteForm),
        ("audit-tools", ToolAuditForm),
        ("resubmit-approved", ResubmitForm),
    ],
)
def test_a_wrong_value_is_named_by_the_option_that_the_person_wrote(weighbridge, command, form):
    shown = weighbridge(command, "--help").out
    # where the API is, a command is told by the environment; what is no option has no wrong value
    of_the_command = [name for name in form.model_fields if name not in ("base_url", "allow_no_jobs")]
    for name in of_the_command:
        called = option_called(name).rsplit(" ", 1)[-1]
        assert called in shown
    arguments = ["jobs.csv"] if "jobs" in form.model_fields else []
    if "run_budget_usd" in form.model_fields:
        ended = weighbridge(command, *arguments, "--run-budget-usd", "12,50")
        assert ended.sentence.startswith("The option --run-budget-usd '12,50' should be written like 12.50.")


@given(st.text(min_size=1, alphabet=st.characters(exclude_characters="`", exclude_categories=["Cs", "Cc"])))
def test_a_hint_leads_to_the_ledger_that_was_named_and_to_no_other(name):
    url = f"sqlite:///{name}"
    hint = "`weighbridge collect` settles them; `weighbridge runs --limit 5` lists them."
    assert at_ledger(hint, None) == hint
    first, second = re.findall("`(.*?)`", at_ledger(hint, url))
    option = ["--ledger", masked_url(url)]
    assert shlex.split(first) == ["weighbridge", "collect", *option]
    assert shlex.split(second) == ["weighbridge", "runs", "--limit", "5", *option]


def test_a_hint_has_no_password():
    shown = at_ledger("`weighbridge collect`", "postgres://ann:SECRET@host/db")
    assert "SECRET" not in shown
    assert '--ledger "$WEIGHBRIDGE_LEDGER"' in shown
