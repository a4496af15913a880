"""The same rows are the same jobs, whatever the format that they come in."""

import csv
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.read_row import job_from_row
from schemas.payload.invalid import InvalidPayload
from schemas.policy_sections import JobColumns
from services.job_file import JobFile
from tests.strategies import examples, requests, words

NESTED = ("messages", "tools", "tool_choice", "thinking", "output_config", "metadata", "stop_sequences")

#: a file of text with a NUL in it is taken for a binary one, and refused
written = words.filter(lambda text: "\x00" not in text)
#: with a value, or without; empty text stands for none in a CSV file
subjects = written | st.none()


@st.composite
def tables(draw):
    """Rows of a file with columns of its own names, some with a conversation, and others with parts of a template."""
    rows = []
    for number in range(draw(st.integers(1, 5))):
        row = {
            "ticket": f"T-{number}",
            "body": draw(subjects),
            "subject": draw(subjects),
            "note": draw(subjects),
        }
        row |= draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "max_tokens": st.integers(-1, 9_000),
                    "group": written,
                    "priority": st.integers(-(2**40), 2**40),
                    "max_cost_usd": st.decimals(0, 9, places=4).map(str),
                    "system": written,
                },
            )
        )
        if draw(st.booleans()):
            sent = draw(requests)
            row |= {name: sent[name] for name in NESTED if name in sent}
        rows.append(row)
    return rows


def write_parquet(folder, rows):
    names = dict.fromkeys(name for row in rows for name in row)
    flat = [
        {name: json.dumps(row[name]) if name in NESTED and name in row else row.get(name) for name in names}
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(flat), folder / "rows.parquet")


def write_csv(folder, rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in rows:
            writer.writerow(
                [json.dumps(row[name]) if name in NESTED and name in row else row.get(name) for name in names]
            )


def write_json(folder, rows):
    lines = [json.dumps(row, ensure_ascii=index % 2 == 0) for index, row in enumerate(rows)]
    (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")


def read(path):
    """Each row as a job, or the column and the reason of its refusal."""
    columns = JobColumns(id="ticket", prompt="{subject}: {body} {{}}")
    found = []
    for batch in JobFile(str(path), columns, ["note", "ticket"]).batches():
        for row in batch:
            try:
                found.append(job_from_row(len(found), row, 100))
            except InvalidPayload as refused:
                found.append((refused.column, refused.reason))
    return found


@settings(max_examples=examples(40))
@given(tables())
def test_the_same_rows_are_the_same_jobs_in_every_format(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("rows")
    write_parquet(folder, rows)
    write_csv(folder, rows)
    write_json(folder, rows)
    parquet, comma, lines = (read(folder / f"rows.{ending}") for ending in ("parquet", "csv", "jsonl"))
    assert comma == parquet
    assert lines == parquet
    for row, job in zip(rows, parquet, strict=True):
        if isinstance(job, tuple):
            continue
        assert job.kept == {"note": row["note"], "ticket": row["ticket"]}
        if "messages" not in row:
            [message] = job.payload.request["messages"]
            assert message["content"] == f"{row['subject'] or ''}: {row['body'] or ''} {{}}"
        if "max_cost_usd" in row:
            assert job.max_cost == Decimal(row["max_cost_usd"]) * 10**9
