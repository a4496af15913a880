"""The reader and all that follows it, thrown anything a Parquet file can hold: every row ends once, nothing raises,
nothing goes out that was not counted, and no text of a payload is told to anyone."""

import asyncio
import json
import tempfile
from collections import Counter
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from rules.read_row import job_from_row
from schemas.errors import BadInput
from schemas.ledger import AttemptRow, JobRow
from schemas.outcome import Outcome
from schemas.payload.payload import COUNTED_PARAMETERS, InvalidPayload, Payload
from schemas.review_tables import ReviewRow
from services.job_columns import COLUMNS
from services.job_file import JobFile
from tests.nights import night
from tests.strategies import MARK, examples, json_texts, marked_texts, mutated, odd_values, quick_ledger

FOLDER = Path(__file__).resolve().parents[2] / "data" / "samples" / "payloads"
#: rows that the pipeline takes or refuses for a reason, each with the mark in its text
SAMPLES = [
    json.loads(path.read_text("utf-8").replace("Case ", f"Case {MARK} "))["job"]
    for path in sorted(FOLDER.glob("*.json"))
    if path.stem != "history-long"
]
JSON_COLUMNS = (
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "metadata",
    "stop_sequences",
    "params",
)
#: what these columns hold is told when it is wrong, so no payload text is put there
NAMES = ("model", "group")
NUMBERS = ("max_tokens", "max_input_tokens", "priority", "max_cost_usd")
WRONG = st.sampled_from(
    [pa.bool_(), pa.date32(), pa.list_(pa.int64()), pa.binary(), pa.duration("s"), pa.float16()]
)
NUMBER_TYPES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 500),
    pa.uint64(): st.integers(0, 2**64 - 1) | st.integers(0, 500),
    pa.int8(): st.integers(-128, 127),
    pa.float64(): st.floats() | st.integers(-1, 500).map(float),
}
seldom = st.sampled_from([False, False, False, False, True])
ODD_IDS = st.sampled_from(["twin", "twin", "", None, "x" * 201, "a\0", "\n"])
ODD_NAMES = st.sampled_from(
    [b"claude-haiku-5-5", b"claude-opus-5-5", b"claude-x", b"..", b"\xff", b"g\0", None]
)


@st.composite
def rows(draw):
    """A row as JSON values: a sample, a sample with a place changed, or columns at random."""
    how = draw(st.sampled_from(["sample", "sample", "changed", "changed", "changed twice", "random"]))
    if how == "random":
        row = {name: draw(odd_values) for name in draw(st.sets(st.sampled_from(JSON_COLUMNS), max_size=4))}
        row |= {"job_id": "a", "prompt": draw(marked_texts | st.none())}
        return row
    row = dict(draw(st.sampled_from(SAMPLES)))
    named = {name: row.pop(name) for name in ("job_id", "max_tokens", "model") if name in row}
    for _ in range({"sample": 0, "changed": 1, "changed twice": 2}[how]):
        row = draw(mutated(row)) if row else row
    return row | named


def text_array(values):
    """A text column of these bytes, whether or not they are UTF-8."""
    return pa.array(values, pa.binary()).view(pa.string())


@st.composite
def arrays(draw, name, values):
    """A column of these JSON values: nested if Arrow can hold them and chance wills it, else as JSON text."""
    damaged = draw(seldom)
    if draw(st.booleans()):
        try:
            array = pa.array([value if isinstance(value, list | dict) else None for value in values])
            pq.write_table(pa.table({name: array}), pa.BufferOutputStream())
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            pass
        else:
            return array
    bare = name == "system" and draw(st.booleans())
    return text_array(
        [
            None if value is None
            else value.encode(errors="surrogatepass") if bare and isinstance(value, str)
            else draw(json_texts(value, damaged=damaged))
            for value in values
        ]
    )  # fmt: skip


@st.composite
def tables(draw):
    """A table with the columns of a job file."""
    made = draw(st.lists(rows(), min_size=1, max_size=5))
    columns = {}
    for name in JSON_COLUMNS:
        values = [row.get(name) for row in made]
        if any(value is not None for value in values):
            columns[name] = draw(arrays(name, values))
    odd_ids = draw(seldom)
    job_ids = [draw(ODD_IDS) if odd_ids else f"job-{number}" for number in range(len(made))]
    columns["job_id"] = pa.array(job_ids, pa.string())
    prompts = [row.get("prompt") for row in made]
    columns["prompt"] = text_array(
        [value.encode() if isinstance(value, str) else value and b"\xff" for value in prompts]
    )
    for name in NAMES:
        if draw(seldom):
            columns[name] = text_array([draw(ODD_NAMES) for _ in made])
    for name in NUMBERS:
        if draw(seldom):
            kind = draw(st.sampled_from(list(NUMBER_TYPES)))
            columns[name] = pa.array([draw(NUMBER_TYPES[kind] | st.none()) for _ in made], kind)
    if draw(st.integers(0, 19)) == 0:
        columns[draw(st.sampled_from(sorted(COLUMNS)))] = pa.nulls(len(made), draw(WRONG))
    return pa.table(columns)


def opened(path):
    """The job file, or why it is none."""
    try:
        return JobFile(str(path))
    except BadInput as error:
        return str(error)


def told(ledger, report, folder):
    """Every word that a run tells about its rows: details, reasons, errors, and the files but the answers."""
    with ledger.read() as connection:
        columns = (
            (JobRow.detail, JobRow.reason),
            (ReviewRow.detail, ReviewRow.would_pass),
            (AttemptRow.error,),
        )
        words = [str(connection.execute(select(*some)).all()) for some in columns]
    words += [report.model_dump_json(), (folder / "report.md").read_text("utf-8")]
    for path in folder.glob("unanswered-*.parquet"):
        words.append(str(pq.read_table(path).to_pylist()))
    return words


def any_file(table, shard, admission):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pq.write_table(table, folder / "jobs.parquet")
        file = opened(folder / "jobs.parquet")
        event("a file" if isinstance(file, JobFile) else "no job file")
        if not isinstance(file, JobFile):
            assert MARK not in file
            return
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        gateway, report = asyncio.run(night(ledger, folder, 1, file, (0, shard, admission)))

        with ledger.read() as connection:
            ended = connection.execute(select(JobRow.row_number, JobRow.outcome, JobRow.job_id)).all()
            states = set(connection.scalars(select(AttemptRow.state)))
        assert sorted(row.row_number for row in ended) == list(range(table.num_rows))
        outcomes = Counter(row.outcome for row in ended)
        assert outcomes == {o.value: n for o in Outcome if (n := getattr(report.jobs, o))}
        assert report.jobs.read == table.num_rows
        for name in outcomes:
            event(f"a row {name}")
        assert states <= {"succeeded"}
        assert report.usd.held == 0
        paid = [row.job_id for row in ended if row.outcome == "succeeded"]
        assert len(set(paid)) == len(paid)
        assert len(gateway.sent) <= len(paid)

        counted = {orjson.dumps(body, option=orjson.OPT_SORT_KEYS) for body in gateway.counted}
        for body in gateway.sent:
            weighed = {k: v for k, v in body.items() if k in ("model", *COUNTED_PARAMETERS)}
            assert orjson.dumps(weighed, option=orjson.OPT_SORT_KEYS) in counted
            assert (
                Payload.checked({k: v for k, v in body.items() if k != "model"}).traits.uncounted.parts == ()
            )
        assert not [words for words in told(ledger, report, folder / "run-1") if MARK in words]
        ledger.close()


ANY_FILE_CASES = given(tables(), st.integers(1, 5), st.integers(1, 5))


@settings(max_examples=examples(16))
@ANY_FILE_CASES
def test_whatever_a_file_holds_every_row_ends_once_and_nothing_uncounted_is_sent(table, shard, admission):
    any_file(table, shard, admission)


@pytest.mark.slow
@settings(max_examples=examples(40))
@ANY_FILE_CASES
def test_whatever_a_file_holds_every_row_ends_once_and_nothing_uncounted_is_sent_in_many_cases(
    table, shard, admission
):
    any_file(table, shard, admission)


def words_of(row):
    """All that is told of a row: why it is rejected, or what cannot be counted in it."""
    try:
        return " ".join(job_from_row(0, {"job_id": "a"} | row, 100).payload.traits.uncounted.parts)
    except InvalidPayload as error:
        return f"{error} {error.column} {error.reason}"


BLOCK = {"type": MARK, "source": {"type": "url", "url": MARK}}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "x", "params": json.dumps({MARK: 1})},
        {"prompt": "x", "tools": json.dumps([{"type": MARK, "name": "x"}])},
        {"messages": json.dumps([{"role": "user", "content": [BLOCK]}])},
    ],
    ids=["parameter", "tool", "block"],
)
def test_a_name_that_is_like_no_name_of_the_api_is_not_told(row):
    assert MARK not in words_of(row)
