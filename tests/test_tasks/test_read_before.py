"""Rows that an earlier run read in the same way: they end as they would if they were read, and are not read."""

import asyncio
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from schemas.errors import BadInput
from schemas.ledger import AttemptRow, JobRow, RunRow
from schemas.payload.payload import Payload
from services.job_file import JobFile
from services.ledger import reviews
from tasks import read_jobs
from tests import fakes
from tests.nights import KINDS, Rows, a_run_on_record, ended, night, text_row
from tests.strategies import examples, quick_ledger, request
from tests.test_ledger.test_reviews.table import FIGURES

#: a row as it is on record, without the names of attempts, which differ from one ledger to the other
AS_RECORDED = [
    column
    for column in JobRow.__table__.columns
    if column.name not in ("attempt_id", "detail", "review_id", "run_id")
]


@st.composite
def cases(draw):
    """Rows, some of them with an id that another has; what a person makes of each review; the policies of three nights."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=12))
    rows = [
        {
            "job_id": draw(st.sampled_from([f"job-{number}", f"job-{number}", "twin"])),
            **KINDS[kind][0](number),
        }
        for number, kind in enumerate(kinds)
    ]
    decisions = draw(st.lists(st.sampled_from(["approve", "reject", "edit", None]), min_size=12, max_size=12))
    policies = st.fixed_dictionaries(
        {
            "run": st.fixed_dictionaries(
                {},
                optional={
                    "share_answers": st.booleans(),
                    "answers_private_to_group": st.booleans(),
                },
            ),
            "output": st.fixed_dictionaries({"on_truncated": st.sampled_from(["keep", "review"])}),
        }
    )
    nights = [(draw(st.booleans()), draw(policies)) for _ in range(3)]
    return rows, decisions, nights


def decide(ledger, decisions):
    for review, decision in zip(reviews.listed(ledger), decisions, strict=False):
        if decision == "edit":
            payload = Payload.checked(request(f"edited {review.id}"))
            reviews.edit(ledger, review.id, "ana", payload, FIGURES)
        elif decision:
            getattr(reviews, decision)(ledger, [review.id], "ana")


def on_record(ledger, run_id):
    """The rows of a run, and of each which run paid for its answer."""
    query = (
        select(*AS_RECORDED, AttemptRow.run_id.label("paid_in"), JobRow.review_id.is_not(None))
        .outerjoin(AttemptRow, AttemptRow.attempt_id == JobRow.attempt_id)
        .where(JobRow.run_id == run_id)
        .order_by(JobRow.row_number)
    )
    with ledger.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


def third_night(folder, case, *, knows):
    """What the third night has on record and sent, where it knows what was read before and where it does not."""
    rows, _, nights = case
    ledger = quick_ledger(f"sqlite:///{folder}/{knows}.db")
    if not knows:
        with ledger.write() as connection:
            connection.execute(update(RunRow).values(reading_digest=None))
    resubmit, policy = nights[2]
    gateway, report = asyncio.run(night(ledger, folder, 3, rows, resubmit=resubmit, **policy))
    found = on_record(ledger, "run-3")
    ledger.close()
    return found, gateway.sent, gateway.counted, report.jobs, report.usd.actual


@settings(max_examples=examples(12))
@given(cases())
def test_a_row_ends_as_it_would_if_it_was_read(case):
    rows, decisions, nights = case
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/True.db")
        for number in (1, 2):
            resubmit, policy = nights[number - 1]
            asyncio.run(night(ledger, folder, number, rows, resubmit=resubmit, **policy))
            decide(ledger, decisions[:: 1 if number == 1 else -1])
        ledger.close()
        shutil.copy(Path(folder) / "True.db", Path(folder) / "False.db")
        assert third_night(folder, case, knows=True) == third_night(folder, case, knows=False)


@pytest.fixture
def checked(monkeypatch):
    """The ids of the rows that are checked from now on."""
    found = []
    check = read_jobs.checked_job

    def watched(number, row, *more):
        found.append(row["job_id"])
        return check(number, row, *more)

    monkeypatch.setattr(read_jobs, "checked_job", watched)
    return found


ROWS = [{"job_id": f"job-{number}"} | text_row(f"question {number}") for number in range(5)]
HEAVY = {"job_id": "heavy"} | KINDS["heavy"][0](7)


def test_what_was_answered_is_not_checked_again_and_what_waits_for_a_person_is(ledger, tmp_path, checked):
    asyncio.run(night(ledger, tmp_path, 1, [*ROWS, HEAVY]))
    checked.clear()
    gateway, report = asyncio.run(night(ledger, tmp_path, 2, [*ROWS, HEAVY], sizes=(2, 2, 2)))
    assert checked == ["heavy"]
    assert (gateway.sent, report.jobs.succeeded, report.jobs.review) == ([], 5, 1)


@pytest.mark.parametrize(
    ("rows", "policy"),
    [
        ([*ROWS[:4], {"job_id": "job-4"} | text_row("another question")], {}),
        (ROWS, {"output": {"default_max_tokens": 77}}),
        (ROWS, {"jobs": {"max_tokens": 77}}),
        (ROWS, {"results": {"keep": ["ticket"]}}),
        (ROWS, {"routes": [{"name": "one", "model": "claude-opus-5-5", "up_to_input_tokens": 10_000}]}),
    ],
)
def test_rows_that_are_read_from_something_else_or_in_another_way_are_all_checked(
    ledger, tmp_path, checked, rows, policy
):
    asyncio.run(night(ledger, tmp_path, 1, ROWS))
    checked.clear()
    asyncio.run(night(ledger, tmp_path, 2, rows, **policy))
    assert len(checked) == 5


@pytest.mark.parametrize("copied", [1, 2, 3, 100])
def test_a_limit_holds_and_rows_are_put_on_record_in_pieces(ledger, tmp_path, checked, monkeypatch, copied):
    monkeypatch.setattr(read_jobs, "ROWS_COPIED", copied)
    asyncio.run(night(ledger, tmp_path, 1, ROWS))
    checked.clear()

    async def limited():
        run = await a_run_on_record(ledger, run_id="run-2", folder=tmp_path)
        return await read_jobs.read_jobs(run, Rows(ROWS, 2), 3)

    assert asyncio.run(limited()) == 0
    assert checked == []
    assert [row[0] for row in on_record(ledger, "run-2")] == [0, 1, 2]


def test_a_run_that_read_only_a_part_leaves_the_rest_to_be_checked(ledger, tmp_path, checked):
    async def broken_off():
        run = await a_run_on_record(ledger, run_id="run-1", folder=tmp_path)
        await read_jobs.read_jobs(run, Rows(ROWS, 2), 3)

    asyncio.run(broken_off())
    asyncio.run(night(ledger, tmp_path, 2, ROWS))
    assert [row[0] for row in on_record(ledger, "run-2")] == [0, 1, 2, 3, 4]
    checked.clear()
    asyncio.run(night(ledger, tmp_path, 3, ROWS))
    assert checked == []


def checked_in_the_last_of(ledger, folder, checked, *nights):
    """The ids of the rows that are checked in the last of some nights: each its rows, and what else it is run with."""
    for number, (rows, how) in enumerate(nights, 1):
        checked.clear()
        asyncio.run(night(ledger, folder, number, rows, **how))
    return checked


def test_a_job_that_a_person_looked_at_is_read_again(ledger, tmp_path, checked):
    rows = [*ROWS, {"job_id": "own"} | KINDS["own limit"][0](1)]
    asyncio.run(night(ledger, tmp_path, 1, rows))
    decide(ledger, ["approve"])
    asyncio.run(night(ledger, tmp_path, 2, rows, resubmit=True))
    checked.clear()
    _, report = asyncio.run(night(ledger, tmp_path, 3, rows))
    assert (checked, report.jobs.succeeded) == (["own"], 6)


def test_a_job_with_answers_of_two_models_is_read_again(ledger, tmp_path, checked):
    pinned = {"jobs": {"model": "claude-opus-5-5"}}
    nights = [(ROWS, {}), (ROWS, pinned), (ROWS, {})]
    assert len(checked_in_the_last_of(ledger, tmp_path, checked, *nights)) == 5


def test_a_job_that_got_the_answer_to_another_is_read_again(ledger, tmp_path, checked):
    rows = [{"job_id": job_id} | text_row("the same for both") for job_id in ("a", "b")]
    assert checked_in_the_last_of(ledger, tmp_path, checked, (rows, {}), (rows, {})) == ["b"]


def test_an_answered_row_that_a_batch_does_not_take_is_rejected_as_any_other_is(ledger, tmp_path, checked):
    rows = [{"job_id": "fast"} | text_row("x", model="claude-opus-5-5", params='{"speed": "fast"}')]
    assert checked_in_the_last_of(ledger, tmp_path, checked, (rows, {}), (rows, {"mode": "batches"})) == [
        "fast"
    ]
    assert ended(ledger, "run-2") == {0: "rejected"}


def test_what_a_model_no_longer_takes_is_checked_again(ledger, tmp_path, checked, monkeypatch):
    asyncio.run(night(ledger, tmp_path, 1, ROWS))
    checked.clear()
    for name, facts in fakes.MODELS.items():
        monkeypatch.setitem(fakes.MODELS, name, replace(facts, max_tokens=49))
    asyncio.run(night(ledger, tmp_path, 2, ROWS))
    assert len(checked) == 5
    assert set(ended(ledger, "run-2").values()) == {"rejected"}


def test_rows_whose_folder_says_something_else_of_them_are_read_again(ledger, tmp_path):
    for number, (group, model) in enumerate([("a", "claude-opus-5-5"), ("b", "claude-sonnet-5-5")], 1):
        folder = tmp_path / f"in-{number}" / f"group={group}" / f"model={model}"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([{"job_id": "one", "prompt": "hello"}]), folder / "part.parquet")
        file = JobFile(str(tmp_path / f"in-{number}"))
        gateway, _ = asyncio.run(night(ledger, tmp_path, number, file))
        assert [body["model"] for body in gateway.sent] == [model]
        with ledger.read() as connection:
            groups = select(JobRow.group_name).where(JobRow.run_id == f"run-{number}")
            assert connection.scalars(groups).all() == [group]


def test_a_file_that_is_replaced_after_its_digest_was_taken_is_read_for_neither(ledger, tmp_path):
    path = tmp_path / "jobs.parquet"

    def write(text):
        pq.write_table(pa.Table.from_pylist([{"job_id": "one", "prompt": text}]), tmp_path / "new")
        (tmp_path / "new").rename(path)

    class Replaced(JobFile):
        def digest(self, limit=None):
            found = super().digest(limit)
            write("another question")
            return found

    write("a question")
    with pytest.raises(BadInput, match="changed or taken away while it was read"):
        asyncio.run(night(ledger, tmp_path, 1, Replaced(str(path))))
    assert on_record(ledger, "run-1") == []
    write("a question")
    gateway, _ = asyncio.run(night(ledger, tmp_path, 2, JobFile(str(path))))
    assert [body["messages"][0]["content"] for body in gateway.sent] == ["a question"]
