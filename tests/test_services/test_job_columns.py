"""The columns of a job file: which must be there, what they may hold, and what is suggested."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.read_row import job_from_row
from schemas.errors import BadInput
from schemas.policy_sections import JobColumns
from services.job_file import JobFile

COLUMNS = {"ticket": ["1"], "Body": ["SECRET"], "n": [1]}


def refusal(path, columns, keep=(), **names):
    pq.write_table(pa.table(columns), path)
    with pytest.raises(BadInput) as refused:
        JobFile(str(path), JobColumns(**names), keep)
    assert "SECRET" not in str(refused.value)
    assert str(refused.value).endswith("nothing was sent.")
    return str(refused.value)


@pytest.mark.parametrize(
    ("columns", "suggestion"),
    [
        (["id", "text"], "--id-column id"),
        (["customer", "ticket_id", "country"], "--id-column ticket_id"),
        (["JobID", "body"], "--id-column JobID"),
        (["Ticket ID", "body"], '--id-column "Ticket ID"'),
        (["__index_level_0__", "prompt"], "--id-column __index_level_0__"),
        (["zzzz", "qqqq"], "--id-column NAME"),
        (
            ["text"],
            '[jobs] id = "NAME" in the policy; a file without ids gets a column of them first (docs/your-data.md)',
        ),
        (["instruction", "input", "output"], "--id-column NAME"),
        (["custom_id", "params"], "--id-column custom_id"),
    ],
)
def test_a_missing_id_is_refused_with_the_columns_and_the_likeliest(tmp_path, columns, suggestion):
    words = refusal(tmp_path / "x.parquet", {name: ["1"] for name in columns})
    assert "has no column job_id. It has the columns " in words
    assert all(name in words for name in columns)
    assert suggestion in words


@pytest.mark.parametrize(
    ("columns", "suggestion"),
    [
        (["job_id", "Body text", "n"], '--prompt-column "Body text", or [jobs] prompt = "Body text"'),
        (["job_id", "question"], "--prompt-column question"),
    ],
)
def test_a_missing_prompt_is_refused_with_the_columns_and_the_likeliest(tmp_path, columns, suggestion):
    words = refusal(tmp_path / "x.parquet", {name: ["1"] for name in columns})
    assert "has neither a column prompt nor a column messages. It has the columns " in words
    assert suggestion in words


@pytest.mark.parametrize("names", [{}, {"id": "custom_id"}])
def test_requests_for_the_batches_of_openai_are_known_and_the_page_that_converts_them_is_named(
    tmp_path, names
):
    (tmp_path / "x.jsonl").write_text(
        json.dumps({"custom_id": "1", "method": "POST", "url": "/v1", "body": {"x": "SECRET"}})
    )
    with pytest.raises(
        BadInput, match=r"in the form of OpenAI's batches .*docs/your-data.md.*nothing was sent"
    ) as refused:
        JobFile(str(tmp_path / "x.jsonl"), JobColumns(**names))
    assert "SECRET" not in str(refused.value)


def test_requests_for_the_batches_of_the_provider_need_only_the_name_of_their_id(tmp_path):
    row = {
        "custom_id": "1",
        "params": {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]},
    }
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    [[found]] = JobFile(str(tmp_path / "x.jsonl"), JobColumns(id="custom_id")).batches()
    job = job_from_row(0, found, 9)
    assert (job.job_id, job.model, job.payload.max_tokens) == ("1", "m", 5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"id": "tickt"}, "has no column tickt. It has the columns Body, n, ticket. Name the right one: --id-column ticket"),
        ({"id": "ticket", "prompt": "body"}, "has no column body. It has"),
        ({"id": "ticket", "prompt": "S: {body}"}, "has no column body, a column of the prompt's template. It has the columns Body, n, ticket. Perhaps Body is meant. Correct --prompt-column, the policy or the file;"),
        ({"id": "ticket", "prompt": "Body", "keep": ["contry"]}, "has no column contry, a column of results.keep."),
    ],
)  # fmt: skip
def test_a_column_that_the_policy_names_must_be_there(tmp_path, options, words):
    assert words in refusal(tmp_path / "x.parquet", COLUMNS, **options)


@pytest.mark.parametrize(
    ("column", "options", "words"),
    [
        (pa.array([b"x"]), {"prompt": "n"}, "column n holds binary; it takes text, since it is the prompt"),
        (pa.array([1.5]), {"id": "n", "prompt": "Body"}, "column n holds double; it takes text or whole numbers or UUIDs, since it is the job's id"),
        (pa.array([b"x"]), {"prompt": "{n}"}, "column n holds binary; it takes text or whole numbers"),
        (pa.array([["x"]]), {"prompt": "{n}"}, "column n holds list of"),
        (pa.array([{"x": 1}]), {"prompt": "Body", "keep": ["n"]}, "since it is a column of results.keep"),
    ],
)  # fmt: skip
def test_a_column_of_a_type_that_cannot_be_used_is_refused(tmp_path, column, options, words):
    assert words in refusal(tmp_path / "x.parquet", COLUMNS | {"n": column}, **{"id": "ticket"} | options)


def test_a_header_that_is_missing_is_shown_cut(tmp_path):
    (tmp_path / "x.csv").write_text(f"1,{'a long text ' * 9}\n2,b\n")
    with pytest.raises(BadInput) as refused:
        JobFile(str(tmp_path / "x.csv"))
    assert "a long text a long text a long text a lo…" in str(refused.value)


def test_many_columns_are_shown_in_part(tmp_path):
    words = refusal(tmp_path / "x.parquet", {f"column_{number:02}": ["1"] for number in range(30)})
    assert "column_19 and 10 more" in words


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.jsonl"])
def test_columns_of_other_names_are_read_in_every_format(tmp_path, name):
    row = {"ticket": "T-1", "body": "x", "country": "DE", "job_id": "other"}
    match name.partition(".")[2]:
        case "parquet":
            pq.write_table(pa.Table.from_pylist([row]), tmp_path / name)
        case "csv":
            (tmp_path / name).write_text("\n".join([",".join(row), ",".join(row.values())]))
        case "jsonl":
            (tmp_path / name).write_text(json.dumps(row))
    file = JobFile(str(tmp_path / name), JobColumns(id="ticket", prompt="body"), ["country"])
    assert list(file.batches()) == [[{"job_id": "T-1", "prompt": "x", "kept": {"country": "DE"}}]]
    assert file.ignored_columns == ["job_id"]


def test_a_folder_gives_its_rows_a_column_that_is_kept_or_in_the_template(tmp_path):
    (tmp_path / "country=DE").mkdir()
    pq.write_table(pa.table({"job_id": ["1"], "body": ["x"]}), tmp_path / "country=DE" / "x.parquet")
    file = JobFile(str(tmp_path), JobColumns(prompt="{country}: {body}"), ["country"])
    assert list(file.batches()) == [[{"job_id": "1", "prompt": "DE: x", "kept": {"country": "DE"}}]]
