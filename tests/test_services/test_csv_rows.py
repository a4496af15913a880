"""CSV: what a value is, and which files are refused because their rows cannot be trusted."""

import bz2
import csv
import gzip
import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.read_row import job_from_row
from schemas.errors import BadInput
from schemas.payload.exact_json import Unfit
from services.job_file import JobFile
from tests.strategies import examples


def rows(path, data=None):
    if data is not None:
        path.write_bytes(data)
    return [row for batch in JobFile(str(path)).batches() for row in batch]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.csv"


def test_an_empty_value_is_none_and_a_quoted_one_is_empty_text(path):
    assert rows(path, b'job_id,prompt,group\n1,"",\n"",,g\n') == [
        {"job_id": "1", "prompt": "", "group": None},
        {"job_id": "", "prompt": None, "group": "g"},
    ]


def test_a_value_is_what_its_column_needs(path):
    [row] = rows(
        path,
        b"job_id,messages,max_tokens,priority,max_input_tokens,max_cost_usd\n"
        b'007,"[{""role"": ""user"", ""content"": ""a, b\\nc""}]",50.0, 2 ,,0.50\n',
    )
    job = job_from_row(0, row, 9)
    assert job.job_id == "007"
    assert job.payload.request == {"messages": [{"role": "user", "content": "a, b\nc"}], "max_tokens": 50}
    assert (job.priority, job.max_input_tokens, job.max_cost) == (2, None, 500_000_000)


@pytest.mark.parametrize("written", ["1.5", "x", "1,000", "NaN", "1e30", "-", "٣.x"])
def test_what_is_no_whole_number_spoils_its_own_row_only(path, written):
    found = rows(path, f'job_id,prompt,max_tokens\n1,x,"{written}"\n2,y,3\n'.encode())
    assert [row["max_tokens"] for row in found] == [Unfit("is not a whole number"), 3]


def test_bytes_that_are_no_utf8_spoil_their_own_row_only(path):
    found = rows(path, b"job_id,prompt\n1,caf\xe9\n2,y\n")
    assert [row["prompt"] for row in found] == [
        Unfit("is not valid UTF-8 text; save the file as CSV UTF-8"),
        "y",
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_separators_line_ends_and_the_mark_of_other_programs_are_understood(path, separator, end, mark):
    lines = [separator.join(["job_id", "prompt"]), "", separator.join(["1", f'"a{end}b;,\t|"']), ""]
    assert rows(path, (mark + end.join(lines)).encode()) == [{"job_id": "1", "prompt": f"a{end}b;,\t|"}]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("blank", ["", ";;;;{0}", ";;;;{0}{0};;;;{0};;;;"])
def test_columns_without_a_name_and_rows_without_a_value_at_the_end_are_left_out_as_excel_writes_them(
    path, end, blank
):
    lines = ["\ufeffjob_id;prompt;;group;", "1;x;;g;", ";;;;", '2;"y;";note;;', blank.format(end)]
    assert rows(path, end.join(lines).encode()) == [
        {"job_id": "1", "prompt": "x", "group": "g"},
        {"job_id": None, "prompt": None, "group": None},
        {"job_id": "2", "prompt": "y;", "group": None},
    ]


@given(
    data=st.data(),
    kept=st.lists(st.sampled_from(["1,x", "2,", ",z", ","]), max_size=30),
    blank=st.integers(0, 300),
)
@settings(max_examples=examples(40))
def test_rows_without_a_value_are_left_out_only_behind_the_last_one_that_has_one(
    tmp_path_factory, data, kept, blank
):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    lines = ["job_id,prompt", *kept, "9,end", *[","] * blank]
    found = rows(path, "\n".join(lines).encode())
    assert [(row["job_id"] or "", row["prompt"] or "") for row in found] == [
        tuple(line.split(",")) for line in [*kept, "9,end"]
    ]
    limit = data.draw(st.integers(1, len(kept) + 2))
    assert sum(map(len, JobFile(str(path)).batches(limit))) == min(limit, len(kept) + 1)


@pytest.mark.parametrize(
    ("name", "packed"),
    [("x.csv.gz", gzip.compress), ("x.csv.bz2", bz2.compress), ("X.CSV.GZ", gzip.compress)],
)
def test_a_packed_file_is_unpacked(tmp_path, name, packed):
    assert rows(tmp_path / name, packed(b"job_id,prompt\n1,x\n")) == [{"job_id": "1", "prompt": "x"}]


def test_a_packed_file_that_was_cut_off_is_a_sentence(tmp_path):
    data = "job_id,prompt\n" + "".join(f"{number},{hash(str(number))}\n" for number in range(20_000))
    with pytest.raises(BadInput, match=r"is damaged|cannot be read"):
        rows(tmp_path / "x.csv.gz", gzip.compress(data.encode())[:-2_000])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'job_id,prompt\n1,"SECRET\n2,y\n', "a quotation mark that is not closed"),
        (b'job_id,prompt\n1,"he said \\"SECRET\\""\n', "a quotation mark that is not closed, or one inside a value"),
        (b"job_id,prompt\n1,SECRET,y\n", "the row that ends in line 2 has 3 values, and the header names 2 columns"),
        (b"job_id,prompt\n1\n", "the row that ends in line 2 has 1 values"),
        (b"\n\n", "has no header"),
        (b"job_id;prompt;\r\n;;\r\n;;\r\n", "has no rows"),
        (b"\xef\xbb\xbfsep=;\r\njob_id;prompt\r\n1;SECRET\r\n", "names the separator for Excel (sep=). Delete that line"),
        (b"job_id,prompt\n", "has no rows"),
        (b"job_id,prompt,prompt\n1,x,SECRET\n", "two columns of the same name (prompt)"),
        ("jöb,prompt\n".encode("latin-1"), "a header that cannot be read (UnicodeEncodeError). Save it as CSV UTF-8"),
    ],
)  # fmt: skip
def test_a_file_whose_rows_cannot_be_trusted_is_refused_as_a_whole(path, data, words):
    with pytest.raises(BadInput) as refused:
        rows(path, data)
    assert words in str(refused.value)
    assert "SECRET" not in str(refused.value)


def test_a_row_of_many_megabytes_is_read_wherever_it_stands(path):
    long = [f"{number}".ljust(size, "x") for number, size in enumerate((10, 5_000_000, 10, 9_000_000, 10))]
    lines = [f'{number},"{text}"' for number, text in enumerate(long)]
    found = rows(path, "\n".join(["job_id,prompt", *lines]).encode())
    assert [row["prompt"] for row in found] == long


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(max_examples=examples(60))
@given(
    # the last row has a value: those behind it that have none are no rows
    st.builds(
        lambda rows, last: [*rows, last],
        st.lists(st.tuples(texts, texts), max_size=7),
        st.tuples(texts, texts).filter(any),
    ),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_library_writes_comes_back(tmp_path_factory, table, end):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("job_id", "prompt"), *table])
    found = rows(path, written.getvalue().encode())
    assert [(row["job_id"], row["prompt"]) for row in found] == table


def test_what_pandas_writes_comes_back(path):
    frame = pd.DataFrame(
        {"job_id": ["1", "2"], "prompt": ['a "b"', "c\nd"], "max_tokens": [5, None], "group": ["", None]}
    )
    frame.to_csv(path)
    file = JobFile(str(path))
    assert file.ignored_columns == []
    jobs = [job_from_row(0, row, 9) for row in rows(path)]
    assert [(job.job_id, job.payload.max_tokens, job.group) for job in jobs] == [
        ("1", 5, None),
        ("2", 9, None),
    ]
    assert [job.payload.request["messages"][0]["content"] for job in jobs] == ['a "b"', "c\nd"]
