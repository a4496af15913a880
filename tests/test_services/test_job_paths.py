"""Where rows come from: the files that a path names, and the values that the names of folders give them."""

import gzip
import shutil
from decimal import Decimal
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.read_row import job_from_row
from schemas.errors import BadInput
from schemas.payload.invalid import InvalidPayload
from services.job_file import JobFile

#: what a folder or a file may be called
names = st.text("abc[]*?=%_. ü-", min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"job_id": [path.stem], "prompt": ["x"]} | columns), path)


def ids(path):
    return [row["job_id"] for batch in JobFile(str(path)).batches() for row in batch]


def jobs(path):
    """Each row as a job, or the refusal."""
    read = []
    for batch in JobFile(str(path)).batches():
        for row in batch:
            try:
                read.append(job_from_row(0, row, 100))
            except InvalidPayload as refused:
                read.append(refused)
    return read


@pytest.fixture
def place(tmp_path_factory):
    """A new folder for each example."""
    made = []

    def make():
        made.append(tmp_path_factory.mktemp("input"))
        return made[-1]

    yield make
    for folder in made:
        shutil.rmtree(folder)


@given(name=names, others=st.sets(names, max_size=3))
def test_a_path_is_taken_as_it_is_written_before_it_is_taken_as_a_glob(place, name, others):
    folder = place()
    for other in {name, *others, "a", "b"}:
        write(folder / f"{other}.parquet")
    assert ids(folder / f"{name}.parquet") == [name]


@given(st.lists(names, min_size=1, max_size=4, unique=True), st.sampled_from(["", ".parquet"]))
def test_a_folder_is_read_to_the_bottom_but_for_what_other_engines_have_not_finished(place, parts, ending):
    folder = place()
    deepest = folder.joinpath("in", *(f"{part}{ending}" for part in parts[:-1]))
    write(deepest / f"{parts[-1]}.parquet")
    write(folder / "in" / "x.parquet" / "part-0000.snappy.parquet")
    for hidden in ("_temporary/0/part-0001.parquet", ".part.parquet", "_x.parquet", ".crc/y.parquet"):
        write(folder / "in" / "x.parquet" / hidden)
    (folder / "in" / "x.parquet" / "_SUCCESS").touch()
    expected = [] if any(part.startswith(("_", ".")) for part in parts) else [parts[-1]]
    found = ids(folder / "in")
    assert sorted(found) == sorted([*expected, "part-0000.snappy"])
    assert ids(folder / "in" / "x.parquet") == ["part-0000.snappy"]
    assert sorted(ids(folder / "i*")) == sorted(found)
    assert sorted(ids(folder / "in" / "**")) == sorted(found)


def test_what_is_hidden_is_read_when_it_is_named(tmp_path):
    write(tmp_path / "_night.parquet")
    write(tmp_path / "_in" / "a.parquet")
    assert ids(tmp_path / "_night.parquet") == ["_night"]
    assert ids(tmp_path / "_in") == ids(tmp_path / "_in" / "*.parquet") == ["a"]
    with pytest.raises(BadInput, match="not read"):
        JobFile(str(tmp_path))


def test_a_link_is_followed_and_a_circle_of_links_ends(tmp_path):
    write(tmp_path / "elsewhere" / "a.parquet")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "there").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "in")
    assert ids(tmp_path / "in") == ["a"]


@pytest.mark.parametrize("path", ["x" * 5_000, "nul\0.parquet", "/dev/null"])
def test_a_path_that_no_system_takes_is_a_sentence(path):
    with pytest.raises(BadInput):
        JobFile(path)


def test_a_folder_that_may_not_be_read_is_a_sentence(tmp_path, monkeypatch):
    def refused(_):
        raise PermissionError

    monkeypatch.setattr("os.scandir", refused)
    with pytest.raises(BadInput, match="cannot be searched"):
        JobFile(str(tmp_path))


# --- values in the names of folders ------------------------------------------------------------------------------


@given(
    group=st.text("abcü/% =&.", min_size=1, max_size=8).filter(str.strip),
    model=st.sampled_from(["m-1", "m.2"]),
)
def test_the_names_of_folders_give_their_rows_the_columns_they_name(place, group, model):
    folder = place() / "in" / f"group={quote(group, safe='')}" / f"model={model}" / "day=2026-11-26"
    write(folder / "a.parquet")
    [job] = jobs(folder.parents[2])
    assert (job.group, job.model) == (group.strip(), model)
    assert jobs(folder / "a.parquet") == jobs(folder / "*.parquet") == [job]


def test_what_pandas_writes_in_partitions_comes_back(tmp_path):
    rows = [
        {"job_id": f"{group}-{n}", "prompt": "x", "group": group, "max_tokens": n + 1, "max_cost_usd": "0.5"}
        for group in ("support", "a/b", None)
        for n in range(2)
    ]
    frame = pd.DataFrame(rows)
    frame.to_parquet(
        tmp_path / "in", partition_cols=["group", "max_tokens", "max_cost_usd"], engine="pyarrow"
    )
    read = {job.job_id: (job.group, job.payload.max_tokens, job.max_cost) for job in jobs(tmp_path / "in")}
    assert read == {row["job_id"]: (row["group"], row["max_tokens"], 500_000_000) for row in rows}


@pytest.mark.parametrize(
    ("folder", "own"),
    [
        ("group=support", ["support"]),
        ("group=support", pa.array(["support"]).dictionary_encode()),
        ("group=support", pa.nulls(1)),
        ("max_tokens=7", [7]),
        ("max_tokens=7", [7.0]),
        ("max_cost_usd=0.50", [Decimal("0.5")]),
        ("priority=3", [float("nan")]),
    ],
)
def test_a_row_that_agrees_with_its_folder_or_says_nothing_is_a_job(tmp_path, folder, own):
    name, _, _ = folder.partition("=")
    write(tmp_path / folder / "a.parquet", **{name: own})
    write(tmp_path / "other" / folder / "a.parquet")
    [job] = jobs(tmp_path / folder)
    assert [job] == jobs(tmp_path / "other")


@pytest.mark.parametrize(
    ("folder", "own"),
    [
        ("group=support", ["research"]),
        ("group=__HIVE_DEFAULT_PARTITION__", ["research"]),
        ("model=claude-opus-5-5", ["claude-haiku-5-5"]),
        ("max_tokens=7", [8]),
        ("priority=x", [None]),
    ],
)
def test_a_row_that_contradicts_its_folder_is_refused_and_the_others_go_on(tmp_path, folder, own):
    name, _, _ = folder.partition("=")
    write(
        tmp_path / folder / "a.parquet", **{name: pa.array(own, pa.int64() if name == "priority" else None)}
    )
    write(tmp_path / "b.parquet")
    refused, job = sorted(jobs(tmp_path), key=lambda one: not isinstance(one, InvalidPayload))
    assert (refused.column, job.job_id) == (name, "b")
    assert "folder" in refused.reason


def test_two_folders_of_one_name_are_a_sentence(tmp_path):
    write(tmp_path / "group=a" / "group=b" / "x.parquet")
    with pytest.raises(BadInput, match="two folders that give group different values"):
        JobFile(str(tmp_path))


# --- folders of several formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json"])
def test_files_of_two_formats_are_a_sentence_that_names_one_of_each(tmp_path, ending):
    write(tmp_path / "a.parquet")
    text = "job_id,prompt\n1,x\n" if ending == "csv" else '{"job_id": "1", "prompt": "x"}\n'
    (tmp_path / f"b.{ending}").write_text(text)
    with pytest.raises(BadInput) as refused:
        JobFile(str(tmp_path))
    assert "a.parquet is Parquet, and" in str(refused.value)
    assert f"b.{ending} is {'CSV' if ending == 'csv' else 'JSON Lines'}" in str(refused.value)
    assert "with a glob" in str(refused.value)
    assert ids(tmp_path / "*.parquet") == ["a"]
    assert ids(tmp_path / f"*.{ending}") == ["1"]


def test_a_delta_table_is_a_sentence(tmp_path):
    write(tmp_path / "part-0.parquet")
    (tmp_path / "_delta_log").mkdir()
    with pytest.raises(BadInput, match="is a Delta table, whose files have rows that were deleted"):
        JobFile(str(tmp_path))


def test_csv_with_several_separators_and_packed_is_of_one_format(tmp_path):
    (tmp_path / "a.csv").write_text("job_id,prompt\na,x\n")
    (tmp_path / "b.tsv").write_text("job_id\tprompt\nb\tx\n")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b"job_id;prompt\nc;x\n"))
    assert ids(tmp_path) == ["a", "b", "c"]


def test_parts_without_a_byte_have_no_rows_unless_there_is_nothing_else(tmp_path):
    for number, text in enumerate(["", '{"job_id": "a", "prompt": "x"}\n', ""]):
        (tmp_path / f"part-{number}.json").write_text(text)
    assert ids(tmp_path) == ["a"]
    (tmp_path / "part-1.json").unlink()
    with pytest.raises(BadInput, match="is empty: it has no bytes"):
        JobFile(str(tmp_path))


def test_folders_may_give_their_rows_all_that_they_have(tmp_path):
    place = tmp_path / "job_id=7" / "prompt=x"
    place.mkdir(parents=True)
    pq.write_table(pa.table({"other": [1]}), place / "a.parquet")
    assert [job.job_id for job in jobs(tmp_path)] == ["7"]
