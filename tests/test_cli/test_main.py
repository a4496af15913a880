"""The command line as a whole: what it lists, what it imports, and how it ends when something fails."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from sqlalchemy import text

from cli import main as main_module
from cli.last_words import last_words, mark_as_said
from cli.lazy_command import LazyCommand
from cli.main import COMMANDS, command_group
from cli.review import review
from schemas.errors import BadInput, Interrupted, RunFailed
from schemas.failures import AccessDenied, MayBeBilled
from schemas.outcome import RunOutcome
from schemas.report import RunReport
from services.ledger import runs

HEAVY = ("prefect", "anthropic", "uvicorn", "pandas", "aiohttp")
#: what opens a ledger, and what reads settings; together they take longer to import than a look may take
OPENERS = ("sqlalchemy", "alembic", "pydantic_settings", "pyarrow")
#: modules of ours that are made of many Pydantic models
MODELS = ("schemas.policy", "schemas.policy_sections", "schemas.payload.api_rules", "genai_prices")
#: runs a command, then prints which of the heavy packages it imported
WATCHED = f"""
import json, sys
sys.argv = ["weighbridge", *sys.argv[1:]]
from cli.main import main
try:
    main()
except SystemExit as end:
    code = end.code
print(json.dumps([code or 0, [name for name in {HEAVY + OPENERS + MODELS!r} if name in sys.modules]]), file=sys.stderr)
"""


def imported(folder, *arguments, of=HEAVY):
    """The exit code of a command in a process of its own, and which of these packages it imported."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    code, packages = json.loads(ended.stderr.splitlines()[-1])
    return [code, [name for name in packages if name in of]]


@pytest.fixture
def reported(waiting, ledger):
    """A ledger with reviews and with the report of a run."""
    report = RunReport(run_id="run-1", outcome=RunOutcome.COMPLETE, simulated=True)
    runs.finish(ledger, "run-1", RunOutcome.COMPLETE, report.model_dump(mode="json"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["review", "--help"],
        ["runs"],
        ["runs", "--json"],
        ["show", "job-0"],
        ["report"],
        ["report", "--json"],
        ["report", "--help"],
        ["review", "list"],
        ["review", "list", "--json", "--order", "dearest", "--search", "job"],
        ["review", "show", "1"],
        ["init", "there"],
    ],
    ids=" ".join,
)
def test_what_only_looks_something_up_imports_nothing_that_takes_longer_than_a_look(
    tmp_path, reported, arguments
):
    assert imported(tmp_path, *arguments, of=HEAVY + OPENERS + MODELS) == [0, []]


@pytest.mark.parametrize(
    ("typed", "number", "completed"),
    [
        ("weighbridge ru", 1, "run runs"),
        ("weighbridge review cl", 2, "claim"),
        ("weighbridge runs --le", 2, "--ledger"),
    ],
)
def test_a_shell_completes_commands_and_the_options_of_one_that_is_imported_then(
    tmp_path, typed, number, completed
):
    environment = os.environ | {
        "_WEIGHBRIDGE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(number),
    }
    command = [Path(sys.executable).with_name("weighbridge")]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert ended.stdout.split() == completed.split()


@pytest.mark.parametrize(
    "arguments",
    [
        ["review", "approve", "1", "--by", "ana"],
        ["prune-history", "--dry-run"],
        pytest.param(["check-bill", "--help"], marks=pytest.mark.slow),
        pytest.param(["verify", "--help"], marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_what_only_reads_or_decides_imports_neither_prefect_nor_the_sdk(tmp_path, waiting, arguments):
    assert imported(tmp_path, *arguments) == [0, []]


@pytest.mark.slow
def test_a_run_does_import_prefect_so_that_the_test_above_can_fail(tmp_path):
    code, packages = imported(tmp_path, "run", "--help")
    assert code == 0
    assert {"prefect", "anthropic"} <= set(packages)


def all_commands():
    yield from ((command, f"weighbridge {command.name}") for command in COMMANDS)
    yield from ((command, f"weighbridge review {command.name}") for command in review.commands.values())


@pytest.mark.parametrize(("command", "name"), [pytest.param(*pair, id=pair[1]) for pair in all_commands()])
def test_the_line_in_the_overview_is_the_first_paragraph_of_the_commands_own_help(command, name):
    assert isinstance(command, LazyCommand)
    real = command.imported()
    assert (real.help or "").partition("\n\n")[0].replace("\n", " ") == command.help, name


def test_the_overview_lists_each_command_once_and_no_old_names(weighbridge):
    shown = weighbridge("--help")
    assert (shown.code, shown.err) == (0, "")
    assert all(f"│ {name} " in shown.out for name in ("run", "check-bill", "review", "cancel"))
    assert "reconcile" not in shown.out
    shown = weighbridge("review", "--help")
    assert "│ book " in shown.out
    assert "settle" not in shown.out


@pytest.mark.parametrize(
    ("old", "new"), [(["reconcile"], ["check-bill"]), (["review", "settle"], ["review", "book"])]
)
def test_an_old_name_is_the_same_command(weighbridge, old, new):
    old_help, new_help = weighbridge(*old, "--help"), weighbridge(*new, "--help")
    assert old_help.code == new_help.code == 0
    # all but the usage line, which has the name
    assert old_help.out.splitlines()[2:] == new_help.out.splitlines()[2:]


def test_the_version_is_that_of_the_package(weighbridge):
    assert weighbridge("--version").out == f"weighbridge {version('weighbridge')}\n"


@pytest.mark.parametrize("arguments", [[], ["review"]])
def test_no_command_shows_the_help_and_ends_with_2(weighbridge, arguments):
    ended = weighbridge(*arguments)
    assert ended.code == 2
    assert "Commands" in ended.out + ended.err


@pytest.mark.parametrize("arguments", [["reprot"], ["review", "lits"], ["report", "--legder", "x"]])
def test_a_misspelled_word_ends_with_2_and_a_suggestion(weighbridge, arguments):
    ended = weighbridge(*arguments)
    assert ended.code == 2
    assert "Did you mean" in ended.err or "--ledger" in ended.err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (BadInput("The file is empty."), 2, "The file is empty."),
        (RunFailed("The ledger does not answer."), 1, "The ledger does not answer."),
        (Interrupted(143), 143, "The run was interrupted."),
        (
            MayBeBilled("HTTP 504 timeout_error"),
            1,
            "HTTP 504 timeout_error. What was held or settled is kept",
        ),
        (AccessDenied("HTTP 401 authentication_error"), 1, "check the API's address and key"),
    ],
)
def test_an_expected_error_is_one_sentence_and_an_exit_code(weighbridge, monkeypatch, error, code, words):
    monkeypatch.setattr(main_module, "command_group", lambda: mock_group(error))
    ended = weighbridge("anything")
    assert ended.code == code
    assert words in ended.sentence


def test_an_unexpected_error_has_its_traceback_and_a_last_sentence(weighbridge, monkeypatch):
    monkeypatch.setattr(main_module, "command_group", lambda: mock_group(ZeroDivisionError("x")))
    ended = weighbridge("anything")
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert ended.err.splitlines()[-1].startswith(
        "weighbridge: an unexpected ZeroDivisionError ended the command"
    )


@pytest.mark.parametrize("error", [BadInput("The file is empty."), ZeroDivisionError("x")])
def test_an_error_is_the_only_json_on_stdout_where_json_was_asked_for(weighbridge, monkeypatch, error):
    monkeypatch.setattr(main_module, "command_group", lambda: mock_group(error))
    ended = weighbridge("anything", "--json")
    assert ended.json == {"error": last_words(error)}
    assert ended.err.splitlines()[-1] == f"weighbridge: {last_words(error)}"
    mark_as_said(error)
    assert weighbridge("anything", "--json").out == ""
    assert weighbridge("anything").out == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_no_text_ends_a_command_in_a_locale_that_does_not_have_it(tmp_path, waiting, ledger, encoding):
    with ledger.write() as connection:
        connection.execute(text("UPDATE reviews SET job_id = '日本 ü', note = '—'"))
    report = RunReport(run_id="run-1", outcome=RunOutcome.COMPLETE, error="日本 ü 😀")
    runs.finish(ledger, "run-1", RunOutcome.COMPLETE, report.model_dump(mode="json"))

    def told(*arguments):
        ended = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            env=os.environ | {"PYTHONIOENCODING": encoding, "COLUMNS": "200", "PYTHONPATH": str(Path.cwd())},
            cwd=tmp_path,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, b""), ended
        return ended.stdout.decode(encoding)

    for arguments in (["show", "日本 ü"], ["review", "list"], ["report"]):
        shown = told(*arguments)
        assert ("日本" in shown) == (encoding == "utf-8")
        assert ("\\u65e5\\u672c" in shown) == (encoding != "utf-8")
    assert json.loads(told("report", "--json"))["error"] == "日本 ü 😀"
    assert json.loads(told("show", "日本 ü", "--json"))["job_id"] == "日本 ü"


def mock_group(error):
    def group():
        raise error

    return group


def test_each_call_makes_a_group_of_its_own():
    assert command_group() is not command_group()
    assert set(command_group().commands) == {command.name for command in COMMANDS}
