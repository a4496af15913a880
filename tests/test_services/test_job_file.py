"""Job files: what is refused with a sentence, and what comes out of the odd ones."""

import json
import math
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.read_row import job_from_row
from schemas.errors import BadInput
from schemas.payload.payload import InvalidPayload
from services import job_file
from services.job_file import ROWS_PER_BATCH, JobFile, all_rows


def write(path, columns, schema=None):
    table = columns if isinstance(columns, pa.Table) else pa.table(columns, schema=schema)
    pq.write_table(table, path)
    return str(path)


def rows(path, limit=None):
    return [row for batch in JobFile(str(path)).batches(limit) for row in batch]


def read(row):
    return job_from_row(0, row, 1_024)


def not_there(tmp_path):
    return str(tmp_path / "none.parquet")


def not_parquet(tmp_path):
    (tmp_path / "x.parquet").write_text("job_id,prompt\n1,SECRET\n")
    return str(tmp_path / "x.parquet")


def of_no_bytes(tmp_path):
    (tmp_path / "x.parquet").touch()
    return str(tmp_path / "x.parquet")


def truncated(tmp_path):
    path = write(tmp_path / "x.parquet", {"job_id": ["a"], "prompt": ["x"]})
    whole = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(whole[: len(whole) // 2])
    return path


def without_rows(tmp_path):
    return write(
        tmp_path / "x.parquet", {"job_id": pa.array([], pa.string()), "prompt": pa.array([], pa.string())}
    )


def an_empty_folder(tmp_path):
    return str(tmp_path)


def a_glob_of_nothing(tmp_path):
    return str(tmp_path / "*.parquet")


def without_job_id(tmp_path):
    return write(tmp_path / "x.parquet", {"id": ["a"], "prompt": ["x"]})


def without_text(tmp_path):
    return write(tmp_path / "x.parquet", {"job_id": ["a"], "system": ["x"]})


def two_columns_of_a_name(tmp_path):
    arrays = [pa.array(["a"]), pa.array(["x"]), pa.array(["y"])]
    return write(tmp_path / "x.parquet", pa.Table.from_arrays(arrays, names=["job_id", "prompt", "prompt"]))


def a_wrong_type(tmp_path):
    return write(tmp_path / "x.parquet", {"job_id": ["a"], "prompt": [b"bytes"]})


def one_bad_file_in_a_folder(tmp_path):
    write(tmp_path / "a.parquet", {"job_id": ["a"], "prompt": ["x"]})
    write(tmp_path / "b.parquet", {"job_id": ["b"], "prompt": [1.5]})
    return str(tmp_path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (not_there, "There is no file"),
        (
            not_parquet,
            "is called .parquet, but by its first bytes it is text, such as CSV. Let its name end in .csv",
        ),
        (of_no_bytes, "is empty: it has no bytes"),
        (truncated, "not a whole Parquet file"),
        (without_rows, "has no rows"),
        (an_empty_folder, "has no job file. It is empty. Job files end in .parquet, .csv"),
        (a_glob_of_nothing, "There is no file"),
        (without_job_id, "no column job_id"),
        (without_text, "neither a column prompt nor a column messages"),
        (two_columns_of_a_name, "two columns of the same name"),
        (a_wrong_type, "column prompt holds binary; it takes text"),
        (one_bad_file_in_a_folder, "b.parquet: column prompt holds double"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_sentence_before_anything_is_counted(tmp_path, make, words):
    with pytest.raises(BadInput) as refused:
        JobFile(make(tmp_path))
    assert words in str(refused.value)
    assert str(refused.value).endswith(".")
    assert "SECRET" not in str(refused.value)


def test_a_damaged_data_page_is_a_sentence(tmp_path):
    path = write(
        tmp_path / "x.parquet", {"job_id": [str(n) for n in range(2_000)], "prompt": ["x" * 50] * 2_000}
    )
    raw = bytearray((tmp_path / "x.parquet").read_bytes())
    raw[4:400] = b"\xff" * 396
    (tmp_path / "x.parquet").write_bytes(raw)
    with pytest.raises(BadInput, match="damaged"):
        rows(path)


@pytest.mark.parametrize("column", ["job_id", "max_tokens", "messages", "params", "stop_sequences", "model"])
def test_each_column_says_what_it_takes_when_its_type_is_wrong(tmp_path, column):
    path = write(tmp_path / "x.parquet", {"job_id": ["a"], "prompt": ["x"]} | {column: [True]})
    with pytest.raises(BadInput, match=f"column {column} holds bool; it takes "):
        JobFile(path)


def test_a_folder_and_a_glob_are_read_in_the_order_of_their_names(tmp_path):
    (tmp_path / "deeper").mkdir()
    for name in ("b", "a", "deeper/c"):
        write(tmp_path / f"{name}.parquet", {"job_id": [name], "prompt": ["x"]})
    (tmp_path / "notes.txt").write_text("not read")
    assert [row["job_id"] for row in rows(tmp_path)] == ["a", "b", "deeper/c"]
    assert [row["job_id"] for row in rows(tmp_path / "*.parquet")] == ["a", "b"]


def test_a_name_that_looks_like_a_glob_is_found_as_a_file(tmp_path):
    assert len(rows(write(tmp_path / "night[1].parquet", {"job_id": ["a"], "prompt": ["x"]}))) == 1


@pytest.mark.parametrize("limit", [None, 0, 1, ROWS_PER_BATCH, ROWS_PER_BATCH + 1, 10_000])
def test_a_limit_is_exact_across_batches_and_files(tmp_path, limit):
    for name in ("a", "b"):
        count = ROWS_PER_BATCH + 3
        write(
            tmp_path / f"{name}.parquet",
            {"job_id": [f"{name}{n}" for n in range(count)], "prompt": ["x"] * count},
        )
    whole = rows(tmp_path)
    assert rows(tmp_path, limit) == whole[:limit]
    assert JobFile(str(tmp_path)).rows == len(whole) == 2 * ROWS_PER_BATCH + 6


@pytest.mark.parametrize(
    "strings",
    [
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array(["a", "b", "a"], pa.large_string()),
        pa.array(["a", "b", "a"], pa.string_view()),
    ],
)
def test_every_kind_of_text_column_is_text(tmp_path, strings):
    path = write(tmp_path / "x.parquet", {"job_id": pa.array([1, 2, 3]), "prompt": strings, "group": strings})
    assert [read(row).payload.request["messages"][0]["content"] for row in rows(path)] == ["a", "b", "a"]
    assert [read(row).job_id for row in rows(path)] == ["1", "2", "3"]


def invalid_utf8(values):
    offsets, data = [0], b""
    for value in values:
        data += value
        offsets.append(len(data))
    return pa.StringArray.from_buffers(
        len(values), pa.array(offsets, pa.int32()).buffers()[1], pa.py_buffer(data)
    )


def test_bytes_that_are_no_utf8_spoil_their_own_row_only(tmp_path):
    texts = invalid_utf8([b"good", b"bad \xff\xfe", b"also good"])
    path = write(tmp_path / "x.parquet", {"job_id": ["a", "b", "c"], "prompt": texts})
    first, second, third = rows(path)
    assert (first["prompt"], third["prompt"]) == ("good", "also good")
    with pytest.raises(InvalidPayload) as refused:
        read(second)
    assert (refused.value.column, "UTF-8" in refused.value.reason) == ("prompt", True)


def test_bytes_that_are_no_utf8_inside_nested_values_spoil_their_own_row_only(tmp_path):
    contents = invalid_utf8([b"good", b"bad \xff\xfe"])
    structs = pa.StructArray.from_arrays([pa.array(["user", "user"]), contents], ["role", "content"])
    messages = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), structs)
    first, second = rows(write(tmp_path / "x.parquet", {"job_id": ["a", "b"], "messages": messages}))
    assert read(first).payload.request["messages"] == [{"role": "user", "content": "good"}]
    with pytest.raises(InvalidPayload, match="messages"):
        read(second)


def test_fields_that_other_rows_brought_into_a_nested_type_vanish_from_this_one(tmp_path):
    plain = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    picture = {"type": "image", "source": {"type": "file", "file_id": "f"}}
    path = write(
        tmp_path / "x.parquet",
        {"job_id": ["a", "b"], "messages": [plain, [{"role": "user", "content": [picture]}]]},
    )
    assert rows(path)[0]["messages"][0]["content"][0]["source"] is None
    assert [read(row).payload.request["messages"][0]["content"] for row in rows(path)] == [
        plain[0]["content"],
        [picture],
    ]


def test_a_whole_number_that_pandas_made_a_float_is_a_whole_number_and_nan_is_none(tmp_path):
    path = write(
        tmp_path / "x.parquet",
        {
            "job_id": ["a", "b"],
            "prompt": ["x", "y"],
            "max_tokens": pa.array([50.0, math.nan], from_pandas=False),
            "max_input_tokens": pa.array([math.nan, 7.0], from_pandas=False),
            "priority": pa.array([math.nan, 2.0], from_pandas=False),
            "max_cost_usd": pa.array([0.1, math.nan], from_pandas=False),
        },
    )
    first, second = (read(row) for row in rows(path))
    assert (first.payload.max_tokens, first.max_input_tokens, first.priority, first.max_cost) == (
        50,
        None,
        0,
        100_000_000,
    )
    assert (second.payload.max_tokens, second.max_input_tokens, second.priority, second.max_cost) == (
        1_024,
        7,
        2,
        None,
    )


def test_columns_of_others_are_left_alone_and_named(tmp_path):
    path = write(
        tmp_path / "x.parquet", {"job_id": ["a"], "prompt": ["x"], "secret": [b"\xff"], "notes": ["n"]}
    )
    file = JobFile(path)
    assert file.ignored_columns == ["notes", "secret"]
    assert list(file.batches()) == [[{"job_id": "a", "prompt": "x"}]]


def test_a_column_without_any_value_is_no_column(tmp_path):
    path = write(
        tmp_path / "x.parquet",
        {"job_id": ["a"], "prompt": ["x"], "system": pa.nulls(1), "tools": pa.nulls(1)},
    )
    assert set(read(rows(path)[0]).payload.request) == {"messages", "max_tokens"}


def test_one_file_is_open_at_a_time(tmp_path):
    for number in range(30):
        write(tmp_path / f"{number:02}.parquet", {"job_id": [str(number)], "prompt": ["x"]})

    def open_now():
        targets = list(Path("/proc/self/fd").iterdir())
        return sum(str(tmp_path) in str(target.readlink()) for target in targets if target.is_symlink())

    file = JobFile(str(tmp_path))
    assert open_now() == 0
    seen = [open_now() for _ in file._pieces(file.rows, job_file.all_rows)]
    assert (len(seen), max(seen)) == (30, 1)


def _more_rows(path):
    _some_rows(path, 400)


def _another_text(path):
    _some_rows(path, 300, "y" * 11)


def _cut_off(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _garbage(path):
    path.write_bytes(b'\xff"\n{' * 1_000)


def _taken_away(path):
    path.unlink()


def _some_rows(path, number, text="x" * 10):
    table = pa.table({"job_id": [str(row) for row in range(number)], "prompt": [text] * number})
    if path.suffix == ".csv":
        arrow_csv.write_csv(table, path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        pq.write_table(table, path, row_group_size=100)


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.jsonl"])
@pytest.mark.parametrize("change", [_more_rows, _another_text, _cut_off, _garbage, _taken_away])
@pytest.mark.parametrize("pieces_read", [0, 1, 2])
def test_a_file_that_is_not_the_one_that_was_checked_is_called_changed_and_not_damaged(
    tmp_path, name, change, pieces_read
):
    path = tmp_path / name
    _some_rows(path, 300)
    pieces = JobFile(str(path))._pieces(300, all_rows)
    for _ in range(pieces_read):
        next(pieces)
    # another one under the same name, as a writer leaves it that renames what it has finished
    aside = path.with_name(f"new{path.suffix}")
    aside.write_bytes(path.read_bytes())
    change(aside)
    aside.replace(path) if aside.exists() else path.unlink()
    with pytest.raises(BadInput, match="changed or taken away while it was read"):
        list(pieces)


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.jsonl"])
def test_a_file_that_is_cut_off_after_its_last_piece_was_read_is_refused_too(tmp_path, name):
    path = tmp_path / name
    _some_rows(path, 300)
    pieces = JobFile(str(path))._pieces(300, all_rows)
    for _ in range(3):
        next(pieces)
    _cut_off(path)
    with pytest.raises(BadInput, match="changed or taken away"):
        next(pieces)


def test_the_wanted_rows_of_a_long_file_come_together(tmp_path):
    ids = [str(number) for number in range(3_000)]
    path = write(tmp_path / "x.parquet", {"job_id": ids, "prompt": ["x"] * 3_000})
    batches = list(JobFile(path).numbered(None, lambda numbers: {one for one in numbers if one % 10 == 7}))
    assert [len(batch) for batch in batches] == [300]


@settings(max_examples=20)
@given(
    sizes=st.lists(st.sampled_from([1, 10, 1_000, 30_000]), min_size=1, max_size=60),
    group_size=st.integers(1, 60),
    nested=st.booleans(),
    limit=st.none() | st.integers(0, 70),
    unwanted=st.sets(st.integers(0, 60)),
)
def test_large_rows_come_in_small_batches_and_none_that_is_wanted_is_lost(
    tmp_path_factory, sizes, group_size, nested, limit, unwanted
):
    folder = tmp_path_factory.mktemp("large")
    texts = [f"{number}".ljust(size, "x") for number, size in enumerate(sizes)]
    text_column = [[{"role": "user", "content": text}] for text in texts] if nested else texts
    name = "messages" if nested else "prompt"
    table = pa.table({"job_id": [str(number) for number in range(len(sizes))], name: text_column})
    pq.write_table(table, folder / "x.parquet", row_group_size=group_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_file, "BYTES_PER_BATCH", 50_000)
        batches = list(JobFile(str(folder)).numbered(limit, lambda numbers: set(numbers) - unwanted))
    found = [(number, row[name]) for batch in batches for number, row in batch]
    wanted = [one for one in enumerate(text_column) if one[0] not in unwanted]
    assert found == [one for one in wanted if limit is None or one[0] < limit]
    assert all(0 < len(batch) <= ROWS_PER_BATCH for batch in batches)
    weights = [sum(sizes[number] for number, _ in batch) for batch in batches]
    # what is decoded together goes by the average of its row group, so a batch is passed by at most one such piece
    heaviest = max((sum(sizes[at : at + group_size]) for at in range(0, len(sizes), group_size)), default=0)
    assert max(weights, default=0) <= 50_000 + heaviest


@pytest.mark.parametrize("fails_at", [0, 1, 37, 99, 100, 101, 249])
def test_where_arrow_cannot_hold_some_rows_together_they_are_read_one_by_one(tmp_path, monkeypatch, fails_at):
    ids = [str(number) for number in range(250)]
    path = write(tmp_path / "x.parquet", {"job_id": ids, "prompt": ["x"] * 250})
    real = pq.ParquetFile.iter_batches

    def cannot_hold(self, batch_size, **more):
        for number, batch in enumerate(real(self, batch_size=batch_size, **more)):
            if batch_size > 1 and number * batch_size <= fails_at < (number + 1) * batch_size:
                raise pa.ArrowNotImplementedError(
                    "Nested data conversions not implemented for chunked arrays"
                )
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", cannot_hold)
    assert [row["job_id"] for row in rows(path)] == ids


def test_parquets_own_json_and_uuids_are_read_as_what_they_mean(tmp_path):
    messages = '[{"role": "user", "content": [{"type": "x", "x": {"none": null, "n": 0.10}}]}]'
    uuid = UUID(int=5)
    inside = pa.StructArray.from_arrays(
        [
            pa.array(["user"]),
            pa.ExtensionArray.from_storage(pa.json_(), pa.array(['[{"type": "x", "n": null}]'])),
        ],
        ["role", "content"],
    )
    table = pa.table(
        {
            "job_id": pa.array([uuid.bytes], pa.uuid()),
            "messages": pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), inside),
            "params": pa.array(['{"system": "s"}'], pa.json_()),
        }
    )
    pq.write_table(table, tmp_path / "nested.parquet", store_schema=False)
    [job] = [read(row) for row in rows(tmp_path / "nested.parquet")]
    assert job.job_id == str(uuid)
    assert job.payload.request["messages"] == [{"role": "user", "content": [{"type": "x", "n": None}]}]
    assert job.payload.request["system"] == "s"
    flat = pa.table({"job_id": ["a"], "messages": pa.array([messages], pa.json_())})
    pq.write_table(flat, tmp_path / "flat.parquet", store_schema=False)
    [job] = [read(row) for row in rows(tmp_path / "flat.parquet")]
    assert job.payload.request["messages"] == json.loads(messages)
