"""Checks of a page against the code. Each takes a text and yields a sentence for everything that is wrong in it."""

import contextlib
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from schemas.policy import Policy
from schemas.settings import DEFAULT_POLICY
from schemas.table import Table

ROOT = Path(__file__).resolve().parents[1]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ROOMS = (
    "flows|tasks|rules|schemas|services|review_page|cli|simulator|tests|docs|bench|data/samples|data/policies"
)
_PATH = re.compile(rf"(?:{_ROOMS}|\.ci)/[\w./-]*")


# ---------------------------------------------------------------------------------------------- reading a page


def fences(text: str, *languages: str) -> list[str]:
    return [body for language, body in _FENCE.findall(text) if language in languages]


def spans(text: str) -> list[str]:
    """The inline code of a page."""
    return _SPAN.findall(_FENCE.sub("", text))


def links(text: str) -> list[str]:
    return _LINK.findall(_FENCE.sub("", text))


def shell_lines(text: str) -> list[str]:
    return [line for body in fences(text, "sh", "bash") for line in body.splitlines() if line.strip()]


def words_of(line: str) -> list[str]:
    """The words of a shell line, without its comment and the variables that it sets for its command."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words


def code_lines(text: str) -> list[list[str]]:
    """Every shell line and every inline code of a page, in words."""
    found = [words_of(line) for line in shell_lines(text)]
    for span in spans(text):
        with contextlib.suppress(ValueError):  # a quotation mark alone is not a command
            found.append(words_of(span))
    return [words for words in found if words]


def first_cells(text: str, heading: str) -> set[str]:
    """The code in the first column of the tables under a heading."""
    section = re.split(r"^#+ ", text.split(f" {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return {name for row in rows for name in _SPAN.findall(row.split("|")[1])}


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# ---------------------------------------------------------------------------------------------- the command line


@cache
def command_line():
    """The `weighbridge` command with all that it registers."""
    before = dict(
        os.environ
    )  # what a command imports may set Prefect's environment, for a process of its own
    try:
        from cli import main  # noqa: PLC0415 - it changes the environment

        return main.command_group()
    finally:
        os.environ.clear()
        os.environ.update(before)


def below(command, name: str):
    """A command of a group, with its own options: what is imported only when it is called, is imported here."""
    found = command.get_command(None, name)
    if not hasattr(found, "imported"):
        return found
    hidden, found = found.hidden, found.imported()
    found.hidden = hidden
    return found


def resolved(words: list[str]) -> tuple[list, list[str]]:
    """The commands that words lead to, from `weighbridge` on, and the words left; a name that is not one is None."""
    command, rest = command_line(), list(words)
    path = [command]
    while rest and not rest[0].startswith("-") and hasattr(command, "list_commands"):
        command = below(command, rest.pop(0))
        path.append(command)
    return path, rest


def options_of(command) -> set[str]:
    names = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return {name for name in names if name.startswith("-")} | {"--help"}


def weighbridge_lines(text: str) -> list[list[str]]:
    """What follows `weighbridge` wherever a page names it as a command."""
    return [words[1:] for words in code_lines(text) if Path(words[0]).name == "weighbridge"]


def faults_of_commands(text: str) -> Iterator[str]:
    known = {"--help"}
    for words in weighbridge_lines(text):
        path, rest = resolved(words)
        shown = " ".join(["weighbridge", *words])
        if path[-1] is None:
            yield f"{shown}: there is no such command"
            continue
        if any(command.hidden for command in path):
            yield f"{shown}: an old name; use the new one"
        known |= options_of(path[-1])
        named = {word.split("=")[0] for word in rest if word.startswith("--")}
        yield from (f"{shown}: there is no option {name}" for name in sorted(named - options_of(path[-1])))
    for span in spans(text):
        if span.startswith("--") and span.split()[0] not in known:
            yield f"{span}: no command that this page names has it"


def _visible(command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every command that is not hidden and has no commands of its own, with the words that lead to it."""
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    for name in command.list_commands(None):
        found = below(command, name)
        if not found.hidden:
            yield from _visible(found, (*path, name))


def undocumented(texts: Sequence[str]) -> Iterator[str]:
    """Commands that no page names, and options that no page has that names their command."""
    for path, command in _visible(command_line()):
        naming = [
            text
            for text in texts
            if any(tuple(line[: len(path)]) == path for line in weighbridge_lines(text))
        ]
        there = {word.split("=")[0] for text in naming for words in code_lines(text) for word in words}
        if not naming:
            yield f"weighbridge {' '.join(path)}: no page names it"
            continue
        visible = {name for option in command.params for name in option.opts if name.startswith("--")}
        yield from (
            f"weighbridge {' '.join(path)} {name}: no page names it" for name in sorted(visible - there)
        )


def faults_of_shell(text: str) -> Iterator[str]:
    """What of the shell blocks cannot be: syntax, and arguments that a command does not take."""
    for body in fences(text, "sh", "bash"):
        checked = subprocess.run(["bash", "-n"], input=body, text=True, capture_output=True, check=False)
        if checked.returncode:
            yield checked.stderr
    for line in shell_lines(text):
        words = words_of(line)
        if not words or Path(words[0]).name != "weighbridge":
            continue
        path, rest = resolved(words[1:])
        if path[-1] is None:  # the check of commands says so
            continue
        try:
            path[-1].make_context(words[0], rest)
        except Exception as error:  # noqa: BLE001 - whatever the parser says of it
            yield f"{line}: {error}"


def faults_of_make(text: str) -> Iterator[str]:
    targets = re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in code_lines(text):
        if words[0] == "make" and len(words) > 1 and words[1] not in targets:
            yield f"make {words[1]}: the Makefile has no such target"


def faults_of_settings(text: str) -> Iterator[str]:
    """Environment variables of ours that no settings class has and no file of the command line reads."""
    sources = [
        file.read_text() for room in ("cli", "schemas", "review_page") for file in (ROOT / room).rglob("*.py")
    ]
    read = "\n".join(sources)
    fields = re.findall(r"^    (\w+): ", read, re.MULTILINE)
    prefixes = re.findall(r'env_prefix="(\w+)"', read)
    known = {f"{prefix}{field.upper()}" for prefix in prefixes for field in fields}
    known |= set(re.findall(r'envvar="(\w+)"', read))
    known |= set(re.findall(r'environ\.get\("(\w+)"\)', read))
    for name in sorted(set(re.findall(r"\bWEIGHBRIDGE_\w+[A-Z]\b", text)) - known):
        yield f"{name}: nothing reads it"


def faults_of_python(text: str, names: dict[str, object]) -> Iterator[str]:
    """What of the Python blocks fails, when they run one after the other over the same names."""
    for body in fences(text, "python"):
        try:
            exec(body, names)
        except Exception as error:  # noqa: BLE001 - whatever an example dies of
            yield f"{body.strip()}: {error}"


# ---------------------------------------------------------------------------------------------- files and links


def faults_of_links(page: Path, text: str) -> Iterator[str]:
    for link in links(text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists():
            yield f"{link}: there is no such file"
        elif anchor and anchor not in anchors(target.read_text()):
            yield f"{link}: the page has no such heading"


def faults_of_files(text: str) -> Iterator[str]:
    for words in code_lines(text):
        for word in words:
            if _PATH.fullmatch(word) and not (ROOT / word).exists():
                yield f"{word}: there is no such file"


# ---------------------------------------------------------------------------------------------- the policy


def _section(annotation) -> tuple[type[BaseModel] | None, bool]:
    """The section that a field holds, if it does, and whether it has a name of its own in between."""
    inside = [annotation, *get_args(annotation)]
    models = [kind for kind in inside if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return (models[0] if models else None), str(annotation).startswith("dict")


def policy_fields(model: type[BaseModel] = Policy, path: tuple[str, ...] = ()) -> dict[str, object]:
    """Every field of the policy, as a dotted path; its default, or ... where it must be given."""
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        section, is_named = _section(field.annotation)
        if section is not None:
            found |= policy_fields(section, (*here, "NAME") if is_named else here)
        else:
            found[".".join(here)] = ... if field.is_required() else field.default
    return found


def policy_rows(text: str) -> Iterator[tuple[list[str], str, list[str]]]:
    """The rows of docs/policy.md: the paths of the field, its cell "if left out", the values in "default file"."""
    sections: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            named = re.findall(r"`\[+([\w.]+)\]+`", line)
            sections = [f"{name}." for name in named] or ([""] if line.endswith("Top level") else [])
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if sections and line.startswith("| `") and len(cells) == 5:
            field = cells[0].strip("`")
            yield [section + field for section in sections], cells[1], _SPAN.findall(cells[2])


def _value(value: object) -> object:
    """A value as it is compared: numbers by their amount, words as words; an empty list says nothing."""
    if value is None or value == ():
        return None
    if value is ...:
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return str(value)


def _stated_default(cell: str) -> object:
    """What a cell "if left out" says: a value in code, ... for "needed", None for words such as "no cap"."""
    if cell == "needed":
        return ...
    code = _SPAN.fullmatch(cell)
    return _value(code[1]) if code else None


def _in_default_file(path: str) -> list[object]:
    nodes: list[object] = [tomllib.loads(DEFAULT_POLICY.read_text(), parse_float=Decimal)]
    for name in path.split("."):
        nodes = [node[name] for node in nodes if isinstance(node, dict) and name in node]
        nodes = [item for node in nodes for item in (node if isinstance(node, list) else [node])]
    return [_value(node) for node in nodes]


def faults_of_policy(text: str) -> Iterator[str]:
    fields, rows = policy_fields(), list(policy_rows(text))
    documented = {path for paths, *_ in rows for path in paths}
    yield from (f"{path}: the policy has no such field" for path in sorted(documented - fields.keys()))
    yield from (f"{path}: the page has no row for this field" for path in sorted(fields.keys() - documented))
    for paths, left_out, in_file in rows:
        stated = [_value(value) for value in in_file]
        if stated != [value for path in paths for value in _in_default_file(path)]:
            yield f"{paths}: default.toml does not have {in_file}"
        for path in paths:
            if path in fields and _stated_default(left_out) != _value(fields[path]):
                yield f"{path}: if left out it is {fields[path]}, not {left_out}"


def faults_of_policy_names(text: str) -> Iterator[str]:
    """Fields of the policy that any page names as section.field; a column of the ledger may be called so too."""
    fields = policy_fields()
    columns = {(table.name, one.name) for table in Table.metadata.tables.values() for one in table.columns}
    for span in spans(text):
        section, _, field = span.partition(".")
        is_policy = section in Policy.model_fields and (section, field) not in columns
        if re.fullmatch(r"[a-z_]+", field) and is_policy and span not in fields:
            yield f"{span}: the policy has no such field"


# ---------------------------------------------------------------------------------------------- the ledger


def faults_of_sql(text: str, ledger) -> Iterator[str]:
    for block in fences(text, "sql"):
        for statement in filter(str.strip, block.split(";")):
            try:
                with ledger.engine.begin() as connection:
                    connection.exec_driver_sql(statement)
            except DBAPIError as error:
                yield f"{statement.strip()}: {error.orig}"


def faults_of_tables(text: str, ledger) -> Iterator[str]:
    looked = inspect(ledger.engine)
    there = {*looked.get_table_names(), *looked.get_view_names()} - {"alembic_version"}
    listed = first_cells(text, "Tables and views")
    yield from (f"{name}: the ledger has no such table" for name in sorted(listed - there))
    yield from (f"{name}: the page does not list this table" for name in sorted(there - listed))
    for name in re.findall(r"^### (\w+)$", text, re.MULTILINE):
        columns = {column["name"] for column in looked.get_columns(name)} if name in there else set()
        yield from (f"{name}.{column}: there is none" for column in sorted(first_cells(text, name) - columns))
