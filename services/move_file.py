"""Moving job files aside once they are done with: whole or not at all, and never over another file."""

import errno
import os
import shutil
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path

from schemas.errors import BadInput
from services.job_paths import is_hidden
from services.row_pieces import COMPRESSIONS


def done_folder(folder: str, jobs: str, files: list[Path]) -> Path:
    """The folder that job files are moved to, made if it is not there; where the next run does not read it again.

    Args:
        folder: its path.
        jobs: the path of the input: a job file, a folder of them, or a glob.
        files: those of the input.

    Raises:
        BadInput: it cannot be written to, or what is in it would be read as input.
    """
    place = Path(folder).absolute()
    is_same = place.resolve() in {file.absolute().parent.resolve() for file in files}
    if is_same or any(_is_input(place / _below(file, jobs), jobs) for file in files):
        raise BadInput(
            f"--move-done {folder} is where the job files of {jobs} are read from: what is moved there would be read "
            'again. Name a folder elsewhere, or one whose name begins with "_" or "."; nothing was counted or sent.'
        )
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return place
    except OSError as error:
        raise BadInput(
            f"Job files cannot be moved to {folder} ({error.strerror or type(error).__name__}). Name another folder with "
            "--move-done; nothing was counted or sent."
        ) from error


def move_aside(file: Path, folder: Path, jobs: str) -> Path:
    """Move a job file into a folder, below the folders that it has below the input; where it is now.

    A name that is taken gets a number. On another file system the file is copied, and removed once the copy is on disk.

    Args:
        file: the job file.
        folder: from `done_folder`.
        jobs: the path of the input.

    Raises:
        OSError: it could not be moved, and is where it was.
    """
    wanted = folder / _below(file, jobs)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    target = _reserved(wanted)
    try:
        _move(file, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _move(file: Path, target: Path) -> None:
    """Move a file to a name that is reserved for it."""
    try:
        file.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(file, target)
        file.unlink()


def _copy(file: Path, target: Path) -> None:
    """Copy a file to a name that is reserved for it; it has its content once that is on disk."""
    aside = target.with_name(f".{target.name}.moving")
    try:
        shutil.copy2(file, aside)
        with aside.open("rb") as copied:
            os.fsync(copied.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _reserved(wanted: Path) -> Path:
    """A name that nobody else has, as an empty file of ours."""
    ending = wanted.suffix
    if ending.lower() in COMPRESSIONS:
        ending = Path(wanted.stem).suffix + ending
    stem = wanted.name.removesuffix(ending)
    for number in count(1):
        name = wanted.name if number == 1 else f"{stem}-{number}{ending}"
        try:
            os.close(os.open(wanted.with_name(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            continue
        return wanted.with_name(name)
    raise AssertionError("unreachable")


def _below(file: Path, jobs: str) -> Path:
    """A file's path below the folder of the input; where the input is no folder, its name."""
    place = Path(jobs)
    return file.relative_to(place) if place.is_dir() else Path(file.name)


def _is_input(file: Path, jobs: str) -> bool:
    """Whether a run over the input would read this file."""
    place = Path(jobs).absolute()
    if place.is_dir():
        parts = file.relative_to(place).parts if file.is_relative_to(place) else None
    else:
        parts = file.parts if _is_reached(file.parts, place.parts) else None
        parts = parts and tuple(part for part in parts if part not in place.parts)
    return parts is not None and not any(is_hidden(part) for part in parts)


def _is_reached(parts: Sequence[str], glob: Sequence[str]) -> bool:
    """Whether a glob, part by part, names a file or a folder that the file is in."""
    if not glob:
        return True
    if glob[0] == "**":
        return any(_is_reached(parts[passed:], glob[1:]) for passed in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], glob[0]) and _is_reached(parts[1:], glob[1:])
