"""The report lists the holds that wait for a person, each with the command that books it, and how many more there are."""

import re
import shlex
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.show_report import print_report
from rules.holds_to_book import hold_heading, hold_lines, holds_to_book
from rules.report_page import as_markdown, as_page
from schemas.money import NANO_PER_USD
from schemas.review import UnknownHold
from tests.test_rules.test_report_page import a_report

AT = datetime(2026, 11, 27, tzinfo=UTC)
URL = "sqlite:////srv/ledger.db"


def a_hold(number=0, job_id="job", held=33_700):
    return UnknownHold(f"att_{number}", job_id, "run-1", "claude-haiku-5-5", held, AT, None)


def reported(*holds, url=URL, more=0):
    return a_report(holds_to_book=holds_to_book(holds, url), more_holds_to_book=more)


def test_each_hold_has_its_usd_and_a_command_that_books_it_in_this_ledger():
    report = reported(a_hold(1), a_hold(2, "other"), more=7)
    page = as_markdown(report)
    command = f"weighbridge review book --attempt att_1 --billed USD --ledger {URL}"
    assert f"- 0.000033700 USD held for job job: `{command}`" in page
    assert f"- and 7 more, which are all listed by: `weighbridge review holds --ledger {URL}`" in page
    assert report.model_dump(mode="json")["holds_to_book"][0] == {
        "attempt_id": "att_1",
        "job_id": "job",
        "held_usd": "0.000033700",
        "command": command,
    }
    assert report.model_dump(mode="json")["more_holds_to_book"] == 7


def test_where_nothing_is_held_nothing_is_listed(capsys):
    report = a_report()
    assert (hold_heading(report), hold_lines(report)) == ("", [])
    print_report(report)
    assert "review book" not in capsys.readouterr().out + as_page(report) + as_markdown(report)


def test_the_terminal_shows_each_command_in_one_line_that_can_be_copied(capsys):
    print_report(reported(a_hold(1, "[red]job\x1b[2J"), url="sqlite:////srv/a very long folder/" + "x" * 90))
    out = capsys.readouterr().out
    [line] = [line for line in out.splitlines() if "review book" in line]
    words = shlex.split(line)
    assert words[words.index("--ledger") + 1] == "sqlite:////srv/a very long folder/" + "x" * 90
    assert "held for job [red]job?[2J:" in out


@pytest.mark.parametrize("more", [0, 1])
def test_a_masked_password_is_never_put_into_a_command_that_would_lead_nowhere(more):
    report = reported(a_hold(), url="postgresql://ana:***@db/w", more=more)
    assert report.holds_to_book[0].command.endswith('--ledger "$WEIGHBRIDGE_LEDGER"')
    assert "***" not in report.holds_to_book[0].command


@given(st.text(), st.integers(0, 10**18), st.text(min_size=1, alphabet=st.characters(exclude_characters="*")))
def test_no_job_id_and_no_path_brings_markup_or_another_argument(job_id, held, path):
    report = reported(a_hold(0, job_id, held), url=f"sqlite:///{path}")
    [hold] = report.holds_to_book
    words = shlex.split(hold.command)
    assert words[:3] == ["weighbridge", "review", "book"]
    assert words[-2:] == ["--ledger", f"sqlite:///{path}"]
    assert hold.held_usd * NANO_PER_USD == Decimal(held)
    [line] = [line for line in as_page(report).split("\n") if "USD held for job" in line]
    before = line.partition("--ledger")[0]
    assert "<" not in before
    assert re.search(r"(?<!\\)\[", before) is None
