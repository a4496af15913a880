"""The size and the names of the code, which may get better and not worse.

What is over a limit today stands in a table with its number. Whoever makes it smaller lowers the number, and whoever
brings it under the limit deletes the line: a test says so. Nothing is ever added to a table.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("flows", "tasks", "rules", "schemas", "services", "review_page", "cli", "simulator", "bench")
MIGRATIONS = "services/ledger/migrations"

#: lines of a file; a test file may be longer, since its cases are data
MOST_LINES = 400
MOST_TEST_LINES = 600
MOST_FUNCTION_LINES = 60
MOST_PARAMETERS = 6
#: a command's options and a flow's form are their parameters
MANY_PARAMETERS_ALLOWED = ("cli/", "flows/")

LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}
MANY_PARAMETERS: dict[str, int] = {}
#: rooms that have a class of this name
CLASSES_TWICE: dict[str, int] = {}
LONG_TEST_FILES: dict[str, int] = {}
#: what shows another day from one moment to the next
CLOCKS = ("datetime.now", "datetime.today", "datetime.utcnow", "date.today", "time.time")
#: modules that read a clock when they are imported: a day of then is over when midnight comes before it is looked at
CLOCK_AT_IMPORT = {"tests/test_ledger/test_pruning.py": 1}
#: modules of a room without a test file of their name, which tests of others run; the list only shrinks
MIRRORED_ROOMS = ("rules", "tasks", "services", "schemas", "flows", "cli", "review_page")
WITHOUT_A_TEST_FILE = dict.fromkeys(
    (
        "cli/lazy_command.py",
        "cli/show_quote.py",
        "flows/collect_batches.py",
        "rules/caps.py",
        "rules/compare_results.py",
        "rules/compare_windows.py",
        "rules/estimate.py",
        "rules/fit_budget.py",
        "rules/identity.py",
        "rules/job_quote.py",
        "rules/limits.py",
        "rules/models.py",
        "rules/read_bill.py",
        "rules/surcharges.py",
        "rules/tool_audit_text.py",
        "rules/usage_cost.py",
        "rules/verdict.py",
        "rules/weighing.py",
        "schemas/batch.py",
        "schemas/budget.py",
        "schemas/contract_price.py",
        "schemas/errors.py",
        "schemas/estimate.py",
        "schemas/failures.py",
        "schemas/fitted_job.py",
        "schemas/job.py",
        "schemas/ledger.py",
        "schemas/model_facts.py",
        "schemas/outcome.py",
        "schemas/payload/invalid.py",
        "schemas/payload/message_checks.py",
        "schemas/payload/vocabulary.py",
        "schemas/policy_sections.py",
        "schemas/review_tables.py",
        "schemas/row.py",
        "schemas/tool_audit.py",
        "schemas/usage.py",
        "schemas/verification.py",
        "services/api_answers.py",
        "services/api_client.py",
        "services/classify.py",
        "services/ledger/batch_attempts.py",
        "services/ledger/fitted.py",
        "services/ledger/outcomes.py",
        "services/ledger/prunable.py",
        "services/ledger/quotes.py",
        "services/ledger/run_sums.py",
        "services/ledger/tool_calls.py",
        "services/ledger/verify_results.py",
        "services/ledger/verify_rows.py",
        "services/ledger/verify_windows.py",
        "services/this_process.py",
        "services/tries.py",
        "tasks/check_models.py",
        "tasks/check_quote.py",
        "tasks/close_dead.py",
        "tasks/draw_quote.py",
        "tasks/draw_rows.py",
        "tasks/find_batch.py",
        "tasks/park_for_review.py",
        "tasks/pause.py",
        "tasks/read_approved.py",
        "tasks/read_jobs.py",
        "tasks/report_quote.py",
        "tasks/report_run.py",
        "tasks/start_quote.py",
        "tasks/step.py",
        "tasks/weigh_edit.py",
    ),
    1,
)

#: the file of a noun is called by the noun in each room that has to do with it: the room says what it does there
SAME_NOUN = {
    "batch": "schemas: what it is",
    "batches": "services/ledger: its rows",
    "bill": "schemas: the lines of a bill; services/ledger: what the ledger says of them",
    "budget": "schemas: windows and caps",
    "estimate": "schemas: its figures",
    "job": "schemas: what it is",
    "lesson": "rules: what earlier bills say",
    "lessons": "services/ledger: the answers it is learned from",
    "ledger": "schemas: its tables; services: the package that reads and writes them",
    "limiter": "services: how fast an endpoint may be called; bench: how much of that is used",
    "money": "schemas: amounts",
    "policy": "schemas: what it may say",
    "quote": "schemas: its figures; flows: the flow; cli: the command that starts it",
    "quotes": "services/ledger: its rows",
    "report": "schemas: its figures; cli: the command that shows it",
    "review": "schemas: what it is; cli: its commands",
    "run": "schemas: what is on record; cli: the command that starts one",
}
#: a step, a flow or a reading of the ledger, and the command that starts it
SAME_VERB = {
    "audit_tools": "tasks: the step; flows: the flow; cli: the command",
    "collect": "tasks: the step; cli: the command",
    "resubmit_approved": "flows: the flow; cli: the command",
    "verify": "services/ledger: the checks; cli: the command",
}
STEMS_ALLOWED = {"__init__", "__main__", *SAME_NOUN, *SAME_VERB}


@cache
def sources() -> dict[str, str]:
    """The production code: path and text."""
    found = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    names = [path.relative_to(ROOT).as_posix() for path in found]
    return {name: (ROOT / name).read_text("utf-8") for name in names if not name.startswith(MIGRATIONS)}


@cache
def trees() -> dict[str, ast.Module]:
    return {name: ast.parse(text) for name, text in sources().items()}


def nodes(*kinds):
    return [
        (name, node) for name, tree in trees().items() for node in ast.walk(tree) if isinstance(node, kinds)
    ]


def long_files() -> dict[str, int]:
    return {name: lines for name, text in sources().items() if (lines := len(text.splitlines())) > MOST_LINES}


def long_functions() -> dict[str, int]:
    found = {}
    for name, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        lines = node.end_lineno - node.lineno + 1
        if lines > MOST_FUNCTION_LINES:
            found[f"{name}:{node.name}"] = lines
    return found


def many_parameters() -> dict[str, int]:
    found = {}
    for name, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        if name.startswith(MANY_PARAMETERS_ALLOWED):
            continue
        arguments = node.args
        own = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        number = len([one for one in own if one.arg not in ("self", "cls")])
        if number > MOST_PARAMETERS:
            found[f"{name}:{node.name}"] = number
    return found


def classes_twice() -> dict[str, int]:
    """Names of classes, private ones too, that more than one room has."""
    rooms = defaultdict(set)
    for name, node in nodes(ast.ClassDef):
        rooms[node.name].add(name.split("/")[0])
    return {name: len(where) for name, where in rooms.items() if len(where) > 1}


def long_test_files() -> dict[str, int]:
    paths = sorted((ROOT / "tests").rglob("*.py"))
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in paths}
    return {name: number for name, number in lines.items() if number > MOST_TEST_LINES}


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs of a module when it is imported: not the body of a function, but its decorators and defaults."""
    yield node
    parts: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        parts = (*node.decorator_list, node.args)
    elif isinstance(node, ast.Lambda):
        parts = (node.args,)
    for part in parts:
        yield from at_import(part)


def clocks_at_import() -> dict[str, int]:
    found = {}
    tests = {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted((ROOT / "tests").rglob("*.py"))
    }
    for name, tree in {**trees(), **tests}.items():
        calls = [node for node in at_import(tree) if isinstance(node, ast.Call)]
        if number := len([call for call in calls if ast.unparse(call.func) in CLOCKS]):
            found[name] = number
    return found


def without_a_test_file() -> dict[str, int]:
    """Modules of the rooms that no test file is called by."""
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    ours = [name for name in sources() if name.startswith(tuple(f"{room}/" for room in MIRRORED_ROOMS))]
    stems = {name: Path(name).stem for name in ours}
    return {name: 1 for name, stem in stems.items() if not stem.startswith("__") and stem not in tested}


@pytest.mark.parametrize(
    ("found", "allowed", "what"),
    [
        (long_files, LONG_FILES, f"lines, over {MOST_LINES}"),
        (long_functions, LONG_FUNCTIONS, f"lines, over {MOST_FUNCTION_LINES}"),
        (many_parameters, MANY_PARAMETERS, f"parameters, over {MOST_PARAMETERS}"),
        (classes_twice, CLASSES_TWICE, "rooms have a class of this name"),
        (long_test_files, LONG_TEST_FILES, f"lines, over {MOST_TEST_LINES}"),
        (clocks_at_import, CLOCK_AT_IMPORT, "reads of a clock when it is imported"),
        (without_a_test_file, WITHOUT_A_TEST_FILE, "module has no test file of its name"),
    ],
    ids=["files", "functions", "parameters", "classes", "test files", "clocks", "mirror"],
)
def test_nothing_grows_over_its_limit_and_what_shrinks_stays_small(found, allowed, what):
    now = found()
    worse = {name: number for name, number in now.items() if number > allowed.get(name, 0)}
    assert not worse, f"Make them smaller: { ({name: f'{number} {what}' for name, number in worse.items()}) }"
    better = {name: now.get(name) for name, number in allowed.items() if now.get(name, 0) < number}
    assert not better, (
        f"They are smaller now: lower the number in tests/test_ratchet.py, or delete the line: {better}"
    )


def stems_twice() -> dict[str, list[str]]:
    files = defaultdict(list)
    for name in sources():
        files[Path(name).stem].append(name)
    return {stem: where for stem, where in files.items() if len({one.split("/")[0] for one in where}) > 1}


def test_a_file_is_found_by_its_name():
    twice = {stem: where for stem, where in stems_twice().items() if stem not in STEMS_ALLOWED}
    assert not twice, f"Two rooms have a file of one name: {twice}"


def test_a_verb_that_no_two_rooms_share_any_more_is_not_on_the_list():
    gone = set(SAME_VERB) - set(stems_twice())
    assert not gone, f"Delete the lines of tests/test_ratchet.py: {gone}"
