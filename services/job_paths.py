"""Where the rows of an input are: the files that a path names, and what the names of their folders say.

A path is taken literally first, then as a glob. A folder is searched to the bottom for files that end in .parquet, and
a folder may end so too (Spark writes x.parquet/part-….parquet). What starts with "_" or "." is not input: other
engines keep there what is not finished (_temporary), and their marks (_SUCCESS, .part.crc).
"""

import glob
import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from schemas.errors import BadInput, NoJobs

_ENDING = ".parquet"
#: how Hive, Spark and Arrow name the folder of the rows that have no value
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of the input.

    Attributes:
        path: where it is.
        folder_values: what folders named like `group=support` say of all of its rows; None: that there is no value.
    """

    path: Path
    folder_values: Mapping[str, str | None]


def find_files(path: str, columns: Container[str]) -> list[InputFile]:
    """The files of a path, in the order of their names.

    Args:
        path: a Parquet file, a folder of them, or a glob.
        columns: what the name of a folder may give a value to.

    Raises:
        NoJobs: there are none.
        BadInput: a folder cannot be searched, or two of them contradict each other.
    """
    try:
        found = _found(path)
    except (OSError, ValueError) as error:  # a name too long, one with a NUL, a folder that may not be read
        raise BadInput(f"The input {path!r} cannot be searched ({type(error).__name__}).") from error
    return [InputFile(file, _folder_values(file, columns)) for file in found]


def _found(path: str) -> list[Path]:
    place = Path(path)
    if place.is_dir():
        files = sorted(set(_below(place)))
        if not files:
            raise NoJobs(
                f'The folder {path} has no {_ENDING} file. Names that start with "_" or "." are not read.'
            )
        return files
    if place.exists():
        return [place]
    literal = set(place.parts)
    matches = [Path(match) for match in glob.glob(path, recursive=True)]  # noqa: PTH207 - any path
    matches = [match for match in matches if not any(_is_hidden(p) for p in match.parts if p not in literal)]
    files = sorted({file for match in matches for file in (_below(match) if match.is_dir() else [match])})
    if not files:
        raise NoJobs(f"There is no file {path}.")
    return files


def _below(folder: Path) -> Iterator[Path]:
    """The Parquet files in a folder and the folders in it, those behind links too, each folder once."""
    pending, seen = [folder], set()
    while pending:
        place = pending.pop()
        real = place.resolve()
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(place) as entries:
            for entry in entries:
                if _is_hidden(entry.name):
                    continue
                if entry.is_dir():
                    pending.append(place / entry.name)
                elif entry.name.endswith(_ENDING):
                    yield place / entry.name


def _is_hidden(name: str) -> bool:
    return name.startswith(("_", ".")) and name not in (".", "..")


def _folder_values(file: Path, columns: Container[str]) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for part in file.parent.parts:
        name, equals, written = part.partition("=")
        if not equals or name not in columns:
            continue
        value = None if written == _NO_VALUE else unquote(written)
        if values.setdefault(name, value) != value:
            raise BadInput(f"{file} lies in two folders that give {name} different values.")
    return values
