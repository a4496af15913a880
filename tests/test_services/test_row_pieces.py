"""What every reader of job files shares."""

import bz2
import gzip

import pytest

from services.row_pieces import changed, damaged, file_stamp, unpacked


@pytest.mark.parametrize(
    ("name", "packed"), [("x.csv", bytes), ("x.csv.gz", gzip.compress), ("x.csv.BZ2", bz2.compress)]
)
def test_a_file_is_unpacked_as_its_name_says(tmp_path, name, packed):
    (tmp_path / name).write_bytes(packed(b"abc"))
    with unpacked(tmp_path / name) as stream:
        assert stream.read() == b"abc"


def test_the_stamp_of_a_file_changes_with_it(tmp_path):
    path = tmp_path / "x"
    path.write_text("a")
    before = file_stamp(path)
    assert file_stamp(path) == before
    path.write_text("ab")
    assert file_stamp(path) != before


def test_a_refusal_quotes_nothing_of_the_error(tmp_path):
    assert "SECRET" not in str(damaged(tmp_path / "x", ValueError("SECRET")))
    assert "was changed or taken away while it was read" in str(changed(tmp_path / "x"))
