"""Result files on a disk that takes no more: a sentence, and nothing of the file is left."""

import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import RunFailed
from services.result_file import growing_file, write_bytes, write_parts, write_text

SCHEMA = pa.schema([("text", pa.string())])
ROWS = [{"text": "one"}]


def grown(folder):
    with growing_file(folder / "rows.parquet", SCHEMA) as write:
        write(ROWS)


WRITERS = {
    "parts": lambda folder: write_parts(folder, "results", SCHEMA, ROWS, 10),
    "a growing file": grown,
    "text": lambda folder: write_text(folder / "report.md", "text"),
    "bytes": lambda folder: write_bytes(folder / "chart.svg", b"bytes"),
}


def _full(*_, **__):
    # in Arrow's words
    raise OSError(errno.ENOSPC, "Error writing bytes to file. Detail: [errno 28] No space left on device")


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_a_sentence_and_leaves_no_part_of_the_file(tmp_path, monkeypatch, writer):
    folder = tmp_path / "results"
    with monkeypatch.context() as patch:
        for where, name in ((os, "fsync"), (Path, "replace")):
            patch.setattr(where, name, _full)
        with pytest.raises(RunFailed) as failed:
            WRITERS[writer](folder)
    assert "could not be written (No space left on device)." in str(failed.value)
    assert "Arrow" not in str(failed.value)
    assert list(folder.iterdir()) == []
    WRITERS[writer](folder)
    assert [path.suffix for path in folder.iterdir()] != [".writing"]


def test_a_folder_that_cannot_be_made_is_one_too(tmp_path):
    (tmp_path / "file").touch()
    for write in WRITERS.values():
        with pytest.raises(RunFailed, match="could not be written"):
            write(tmp_path / "file" / "results")


def test_what_fails_between_the_rows_is_raised_as_it_is(tmp_path):
    def work():
        with growing_file(tmp_path / "rows.parquet", SCHEMA) as write:
            write(ROWS)
            raise OSError("of the caller")

    with pytest.raises(OSError, match="of the caller"):
        work()
    assert not (tmp_path / "rows.parquet").exists()


def test_rows_are_there_once_all_are_in(tmp_path):
    grown(tmp_path)
    assert pq.read_table(tmp_path / "rows.parquet").to_pylist() == ROWS
