"""What a file is: by its name, and by its first bytes where the name says something else."""

import gzip
import zipfile

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from schemas.errors import BadInput
from services.job_file import JobFile
from services.job_format import JobFormat, checked_format, format_by_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.parquet", JobFormat.PARQUET),
        ("part-0.snappy.parquet", JobFormat.PARQUET),
        ("X.CSV", JobFormat.CSV),
        ("x.tsv", JobFormat.CSV),
        ("x.csv.gz", JobFormat.CSV),
        ("x.jsonl", JobFormat.JSON_LINES),
        ("x.ndjson.zst", JobFormat.JSON_LINES),
        ("x.json", JobFormat.JSON_LINES),
        ("x.parquet.gz", None),
        ("x.gz", None),
        ("x.xlsx", None),
        ("csv", None),
    ],
)
def test_the_ending_of_a_name_says_what_it_is(tmp_path, name, expected):
    assert format_by_name(tmp_path / name) is expected


def an_excel_workbook(path):
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("xl/workbook.xml", "<workbook/>")


def parquet(path):
    pq.write_table(pa.table({"job_id": ["a"], "prompt": ["SECRET"]}), path)


def written(data):
    return lambda path: path.write_bytes(data)


TEXT = b"job_id,prompt\na,SECRET\n"


@pytest.mark.parametrize(
    ("name", "make", "found", "fix"),
    [
        ("x.parquet", written(TEXT), "text, such as CSV", "Let its name end in .csv"),
        ("x.parquet", written(b'{"job_id": 1}'), "text that begins like JSON", "Let its name end in .jsonl"),
        ("x.parquet", an_excel_workbook, "an Excel workbook", "Save the sheet as CSV UTF-8"),
        ("x.csv", parquet, "a Parquet file", "Let its name end in .parquet"),
        ("x.csv", written(b'[{"job_id": 1}]'), "text that begins like JSON", "end in .jsonl"),
        ("x.csv", written(gzip.compress(TEXT)), "compressed with gzip", "end in .csv.gz"),
        ("x.csv", written("job_id,prompt\n".encode("utf-16")), "text in UTF-16", "Save it as UTF-8"),
        ("x.csv", written(b"a\0b"), "a binary file", "Write its rows as Parquet, CSV or JSON Lines"),
        ("x.jsonl", parquet, "a Parquet file", "Let its name end in .parquet"),
        ("x.csv.gz", written(TEXT), "x.csv.gz cannot be read", "it is damaged"),
        ("x.xlsx", an_excel_workbook, "an Excel workbook", "Save the sheet as CSV UTF-8"),
        ("x.xls", written(b"\xd0\xcf\x11\xe0\xa1\xb1"), "an Excel workbook", "Save the sheet as CSV UTF-8"),
        ("x.txt", written(TEXT), "text, such as CSV", "Let its name end in .csv"),
        ("x.arrow", lambda path: feather.write_feather(pa.table({"a": [1]}), str(path)), "an Arrow (Feather) file", "Write it as Parquet"),
        ("x.avro", written(b"Obj\x01..."), "an Avro file", "Write it as Parquet"),
        ("x.csv", written(b""), "is empty: it has no bytes", "Write it again"),
        ("x.parquet", written(b""), "is empty: it has no bytes", "Write it again"),
    ],
)  # fmt: skip
def test_what_is_no_job_file_is_named_with_what_to_do(tmp_path, name, make, found, fix):
    make(tmp_path / name)
    with pytest.raises(BadInput) as refused:
        JobFile(str(tmp_path / name))
    assert found in str(refused.value)
    assert fix in str(refused.value)
    assert "SECRET" not in str(refused.value)
    assert str(refused.value).endswith(".")


def test_parquet_is_read_whatever_its_name(tmp_path):
    parquet(tmp_path / "night")
    assert checked_format(tmp_path / "night") is JobFormat.PARQUET


@pytest.mark.parametrize("header", [b"ORC_id,job_id,prompt", b"PAR1,job_id,prompt", b"ARROW1,job_id,prompt"])
def test_a_header_may_begin_like_another_format(tmp_path, header):
    (tmp_path / "x.csv").write_bytes(header + b"\n1,a,x\n")
    assert JobFile(str(tmp_path / "x.csv")).rows == 1


def test_a_folder_without_a_job_file_says_what_it_has(tmp_path):
    an_excel_workbook(tmp_path / "tickets.xlsx")
    (tmp_path / "_SUCCESS").touch()
    with pytest.raises(BadInput) as refused:
        JobFile(str(tmp_path))
    assert "It has _SUCCESS, tickets.xlsx. tickets.xlsx is an Excel workbook. Save the sheet" in str(
        refused.value
    )
