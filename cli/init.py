"""`weighbridge init [DIR]`."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import BadInput

_DATA = Path(__file__).resolve().parents[1] / "data"
#: what is put down, and what it is a copy of
_FILES = {
    "policy.toml": _DATA / "policies" / "default.toml",
    "jobs.parquet": _DATA / "samples" / "first-jobs.parquet",
}
#: where runs read and write when nothing else is named
_FOLDERS = ("data/incoming", "data/results")


def init(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="[DIR]", help="The folder; the current one when left out.", show_default=False
        ),
    ] = Path(),
) -> None:
    """Make the folders of a new project, with a policy and a sample job file.

    What is there already is kept as it is.
    """
    try:
        lines = [
            *(_folder(directory / name) for name in _FOLDERS),
            *(_file(directory, name) for name in _FILES),
        ]
    except OSError as error:
        raise BadInput(
            f"The project cannot be put down in {directory.absolute()} ({error.strerror}). What was made before is "
            "kept; name a folder that can be written, and repeat the command."
        ) from error
    print("\n".join(lines))
    print(_next_steps(directory))


def _folder(folder: Path) -> str:
    if folder.is_dir():
        return f"kept  {folder}"
    folder.mkdir(parents=True)
    return f"made  {folder}"


def _file(directory: Path, name: str) -> str:
    """Copy a file that is not there yet; a person's own is never overwritten, whoever makes it meanwhile."""
    target = directory / name
    try:
        with _FILES[name].open("rb") as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy)
    except FileExistsError:
        return f"kept  {target}"
    return f"made  {target}"


def _next_steps(directory: Path) -> str:
    go = "" if directory == Path() else f"  cd {directory}\n"
    return (
        f"\nNext:\n{go}"
        "  weighbridge run jobs.parquet --policy policy.toml --simulate   # no key, no money\n"
        "  weighbridge up --simulate                                      # with the Prefect UI and the review page\n"
        "  export WEIGHBRIDGE_POLICY=$PWD/policy.toml                     # once it is your own\n"
        "  weighbridge doctor                                             # what the real API still needs"
    )
