"""The sample payloads: files and tables are what their maker makes, and a row is the same payload as JSON text and as
nested columns."""

import json

import pyarrow.parquet as pq
import pytest

from data.samples import make_payloads
from data.samples.make_payloads import HERE, as_text, fits_arrow, nested_table, samples, text_table
from rules.read_row import job_from_row
from schemas.payload.payload import InvalidPayload, Payload
from services.job_file import JobFile

SAMPLES = {sample.kind: sample for sample in samples()}
JOBS = {kind: sample.as_json()["job"] for kind, sample in SAMPLES.items()}


def rows(path):
    return [row for batch in JobFile(str(path)).batches() for row in batch]


def read(row):
    """The fingerprint of a row's payload, or the column and the reason of its rejection."""
    try:
        return job_from_row(0, row, 1_024).payload.fingerprint
    except InvalidPayload as error:
        return error.column, error.reason


def has_null(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(map(has_null, inside))


def test_the_files_and_the_tables_are_what_the_maker_makes(tmp_path):
    make_payloads.write(tmp_path)
    made = {path.name: path.read_bytes() for path in (tmp_path / "payloads").iterdir()}
    assert made == {path.name: path.read_bytes() for path in (HERE / "payloads").iterdir()}
    for name in ("payloads.parquet", "payloads-nested.parquet"):
        assert pq.read_table(tmp_path / name).equals(pq.read_table(HERE / name)), name
    jobs = [json.loads((HERE / "payloads" / f"{kind}.json").read_text("utf-8"))["job"] for kind in SAMPLES]
    assert text_table(jobs).equals(pq.read_table(HERE / "payloads.parquet"))


def test_every_kind_has_a_payload_of_its_own():
    prints = [read(as_text(job)) for job in JOBS.values()]
    assert len({str(one) for one in prints if isinstance(one, str)}) == sum(
        isinstance(one, str) for one in prints
    )


@pytest.mark.parametrize("kind", JOBS)
def test_a_row_is_the_same_payload_as_json_text_and_as_nested_columns(tmp_path, kind):
    assert fits_arrow([JOBS[kind]])
    pq.write_table(nested_table([JOBS[kind]])[0], tmp_path / "nested.parquet")
    pq.write_table(text_table([JOBS[kind]]), tmp_path / "text.parquet")
    [nested], [text] = rows(tmp_path / "nested.parquet"), rows(tmp_path / "text.parquet")
    assert read(nested) == read(text)


def test_in_one_table_the_fields_of_the_other_rows_vanish():
    nested = {row["job_id"]: row for row in rows(HERE / "payloads-nested.parquet")}
    assert len(nested) >= 55
    assert set(JOBS) - set(nested) == set(nested_table(list(JOBS.values()))[1])
    assert sum(has_null(row["messages"] or []) for row in nested.values()) > 50  # there are fields to vanish
    for kind, row in nested.items():
        assert read(row) == read(as_text(JOBS[kind]))
        if isinstance(read(row), str):
            assert not has_null(job_from_row(0, row, 1_024).payload.request)


def test_the_order_of_a_schemas_properties_goes_out_as_it_is_in_the_row():
    job = JOBS["structured-output"]
    payload = job_from_row(0, as_text(job), 1_024).payload
    sent = Payload.restored(payload.text).message_body("claude-haiku-5-5")
    written = job["output_config"]["format"]["schema"]
    assert sent["output_config"]["format"]["schema"] == written
    assert list(sent["output_config"]["format"]["schema"]["properties"]) == list(written["properties"])
