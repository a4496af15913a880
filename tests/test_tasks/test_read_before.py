"""Rows that an earlier run read in the same way: they end as they would if they were read, and are not read."""

import asyncio
import json
import re
import shutil
import tempfile
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import case, delete, select, update

from schemas.errors import BadInput
from schemas.ledger import AttemptRow, CountRow, JobRow, PayloadRow, RunRow
from schemas.payload.payload import Payload
from schemas.review import Order
from services.job_file import JobFile
from services.ledger import reviews
from services.ledger.verify import verify
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
#: rows whose payload others may have too, some of them with a limit of their own that they are over
HERE = KINDS | {
    "heavy for all": (lambda n: text_row("h" * 20_000), {"review"}),
    "own limit for all": (lambda n: text_row("the same for all", max_input_tokens=1), {"review"}),
    "no route": (lambda n: text_row(f"{n} " + "r" * 60_000), {"review"}),
    "turns": (lambda n: {"messages": json.dumps(TURNS), "max_tokens": 50}, {"review"}),
    "pinned and heavy": (
        lambda n: text_row(f"{n} " + "p" * 20_000, model="claude-opus-5-5"),
        {"review"},
    ),
}
TURNS = [
    {"role": role, "content": f"{role} " + "t" * 6_000} for role in ("user", "assistant") * 3 + ("user",)
]
#: what a person does with a review between two nights, verb by verb; an edit that is taken back leaves its payload
DECISIONS = [
    (), (), (), ("approve",), ("reject",), ("edit",), ("claim",), ("claim", "release"), ("approve", "reopen"),
    ("reject", "reopen"), ("edit", "reopen"),
]  # fmt: skip
PRICES = [[], [{"model": "*", "discount_percent": "50"}]]


@st.composite
def cases(draw):
    """Rows, some of them with an id that another has; what a person makes of each review; the policies of three nights."""
    parked = [kind for kind, (_, ends) in HERE.items() if ends == {"review"}]
    kinds = draw(st.lists(st.sampled_from([*sorted(HERE), *parked * 3]), min_size=1, max_size=12))
    rows = [
        {
            "job_id": draw(st.sampled_from([f"job-{number}", f"job-{number}", f"job-{number}", "twin"])),
            **HERE[kind][0](number),
        }
        for number, kind in enumerate(kinds)
    ]
    decisions = draw(st.lists(st.sampled_from(DECISIONS), min_size=12, max_size=12))
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
        },
        optional={
            "request": st.fixed_dictionaries(
                {},
                optional={
                    "max_input_tokens": st.sampled_from([2_000, 4_000, 32_000]),
                    "max_cost_usd": st.sampled_from(["0.0001", "0.01", "0.5"]),
                },
            ),
            "margin": st.fixed_dictionaries({"min_samples": st.sampled_from([1, 50])}),
            "prices": st.sampled_from(PRICES),
            "prune": st.fixed_dictionaries({"on_over_budget": st.sampled_from(["review", "prune"])}),
        },
    )
    nights = [(draw(st.booleans()), draw(policies)) for _ in range(3)]
    return rows, decisions, nights


def decide(ledger, decisions):
    for review, verbs in zip(reviews.listed(ledger), decisions, strict=False):
        for verb in verbs:
            if verb == "edit":
                payload = Payload.checked(request(f"edited {review.id}"))
                reviews.edit(ledger, review.id, "ana", payload, FIGURES)
            else:
                getattr(reviews, verb)(ledger, [review.id], "ana")


def on_record(ledger, run_id):
    """The rows of a run, and of each which run paid for its answer."""
    why = case((JobRow.outcome == "review", JobRow.detail))
    query = (
        select(*AS_RECORDED, AttemptRow.run_id.label("paid_in"), JobRow.review_id.is_not(None), why)
        .outerjoin(AttemptRow, AttemptRow.attempt_id == JobRow.attempt_id)
        .where(JobRow.run_id == run_id)
        .order_by(JobRow.row_number)
    )
    with ledger.read() as connection:
        return [(*row[:-1], nameless(row[-1])) for row in connection.execute(query)]


def nameless(detail):
    """A detail without the name of the attempt in it."""
    return detail and re.sub("att_[0-9a-f]+", "", detail)


def in_review(ledger, run_id):
    """The reviews with their payloads and their history; of moments, only whether they are of a run's time or after it."""
    with ledger.read() as connection:
        began = connection.scalar(select(RunRow.started_at).where(RunRow.run_id == run_id))
        for payload in connection.execute(select(PayloadRow)):
            raise AssertionError(f"the payload of row {payload.row_number} of {payload.run_id} is left")
    found = []
    for review in reviews.listed(ledger, order=Order.LATEST, limit=100):
        whole = asdict(reviews.one_review(ledger, review.id))
        told = [
            (one.by, one.from_status, one.to_status, one.note) for one in reviews.events(ledger, review.id)
        ]
        attempt = whole.pop("sent_attempt_id")
        since = {
            name: value and value >= began for name, value in whole.items() if isinstance(value, datetime)
        }
        found.append((whole | since | {"detail": nameless(whole["detail"])}, attempt is None, told))
    return found


def third_night(folder, case, *, knows):
    """What the third night has on record and sent, where it knows what was read before and where it does not."""
    rows, _, nights = case
    ledger = quick_ledger(f"sqlite:///{folder}/{knows}.db")
    if not knows:
        with ledger.write() as connection:
            connection.execute(update(RunRow).values(reading_digest=None))
    resubmit, policy = nights[2]
    gateway, report = asyncio.run(night(ledger, folder, 3, rows, resubmit=resubmit, **policy))
    found = on_record(ledger, "run-3"), in_review(ledger, "run-3")
    findings = verify(ledger)
    ledger.close()
    said = report.model_dump(exclude={"seconds", "places"})
    # in which order calls leave that are made side by side is nobody's promise
    calls = [sorted(json.dumps(body) for body in some) for some in (gateway.sent, gateway.counted)]
    return *found, *calls, said, findings


def ends_as_if_it_was_read(case):
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


@settings(max_examples=examples(2))
@given(cases())
def test_a_row_ends_as_it_would_if_it_was_read(case):
    ends_as_if_it_was_read(case)


@pytest.mark.slow
@settings(max_examples=examples(30))
@given(cases())
def test_a_row_ends_as_it_would_if_it_was_read_in_many_cases(case):
    ends_as_if_it_was_read(case)


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


@pytest.mark.parametrize("kind", ["heavy", "own limit", "own cost", "no route"])
def test_neither_what_was_answered_nor_what_waits_by_its_figures_is_checked_again(
    ledger, tmp_path, checked, kind
):
    rows = [*ROWS, {"job_id": "waits"} | HERE[kind][0](7)]
    asyncio.run(night(ledger, tmp_path, 1, rows))
    first = in_review(ledger, "run-1")
    checked.clear()
    gateway, report = asyncio.run(night(ledger, tmp_path, 2, rows, sizes=(2, 2, 2)))
    assert checked == []
    assert (gateway.sent, report.jobs.succeeded, report.jobs.review) == ([], 5, 1)
    (was, *_), (now, *_) = first[0], in_review(ledger, "run-2")[0]
    assert now == was | {"run_id": "run-2", "created_at": False}


#: what has a say in a parked job besides its figures: what a person does after the first night, and the second one's policy
OTHERS_SAY = {
    "a limit of the policy": ((), {"request": {"max_input_tokens": 30_000, "max_cost_usd": "5"}}),
    "a price": ((), {"prices": [{"model": "*", "discount_percent": "99.9"}]}),
    "an approval": (("approve",), {}),
    "a rejection": (("reject",), {}),
    "an edit": (("edit",), {}),
    "an edit that was taken back": (("edit", "reopen"), {}),
    "pruning": ((), {"prune": {"on_over_budget": "prune"}}),
}


@pytest.mark.parametrize("says", OTHERS_SAY)
def test_a_parked_job_that_anything_else_has_a_say_in_is_read_again(ledger, tmp_path, checked, says):
    verbs, policy = OTHERS_SAY[says]
    rows = [*ROWS, {"job_id": "dear"} | text_row("d" * 1_000, max_tokens=5_000)]
    tight = {"request": {"max_cost_usd": "0.005"}}
    asyncio.run(night(ledger, tmp_path, 1, rows, **tight))
    assert ended(ledger, "run-1")[5] == "review"
    decide(ledger, [verbs])
    checked.clear()
    asyncio.run(night(ledger, tmp_path, 2, rows, **tight | policy))
    assert checked == ["dear"]


@pytest.mark.parametrize("verbs", [(), ("claim",), ("claim", "release"), ("approve", "reopen")])
def test_a_job_that_still_waits_is_not_read_again_whoever_looked_at_it(ledger, tmp_path, checked, verbs):
    rows = [*ROWS, {"job_id": "heavy"} | KINDS["heavy"][0](7)]
    asyncio.run(night(ledger, tmp_path, 1, rows))
    decide(ledger, [verbs])
    checked.clear()
    asyncio.run(night(ledger, tmp_path, 2, rows))
    assert checked == []
    assert reviews.listed(ledger)[0].claimed_by == ("ana" if verbs == ("claim",) else None)


@pytest.mark.parametrize(
    "rows",
    [
        [{"job_id": "a"} | KINDS["own limit"][0](1), {"job_id": "b"} | text_row("own 1")],
        [{"job_id": "a"} | KINDS["own limit"][0](1), {"job_id": "a"} | KINDS["own limit"][0](2)],
        [{"job_id": "a"} | KINDS["url image"][0](1)],
        [{"job_id": "a"} | text_row("i" * 1_000, max_input_tokens=1, model="claude-haiku-4-5-20251001")],
    ],
    ids=["shared payload", "same id", "bounded", "pinned to what no route names"],
)
def test_a_parked_job_that_is_not_alone_or_was_not_counted_in_full_is_read_again(
    ledger, tmp_path, checked, rows
):
    asyncio.run(night(ledger, tmp_path, 1, rows))
    checked.clear()
    asyncio.run(night(ledger, tmp_path, 2, rows))
    assert checked == [row["job_id"] for row in rows]


@pytest.mark.parametrize(("job_id", "kind"), [("a", 2), ("b", 1)], ids=["its id", "its payload"])
def test_a_parked_job_with_another_review_of_its_id_or_its_payload_is_read_again(
    ledger, tmp_path, checked, job_id, kind
):
    rows, others = ([{"job_id": name} | KINDS["own limit"][0](n)] for name, n in (("a", 1), (job_id, kind)))
    assert checked_in_the_last_of(ledger, tmp_path, checked, (rows, {}), (others, {}), (rows, {})) == ["a"]


def test_a_parked_job_whose_count_is_no_longer_on_record_is_read_and_counted_again(ledger, tmp_path, checked):
    asyncio.run(night(ledger, tmp_path, 1, [HEAVY]))
    with ledger.write() as connection:
        connection.execute(delete(CountRow))
    checked.clear()
    gateway, _ = asyncio.run(night(ledger, tmp_path, 2, [HEAVY]))
    assert (checked, len(gateway.counted)) == (["heavy"], 3)


def test_a_run_that_is_interrupted_before_it_parks_leaves_the_reviews_as_they_were(ledger, tmp_path, checked):
    asyncio.run(night(ledger, tmp_path, 1, [*ROWS, HEAVY]))
    first = in_review(ledger, "run-1")

    async def broken_off():
        run = await a_run_on_record(ledger, run_id="run-2", folder=tmp_path)
        await read_jobs.read_jobs(run, Rows([*ROWS, HEAVY]), None)

    asyncio.run(broken_off())
    assert ended(ledger, "run-2")[5] == "review"
    assert in_review(ledger, "run-1") == first
    checked.clear()
    asyncio.run(night(ledger, tmp_path, 3, [*ROWS, HEAVY]))
    assert checked == []
    assert in_review(ledger, "run-3")[0][0]["run_id"] == "run-3"


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
    decide(ledger, [("approve",)])
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
