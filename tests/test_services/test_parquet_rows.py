"""Parquet as others write it: their types, their folders, and columns that mean nothing."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.read_row import job_from_row
from schemas.policy_sections import JobColumns
from services import parquet_rows
from services.job_file import JobFile

TURNS = [
    [{"role": "user", "content": "x"}],
    [{"role": "user", "content": "y"}, {"role": "assistant", "content": "z"}],
]


def jobs(path, **columns):
    file = JobFile(str(path), JobColumns(**columns))
    return [job_from_row(0, row, 9) for batch in file.batches() for row in batch]


def prompts(path, **columns):
    return [job.payload.request["messages"][0]["content"] for job in jobs(path, **columns)]


def of(kind):
    return lambda values: pa.array(values, kind)


@pytest.mark.parametrize(
    "written",
    [
        of(pa.string()),
        of(pa.large_string()),  # polars, pandas
        of(pa.string_view()),
        lambda values: pa.array(values).dictionary_encode(),  # pandas' categories, Hugging Face's class names
        lambda values: pa.array(values, pa.large_string()).dictionary_encode(),
    ],
)
def test_text_of_every_kind_is_an_id_a_prompt_or_a_part_of_a_template(tmp_path, written):
    table = pa.table({"key": written(["a", "b"]), "body": written(["x", "y"])})
    pq.write_table(table, tmp_path / "x.parquet")
    assert prompts(tmp_path, id="key", prompt="body") == ["x", "y"]
    assert prompts(tmp_path, id="key", prompt="{key}: {body}") == ["a: x", "b: y"]


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.struct({"role": pa.string(), "content": pa.string(), "name": pa.null()})),
        pa.large_list(pa.struct({"role": pa.large_string(), "content": pa.large_string()})),  # polars
        pa.list_(pa.struct({"content": pa.string(), "role": pa.dictionary(pa.int32(), pa.string())})),
    ],
)
def test_conversations_of_structs_are_messages(tmp_path, kind):
    pq.write_table(pa.table({"job_id": [1, 2], "messages": pa.array(TURNS, kind)}), tmp_path / "x.parquet")
    assert [job.payload.request["messages"] for job in jobs(tmp_path)] == TURNS


def test_columns_without_any_value_and_the_numbers_of_pandas_rows_mean_nothing(tmp_path):
    frame = pd.DataFrame(
        {"job_id": ["a", "b"], "prompt": ["x", "y"], "system": [None, None], "tools": [None, None]},
        index=[5, 9],
    )
    frame.to_parquet(tmp_path / "x.parquet")
    assert "__index_level_0__" in pq.read_schema(tmp_path / "x.parquet").names
    assert JobFile(str(tmp_path)).ignored_columns == []
    assert prompts(tmp_path) == ["x", "y"]
    assert [job.job_id for job in jobs(tmp_path, id="__index_level_0__")] == ["5", "9"]


def test_folders_as_spark_dask_and_hugging_face_write_them_work_as_they_come(tmp_path):
    spark, data = tmp_path / "jobs.parquet", tmp_path / "data"
    (spark / "_temporary" / "0").mkdir(parents=True)
    (spark / "country=DE").mkdir()
    data.mkdir()
    for place, name in (
        (spark / "country=DE" / "part-00000-8d1e-c000.snappy.parquet", "a"),
        (spark / "_temporary" / "0" / "part-00001.parquet", "unfinished"),
        (spark / "part.1.parquet", "b"),
        (data / "train-00000-of-00001.parquet", "c"),
    ):
        pq.write_table(pa.table({"job_id": [name], "prompt": ["x"]}), place)
    for mark in (spark / "_SUCCESS", spark / "_metadata", spark / ".part-00000.crc"):
        mark.touch()
    for note in ("dataset_info.json", "state.json", "README.md"):
        (data / note).write_text("{}")
    assert [job.job_id for job in jobs(spark)] == ["a", "b"]
    assert [job.job_id for job in jobs(data)] == ["c"]


def test_a_row_group_of_which_no_row_is_wanted_is_not_decoded(tmp_path, monkeypatch):
    for name in ("a", "b"):
        table = pa.table({"job_id": [f"{name}-{row}" for row in range(10)], "prompt": ["x"] * 10})
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=4)
    decoded, decode = [], parquet_rows._decoded
    monkeypatch.setattr(
        parquet_rows,
        "_decoded",
        lambda file, group, columns: decoded.append(group) or decode(file, group, columns),
    )
    asked = []

    def wanted(numbers):
        asked.append(numbers)
        return {5, 13}

    file = JobFile(str(tmp_path))
    found = [(number, row["job_id"]) for rows in file.numbered(19, wanted) for number, row in rows]
    assert found == [(5, "a-5"), (13, "b-3")]
    assert decoded == [1, 0]
    # one that keeps what it has found only as long as it may be asked for again
    assert [numbers.start for numbers in asked] == sorted(numbers.start for numbers in asked)
    assert max(numbers.stop for numbers in asked) == 19
