"""JSON Lines: each line is exact, and a bad one spoils its own row only."""

import gzip
import json

import pandas as pd
import pytest

from rules.read_row import job_from_row
from schemas.errors import BadInput
from schemas.payload.exact_json import Unfit
from schemas.payload.invalid import InvalidPayload
from services import json_rows
from services.job_file import JobFile


def rows(path, *lines):
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return [row for batch in JobFile(str(path)).batches() for row in batch]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.jsonl"


GOOD = '{"job_id": "1", "prompt": "x"}'


def test_nested_values_are_sent_as_they_stand_there(path):
    messages = [
        {"role": "user", "content": "2026-11-27 10:00:00"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"n": None, "x": 0.10, "big": 2**63}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "y"}]},
    ]  # fmt: skip
    tools = [{"name": "f", "input_schema": {"type": "object", "default": None}}]
    line = json.dumps(
        {"job_id": 7, "messages": messages, "tools": tools, "stop_sequences": ["s"], "max_tokens": 5}
    )
    [first, second] = [job_from_row(0, row, 9) for row in rows(path, GOOD, line)]
    assert first.payload.request["messages"] == [{"role": "user", "content": "x"}]
    assert second.job_id == "7"
    assert second.payload.request == {
        "messages": messages,
        "tools": tools,
        "stop_sequences": ["s"],
        "max_tokens": 5,
    }


def test_null_fields_are_left_out_as_those_of_structs_are_but_not_of_json_of_the_authors_own(path):
    """As DuckDB, polars and Hugging Face write a list of structs of which not every row has all fields."""
    block = {
        "type": "text",
        "text": "x",
        "id": None,
        "name": None,
        "input": None,
        "source": {"type": None, "data": None},
    }
    call = {"type": "tool_use", "text": None, "id": "t", "name": "f", "input": {"n": None}, "source": None}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "y", "is_error": None}
    turns = [("user", [block]), ("assistant", [call]), ("user", [result])]
    messages = [{"role": role, "content": content, "name": None} for role, content in turns]
    tools = [{"name": "f", "type": None, "input_schema": {"type": "object", "default": None}}]
    line = {
        "job_id": "1",
        "messages": messages,
        "tools": tools,
        "metadata": {"user_id": None},
        "system": None,
    }
    [row] = rows(path, json.dumps(line))
    request = job_from_row(0, row, 9).payload.request
    assert [message["content"] for message in request["messages"]] == [
        [{"type": "text", "text": "x"}],
        [{"type": "tool_use", "id": "t", "name": "f", "input": {"n": None}}],
        [{"type": "tool_result", "tool_use_id": "t", "content": "y"}],
    ]
    assert {*request} == {"messages", "tools", "max_tokens"}
    assert {key for message in request["messages"] for key in message} == {"role", "content"}
    assert request["tools"] == [{"name": "f", "input_schema": {"type": "object", "default": None}}]


@pytest.mark.parametrize("depth", [100, 254, 255, 600])
def test_json_of_any_depth_is_a_request_or_a_refusal(path, depth):
    nest = '{"x":' * depth + "1" + "}" * depth
    line = f'{{"job_id": "2", "prompt": "x", "params": {{"thinking": {nest}}}}}'
    [row] = rows(path, line)
    with pytest.raises(InvalidPayload):
        job_from_row(0, row, 9)


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("{", "line 2 of its file", "is not valid JSON"),
        ("[1]", "line 2 of its file", "is JSON, but not an object"),
        ('{"job_id": "2", "job_id": "3"}', "line 2 of its file", "one name twice"),
        (b'{"job_id": "2", "prompt": "\xff"}', "line 2 of its file", "is not valid UTF-8"),
        ("[" * 9_000, "line 2 of its file", "levels deep"),
        ('{"job_id": "2", "prompt": ["x"]}', "prompt", "holds a list; it takes text"),
        ('{"job_id": "2", "prompt": 5}', "prompt", "holds a whole number; it takes text"),
        ('{"job_id": 2.5, "prompt": "x"}', "job_id", "holds a number; it takes text or whole numbers"),
        ('{"job_id": true, "prompt": "x"}', "job_id", "holds true or false"),
        ('{"job_id": "2", "messages": {"role": "user"}}', "messages", "holds an object; it takes JSON text or lists"),
        ('{"job_id": "2", "prompt": "x", "max_tokens": "5"}', "max_tokens", "holds text; it takes whole numbers"),
        ('{"job_id": "2", "prompt": "\\ud800"}', "messages", "half of a surrogate pair"),
        ('{"job_id": "2", "prompt": "x", "metadata": {"user_id": NaN}}', "metadata", "NaN"),
        ('{"job_id": "2", "messages": [{"role": null}]}', "messages", "is a struct without any value"),
        ('{"prompt": "x"}', "job_id", "is empty"),
        ('{"job_id": "2"}', "messages", "is empty, and so is prompt"),
    ],
)  # fmt: skip
def test_a_bad_line_spoils_its_own_row_only(path, line, column, reason):
    first, second, third = rows(path, GOOD, line, GOOD)
    assert job_from_row(0, first, 9) == job_from_row(0, third, 9)
    with pytest.raises(InvalidPayload) as refused:
        job_from_row(1, second, 9)
    assert refused.value.column == column
    assert reason in refused.value.reason


def test_a_bad_line_is_named_by_its_number_in_an_editor_blank_lines_included(path):
    _, bad = rows(path, GOOD, "", "  ", "{")
    with pytest.raises(InvalidPayload) as refused:
        job_from_row(1, bad, 9)
    assert refused.value.column == "line 4 of its file"


def test_blank_lines_and_the_mark_of_other_programs_are_passed_over(path):
    assert len(rows(path, b"\xef\xbb\xbf" + GOOD.encode(), "", "  ", GOOD)) == 2


@pytest.mark.parametrize(
    ("lines", "found", "fix"),
    [
        (["[", GOOD, "]"], "it is one JSON array", "jq -c '.[]' x.jsonl"),
        ([json.dumps([{"job_id": 1}])], "it is one JSON array", "jq -c '.[]' x.jsonl"),
        (json.dumps({"job_id": 1, "prompt": "SECRET"}, indent=1).splitlines(), "go over several lines", "jq -c . x.jsonl"),
        (["job_id,prompt", "1,SECRET"], "none of its first lines is a JSON object", "call it .csv"),
        (["", " "], "has no rows", "nothing to do"),
        (['{"id": 1, "text": "SECRET"}'], "has no column job_id. It has the columns id, text", "--id-column id"),
    ],
)  # fmt: skip
def test_what_is_not_json_lines_is_refused_with_what_it_is(path, lines, found, fix):
    with pytest.raises(BadInput) as refused:
        rows(path, *lines)
    assert found in str(refused.value)
    assert fix in str(refused.value)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("where", [0, 1, 2, 5, 6])
def test_a_column_that_a_late_line_has_is_found(path, where, monkeypatch):
    monkeypatch.setattr(json_rows, "_LINES_LOOKED_AT", 2)
    lines = ['{"job_id": "1"}'] * 7
    lines[where] = GOOD
    assert rows(path, *lines)[where] == {"job_id": "1", "prompt": "x"}


def test_a_packed_file_of_several_parts_is_unpacked(tmp_path):
    line = f"{GOOD}\n".encode()
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(line) + gzip.compress(line))
    assert JobFile(str(tmp_path)).rows == 2


def test_what_pandas_and_spark_write_comes_back(tmp_path):
    frame = pd.DataFrame({"job_id": ["1", "2"], "prompt": ["ü", "/"], "max_tokens": [5, None]})
    folder = tmp_path / "in.json"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    (folder / ".part-00000.json.crc").write_bytes(b"\0")
    frame.to_json(folder / "part-00000-8d1e-c000.json", orient="records", lines=True)
    found = [job_from_row(0, row, 9) for batch in JobFile(str(folder)).batches() for row in batch]
    assert [(job.job_id, job.payload.max_tokens) for job in found] == [("1", 5), ("2", 9)]


def test_a_number_that_json_cannot_carry_is_refused_where_it_stands(path):
    [row] = rows(path, '{"job_id": 99999999999999999999, "prompt": "x"}')
    assert isinstance(row["job_id"], Unfit)
