"""Where the rows of an input are: the files that a path names, and what the names of their folders say.

A path is taken literally first, then as a glob. A folder is searched to the bottom for files whose names end like those
of a job file, and a folder may end so too (Spark writes x.parquet/part-….parquet). What starts with "_" or "." is not
input: other engines keep there what is not finished (_temporary), and their marks (_SUCCESS, .part.crc).
"""

import glob
import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from schemas.errors import BadInput, NoJobs
from schemas.words import printable
from services.job_format import ENDINGS, JobFormat, checked_format, described_file, format_by_name

#: what the datasets library writes next to its data, and what is not data itself
_NOT_DATA = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
#: the folder by which a Delta table is known
_DELTA_LOG = "_delta_log"
_MOST_SHOWN = 5
#: how Hive, Spark and Arrow name the folder of the rows that have no value
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of the input.

    Attributes:
        path: where it is.
        format: how its rows are written.
        folder_values: what folders named like `group=support` say of all of its rows; None: that there is no value.
    """

    path: Path
    format: JobFormat
    folder_values: Mapping[str, str | None]


def find_files(path: str, columns: Container[str]) -> list[InputFile]:
    """The files of a path, in the order of their names.

    Args:
        path: a job file, a folder of them, or a glob.
        columns: what the name of a folder may give a value to.

    Raises:
        NoJobs: there are none.
        BadInput: a folder cannot be searched, one is not what its name says, they are of two formats, or two folders
            contradict each other.
    """
    try:
        found = _with_bytes(_found(path))
    except (OSError, ValueError) as error:  # a name too long, one with a NUL, a folder that may not be read
        raise BadInput(f"The input {path!r} cannot be searched ({type(error).__name__}).") from error
    files = [InputFile(file, checked_format(file), _folder_values(file, columns)) for file in found]
    first = files[0]
    for other in files:
        if other.format is not first.format:
            raise BadInput(
                f"{path} has files of two formats: {first.path} is {first.format}, and {other.path} is {other.format}. A "
                "run reads one format: name the files of one with a glob, or put the others elsewhere; nothing was "
                "sent."
            )
    return files


def _found(path: str) -> list[Path]:
    place = Path(path)
    if place.is_dir():
        if (place / _DELTA_LOG).is_dir():
            raise BadInput(
                f"{path} is a Delta table, whose files have rows that were deleted or changed since. Write its rows to "
                "Parquet with the tool that made it, and name that folder; nothing was sent."
            )
        files = sorted(set(_below(place)))
        if not files:
            raise _nothing_in(place)
        return files
    if place.exists():
        return [place]
    literal = set(place.parts)
    matches = [Path(match) for match in glob.glob(path, recursive=True)]  # noqa: PTH207 - any path
    matches = [match for match in matches if not any(is_hidden(p) for p in match.parts if p not in literal)]
    files = sorted({file for match in matches for file in (_below(match) if match.is_dir() else [match])})
    if not files:
        raise NoJobs(
            f"There is no file {path}. Name a job file, a folder of them, or a glob in quotation marks; nothing was sent."
        )
    return files


def _with_bytes(files: list[Path]) -> list[Path]:
    """Files less those of text without a byte, which Spark writes for parts that have no rows; of nothing else, one."""
    texts = (JobFormat.CSV, JobFormat.JSON_LINES)
    full = [file for file in files if format_by_name(file) not in texts or file.stat().st_size > 0]
    return full or files[:1]


def _nothing_in(folder: Path) -> NoJobs:
    """The refusal of a folder without a job file, with what it has."""
    names = sorted(printable(entry.name) for entry in folder.iterdir())
    shown = ", ".join(names[:_MOST_SHOWN])
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    has = f" It has {shown}{more}." if names else " It is empty."
    others = (entry for entry in sorted(folder.iterdir()) if entry.is_file() and not is_hidden(entry.name))
    first = next((entry for entry in others if entry.name not in _NOT_DATA), None)
    hint = f" {described_file(first)}" if first is not None else ""
    return NoJobs(
        f"The folder {folder} has no job file.{has}{hint} Job files end in {ENDINGS}; names that start with "
        '"_" or "." are not read. Nothing was sent.'
    )


def _below(folder: Path) -> Iterator[Path]:
    """The job files in a folder and the folders in it, those behind links too, each folder once."""
    pending, seen = [folder], set()
    while pending:
        place = pending.pop()
        real = place.resolve()
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(place) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir():
                    pending.append(place / entry.name)
                elif entry.name not in _NOT_DATA and format_by_name(Path(entry.name)) is not None:
                    yield place / entry.name


def is_hidden(name: str) -> bool:
    """Whether a file or a folder of this name is never read as input."""
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
