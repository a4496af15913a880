"""The pages against the code: what they name exists, what they must name is there, and their examples run."""

import asyncio
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy import CheckConstraint

from rules.read_row import job_from_row
from rules.shown_state import StateName
from schemas.bill import Finding
from schemas.outcome import Billing, Outcome, Reason, RunOutcome
from schemas.review_tables import ReviewRow
from services.job_columns import COLUMNS
from services.job_file import JobFile
from tests.doc_checks import (
    ROOT,
    command_line,
    faults_of_commands,
    faults_of_files,
    faults_of_links,
    faults_of_make,
    faults_of_policy,
    faults_of_policy_names,
    faults_of_python,
    faults_of_settings,
    faults_of_shell,
    faults_of_sql,
    faults_of_tables,
    fences,
    first_cells,
    links,
    shell_lines,
    undocumented,
    words_of,
)
from tests.nights import night, text_row
from tests.strategies import policy, quick_ledger

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "data" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: ends a line that only a machine with an API key can run
NEEDS_A_KEY = "# needs a key"

on_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@on_every_page
def test_every_command_and_option_that_a_page_names_exists(page):
    assert list(faults_of_commands(page.read_text())) == []


def test_every_command_and_option_is_on_a_page():
    assert list(undocumented([page.read_text() for page in PAGES])) == []


@on_every_page
def test_every_shell_block_of_a_page_can_be_run(page):
    assert list(faults_of_shell(page.read_text())) == []


@on_every_page
def test_every_make_target_and_setting_that_a_page_names_exists(page):
    assert [*faults_of_make(page.read_text()), *faults_of_settings(page.read_text())] == []


@on_every_page
def test_every_link_and_file_that_a_page_names_is_there(page):
    assert [*faults_of_links(page, page.read_text()), *faults_of_files(page.read_text())] == []


@on_every_page
def test_every_policy_field_that_a_page_names_exists(page):
    assert list(faults_of_policy_names(page.read_text())) == []


def test_the_policy_page_has_every_field_with_its_default():
    assert list(faults_of_policy((ROOT / "docs" / "policy.md").read_text())) == []


def test_every_sql_example_runs_on_a_fresh_ledger(ledger):
    assert [fault for page in PAGES for fault in faults_of_sql(page.read_text(), ledger)] == []


def test_every_table_is_listed_and_every_column_that_is_named_exists(ledger):
    assert list(faults_of_tables((ROOT / "docs" / "ledger.md").read_text(), ledger)) == []


def test_the_examples_of_the_notebook_run_and_add_up(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    ledger = quick_ledger(f"sqlite:///{tmp_path}/data/ledger.db")
    kinds = [
        {"group": "blue"},
        {"group": "blue", "prompt": "m" * 300},
        {},
        {"max_input_tokens": 1},
        {"max_tokens": 0},
    ]
    rows = [{"job_id": f"job-{n}", **text_row(f"{n}"), **more} for n, more in enumerate(kinds)]
    _, report = asyncio.run(night(ledger, tmp_path / "results", 1, rows))
    ledger.close()
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    assert list(faults_of_python((ROOT / "docs" / "notebook.md").read_text(), names)) == []
    assert names["frames"].usd(names["nights"]).sum() == report.usd.actual > 0
    assert names["groups"].sum() == names["nights"].sum()
    assert names["groups"].index[0] == "blue"
    assert list(names["sums"]["jobs"]) == [2, 1]
    assert list(names["why"].index) == ["over_input_limit"]
    assert list(names["joined"]["outcome"]) == ["succeeded"] * 3 + ["review", "rejected"]
    assert names["joined"]["text"].isna().tolist() == [False] * 3 + [True] * 2


def _write_what_has_to_be_converted() -> None:
    Path("reviews.csv").write_text("prompt\nFine\nBad\n")
    Path("letters").mkdir()
    Path("letters/a.txt").write_text("Dear all")
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    body = {"model": "gpt", "messages": turns, "max_tokens": 7}
    line = {"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    Path("requests.jsonl").write_text(f"{json.dumps(line)}\n")


def test_the_example_with_data_of_ones_own_runs_and_its_results_join(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "your-data.md").read_text()
    monkeypatch.chdir(tmp_path)
    [table] = fences(page, "csv")
    Path("tickets.csv").write_text(table)
    _write_what_has_to_be_converted()
    sections = tomllib.loads("\n".join(fences(page, "toml")))
    rules = policy(**sections)
    ledger = quick_ledger(f"sqlite:///{tmp_path}/data/ledger.db")
    file = JobFile("tickets.csv", rules.jobs, rules.results.keep)
    gateway, report = asyncio.run(night(ledger, tmp_path / "data" / "results", 1, file, **sections))
    ledger.close()
    assert report.jobs.succeeded == report.jobs.read == 2
    assert {body["messages"][0]["content"] for body in gateway.sent} == {
        "Summarise in one sentence: Invoice\nMy invoice is wrong, please check it.",
        "Summarise in one sentence: \nWhere is my parcel?",
    }
    assert [body["tools"][0]["name"] for body in gateway.sent] == ["find_order"] * 2
    names: dict[str, object] = {}
    assert list(faults_of_python(page, names)) == []
    jobs = [
        job_from_row(number, row, 1_024)
        for name in ("reviews.parquet", "letters.jsonl", "jobs.jsonl")
        for batch in JobFile(name).batches()
        for number, row in enumerate(batch)
    ]
    assert [(job.job_id, job.payload.request["messages"][0]["content"]) for job in jobs] == [
        ("0", "Fine"),
        ("1", "Bad"),
        ("letters/a.txt", "Dear all"),
        ("r-1", "Hello"),
    ]
    assert jobs[-1].payload.request["system"] == "Be kind."
    assert jobs[-1].payload.max_tokens == 7
    assert names["joined"][["ticket", "country"]].values.tolist() == [["T-1", "DE"], ["T-2", "FR"]]
    assert names["joined"]["text"].notna().all()


def _statuses() -> set[str]:
    rules = [rule for rule in ReviewRow.__table__.constraints if isinstance(rule, CheckConstraint)]
    [known] = [rule for rule in rules if str(rule.name).endswith("status_is_known")]
    return set(re.findall(r"'(\w+)'", str(known.sqltext)))


VOCABULARIES = [
    ("docs/money.md", "Outcomes", set(Outcome)),
    ("docs/money.md", "Reasons", set(Reason)),
    ("docs/money.md", "What a run ends as", set(RunOutcome)),
    ("docs/money.md", "How complete a bill is", set(Billing)),
    ("docs/check-bill.md", "Verdicts", set(Finding)),
    ("docs/review.md", "Statuses", _statuses()),
    ("docs/jobs.md", "Columns", set(COLUMNS)),
    ("docs/operate.md", "How a run ends in Prefect", {*StateName, "Crashed", "Cancelled"}),
    (
        "docs/operate.md",
        "On a schedule",
        {one["name"] for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]},
    ),
]


@pytest.mark.parametrize(
    ("page", "heading", "words"),
    VOCABULARIES,
    ids=lambda value: value[:40] if isinstance(value, str) else "words",
)
def test_a_table_of_words_has_all_of_them_and_no_other(page, heading, words):
    assert first_cells((ROOT / page).read_text(), heading) == {str(word) for word in words}


def test_the_readme_is_short_and_leads_to_every_page():
    assert len(README.read_bytes()) <= 8_192
    linked = {(README.parent / link.partition("#")[0]).resolve() for link in links(README.read_text())}
    assert [page for page in PAGES if page != README and page not in linked] == []


def test_what_the_readme_shows_of_a_run_is_labelled_simulated():
    for output in fences(README.read_text(), "text"):
        assert "simulated" in output


def test_the_commands_of_the_readme_run(tmp_path, monkeypatch):
    quick_ledger(f"sqlite:///{tmp_path}/data/demo/ledger.db").close()
    monkeypatch.chdir(tmp_path)
    ran = []
    for line in shell_lines(README.read_text()):
        words = words_of(line)
        if words[0] == "make":  # what it would do; doing it is another test's
            done = subprocess.run(
                ["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, timeout=60, check=False
            )
            ran.append((line, done.returncode))
        elif words[0] == "export":
            assert "=" in words[1], line
        elif not line.endswith(NEEDS_A_KEY):
            assert Path(words[0]).name == "weighbridge", f"nobody knows how to try {line}"
            ran.append((line, CliRunner().invoke(command_line(), words[1:]).exit_code))
    assert [line for line, code in ran if code] == []
    assert len(ran) >= 3


@pytest.mark.parametrize(
    ("check", "text", "fault"),
    [
        (faults_of_commands, "`weighbridge weigh JOBS`", "weighbridge weigh JOBS: there is no such command"),
        (faults_of_commands, "`weighbridge review weigh 7`", "weighbridge review weigh 7: there is no such command"),
        (faults_of_commands, "`weighbridge run J --fast`", "weighbridge run J --fast: there is no option --fast"),
        (faults_of_commands, "`weighbridge report R`, `--limit 3`", "--limit 3: no command that this page names has it"),
        (faults_of_commands, "```sh\nweighbridge run J --limits 3\n```", "there is no option --limits"),
        (lambda text: undocumented([text]), "`weighbridge report R`", "weighbridge report --json: no page names it"),
        (lambda text: undocumented([text]), "`weighbridge report R`", "weighbridge collect: no page names it"),
        (faults_of_shell, "```sh\nweighbridge run J --limit many\n```", "many"),
        (faults_of_shell, "```sh\nweighbridge run\n```", "weighbridge run: "),
        (faults_of_shell, "```sh\nfor\n```", "syntax error"),
        (lambda text: faults_of_python(text, {}), "```python\ntea\n```", "tea: name 'tea' is not defined"),
        (faults_of_make, "`make tea`", "make tea: the Makefile has no such target"),
        (faults_of_settings, "`WEIGHBRIDGE_TEA`", "WEIGHBRIDGE_TEA: nothing reads it"),
        (lambda text: faults_of_links(README, text), "[x](docs/tea.md)", "docs/tea.md: there is no such file"),
        (lambda text: faults_of_links(README, text), "[x](docs/jobs.md#tea)", "the page has no such heading"),
        (faults_of_files, "`tasks/make_tea.py`", "tasks/make_tea.py: there is no such file"),
        (faults_of_policy_names, "`hold.tea`", "hold.tea: the policy has no such field"),
        (faults_of_policy, "## `[hold]`\n| `tea` | off | | | |", "hold.tea: the policy has no such field"),
        (faults_of_policy, "## `[hold]`\n", "hold.reserve_usd: the page has no row for this field"),
        (faults_of_policy, "## `[margin]`\n| `cushion` | `2` | `1.5` | | |", "if left out it is 1.5, not `2`"),
        (faults_of_policy, "## `[margin]`\n| `cushion` | `1.5` | `2` | | |", "default.toml does not have ['2']"),
    ],
)  # fmt: skip
def test_a_check_finds_what_is_wrong(check, text, fault):
    assert any(fault in found for found in check(text)), list(check(text))


def test_a_check_finds_wrong_sql_tables_and_columns(ledger):
    [wrong] = faults_of_sql("```sql\nSELECT run_id FROM runs;\nSELECT tea FROM runs;\n```", ledger)
    assert wrong.startswith("SELECT tea FROM runs: ")
    found = list(
        faults_of_tables("## Tables and views\n| `tea` |\n## Columns\n### runs\n| `tea` |\n", ledger)
    )
    assert {
        "tea: the ledger has no such table",
        "runs: the page does not list this table",
        "runs.tea: there is none",
    } <= {*found}


def test_the_arithmetic_of_a_very_large_run_comes_to_what_the_page_states():
    page = (ROOT / "docs" / "scale.md").read_text()
    names: dict[str, object] = {}
    assert list(faults_of_python(page, names)) == []
    stated = re.findall(r"^\| [^|]+ \| `(\w+)` \| ([\d.,]+)", page, re.MULTILINE)
    assert len(stated) == 7
    for name, figure in stated:
        digits = len(figure.partition(".")[2])
        assert f"{names[name]:,.{digits}f}" == figure, name
