"""Job files are moved whole, never over another file, and never to where they would be read again."""

import errno
import os
from pathlib import Path

import pytest

from schemas.errors import BadInput
from services import move_file
from services.job_paths import find_files
from services.move_file import done_folder, move_aside


@pytest.fixture
def incoming(tmp_path):
    folder = tmp_path / "incoming"
    folder.mkdir()
    return folder


def put(path, text="job"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_is_moved_with_its_content_and_a_taken_name_gets_a_number(tmp_path, incoming):
    done = tmp_path / "done"
    for number, name in enumerate(["a.csv.gz", "a-2.csv.gz", "a-3.csv.gz"]):
        file = put(incoming / "a.csv.gz", f"night {number}")
        assert move_aside(file, done, str(file)) == done / name
        assert not file.exists()
    assert [(done / name).read_text() for name in ("a.csv.gz", "a-2.csv.gz")] == ["night 0", "night 1"]


def test_files_of_a_folder_keep_the_folders_that_they_lie_in(tmp_path, incoming):
    file = put(incoming / "group=support" / "part-0.parquet")
    assert (
        move_aside(file, tmp_path / "done", str(incoming)) == tmp_path / "done/group=support/part-0.parquet"
    )


@pytest.fixture
def two_disks(monkeypatch):
    """Renaming from one folder into another fails as it does between two file systems."""
    rename = Path.replace

    def replace(self, target):
        if self.parent != Path(target).parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)


def test_between_two_file_systems_a_file_is_copied_synced_and_then_removed(
    tmp_path, incoming, two_disks, monkeypatch
):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_mode))
    file = put(incoming / "a.csv", "all of it")
    moved = move_aside(file, tmp_path / "done", str(file))
    assert (moved.read_text(), file.exists(), len(synced)) == ("all of it", False, 2)
    assert sorted(moved.parent.iterdir()) == [moved]


def test_a_copy_that_fails_leaves_the_file_and_nothing_else(tmp_path, incoming, two_disks, monkeypatch):
    def full(_, aside):
        aside.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(move_file.shutil, "copy2", full)
    file = put(incoming / "a.csv", "all of it")
    with pytest.raises(OSError, match="No space"):
        move_aside(file, tmp_path / "done", str(file))
    assert file.read_text() == "all of it"
    assert list((tmp_path / "done").iterdir()) == []


def test_a_file_that_somebody_took_away_leaves_no_empty_one_behind(tmp_path, incoming):
    with pytest.raises(FileNotFoundError):
        move_aside(incoming / "gone.csv", tmp_path / "done", str(incoming))
    assert list((tmp_path / "done").iterdir()) == []


@pytest.mark.parametrize(
    ("jobs", "folder"),
    [
        ("incoming", "incoming"),
        ("incoming", "incoming/done"),
        ("incoming/a.csv", "incoming"),
        ("incoming/*.csv", "incoming"),
        ("incoming/*", "incoming/done"),
        ("**/*.csv", "elsewhere"),
        ("incoming", "link"),
    ],
)
def test_a_folder_whose_files_would_be_read_again_is_refused(tmp_path, incoming, monkeypatch, jobs, folder):
    monkeypatch.chdir(tmp_path)
    file = put(incoming / "a.csv").relative_to(tmp_path)
    (tmp_path / "link").symlink_to(incoming)
    with pytest.raises(BadInput, match="would be read again"):
        done_folder(folder, jobs, [file])


@pytest.mark.parametrize(
    ("jobs", "folder"),
    [
        ("incoming", "done"),
        ("incoming", "incoming/_done"),
        ("incoming", "incoming/.done/2026-11-27"),
        ("incoming/a*", "incoming/done"),
        ("incoming/a.csv", "incoming/done"),
        ("incoming/*", "done"),
        ("incoming/*.csv", "incoming/done"),
        ("incoming/?.csv", "incoming/done"),
        ("i*/*.csv", "incoming/done"),
    ],
)
def test_a_folder_elsewhere_or_a_hidden_one_is_made(tmp_path, incoming, monkeypatch, jobs, folder):
    monkeypatch.chdir(tmp_path)
    file = put(incoming / "a.csv").relative_to(tmp_path)
    assert done_folder(folder, jobs, [file]) == tmp_path / folder
    assert (tmp_path / folder).is_dir()


@pytest.mark.parametrize(
    "jobs", ["incoming/*.csv", "*/*.csv", "*/*", "**/*.csv", "**", "inc*", "[ij]*/?.csv", "incoming/**"]
)
@pytest.mark.parametrize(
    "folder", ["done", "incoming/done", "incoming/sub/done", "done/2026-11-28", "_done", "inc-done"]
)
def test_a_folder_is_refused_where_a_run_over_the_same_glob_would_read_it_again(
    tmp_path, incoming, monkeypatch, jobs, folder
):
    monkeypatch.chdir(tmp_path)
    file = put(incoming / "a.csv", "job_id,prompt\n1,hi\n").relative_to(tmp_path)
    again = put(tmp_path / folder / "a.csv", "job_id,prompt\n1,hi\n").relative_to(tmp_path)
    is_read_again = again in {one.path for one in find_files(jobs, ())}
    try:
        done_folder(folder, jobs, [file])
    except BadInput:
        assert is_read_again
    else:
        assert not is_read_again


def test_a_folder_that_cannot_be_written_to_is_refused_with_the_reason(tmp_path, incoming):
    file = put(incoming / "a.csv")
    with pytest.raises(BadInput, match=r"cannot be moved to .* \(Not a directory\)"):
        done_folder(str(put(tmp_path / "file") / "done"), str(file), [file])
