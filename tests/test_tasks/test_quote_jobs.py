"""A quote and the run after it say the same of every row: which are answered already, which wait, and which are sent."""

import asyncio
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from schemas.ledger import AttemptRow, JobRow
from schemas.outcome import Method
from schemas.payload.payload import Payload
from schemas.review import EditEstimate
from schemas.review_tables import ReviewRow
from schemas.usage import Answer
from services.gateway import Reply
from services.ledger import reviews, runs
from services.ledger.pruning import prune
from tasks.admit import admit
from tasks.close_dead import close_dead
from tasks.quote_jobs import quote_jobs
from tasks.quoting import Candidate, Quoting
from tasks.read_jobs import read_jobs
from tests.fakes import FakeGateway
from tests.nights import KINDS, Rows, a_run, a_run_on_record, night, text_row, weigh, with_models_checked
from tests.strategies import abandon, examples, quick_ledger, write_down

#: what rows of a file may be; "cut" is answered with as much as its max_tokens lets through
ROWS = {
    "good": lambda n: text_row(f"good {n}"),
    "same": lambda n: text_row("the same for all"),
    "cut": lambda n: text_row(f"cut {n}"),
    "same cut": lambda n: text_row("cut the same"),
    "changed": lambda n: text_row(f"good {n}") | {"max_tokens": 60},
    "pinned": lambda n: text_row(f"good {n}", model="claude-opus-5-5"),
    "same pinned": lambda n: text_row("the same for all", model="claude-opus-5-5"),
    "same urgent": lambda n: text_row("the same for all", priority=5),
    "grouped": lambda n: text_row("the same for all", group="blue"),
    "heavy": KINDS["heavy"][0],
    "own limit": lambda n: text_row(f"good {n}", max_input_tokens=1),
    "same own limit": lambda n: text_row("the same for all", max_input_tokens=1),
    "empty": KINDS["empty"][0],
    "count refused": KINDS["count:refused"][0],
    "count passing": KINDS["count:passing"][0],
    "maybe": KINDS["send:maybe"][0],
    "same maybe": lambda n: text_row("send:maybe the same"),
    "maybe own limit": lambda n: KINDS["send:maybe"][0](n) | {"max_input_tokens": 1},
    "send refused": KINDS["send:refused"][0],
}
#: whose payload other rows have too, so that they may share an answer
SHARING = {"grouped", *(kind for kind in ROWS if kind.startswith("same"))}
rows = st.lists(st.tuples(st.sampled_from(sorted(ROWS)), st.integers(0, 3)), min_size=1, max_size=8)
policies = st.fixed_dictionaries(
    {
        "on_unknown": st.sampled_from(["review", "resend"]),
        "output": st.fixed_dictionaries({"on_truncated": st.sampled_from(["keep", "review"])}),
        "run": st.fixed_dictionaries(
            {"share_answers": st.booleans(), "answers_private_to_group": st.booleans()}
        ),
    }
)
deeds = st.sampled_from(
    ["nothing", "reject", "approve", "edit", "send", "prune", "die at work", "die in flight"]
)
histories = st.lists(st.tuples(rows, policies, deeds), max_size=3)


def file_of(drawn):
    """Rows with ids that come again in other files."""
    return [{"job_id": f"job-{kind if n % 2 else 'x'}-{n}"} | ROWS[kind](n) for kind, n in drawn]


class Cutting(FakeGateway):
    """Cuts the answers off to what says "cut"."""

    async def send(self, body, **more):
        reply = await super().send(body, **more)
        if "cut" not in orjson.dumps(body["messages"]).decode():
            return reply
        text = reply.body.replace("end_turn", "max_tokens")
        return Reply(Answer.model_validate_json(text), text, "req", 1)


def waiting(ledger):
    with ledger.read() as connection:
        query = select(ReviewRow.id).where(ReviewRow.status == "pending").order_by(ReviewRow.id)
        return list(connection.scalars(query))


def do(ledger, folder, number, deed, drawn, changes):
    """What happens between two nights."""
    ids = waiting(ledger)
    if deed == "prune":
        now = datetime.now(UTC) + timedelta(seconds=1)
        prune(ledger, now, None)
    elif deed.startswith("die"):
        asyncio.run(die(ledger, folder, number, drawn, changes, is_sent=deed == "die in flight"))
    elif deed == "reject" and ids:
        reviews.reject(ledger, ids[:2], "ann")
    elif deed in ("approve", "send") and ids:
        reviews.approve(ledger, ids[:2], "ann")
    elif deed == "edit" and ids:
        payload = Payload.checked({"messages": [{"role": "user", "content": "shorter"}], "max_tokens": 5})
        reviews.edit(
            ledger, ids[0], "ann", payload, EditEstimate("claude-haiku-5-5", 5, Method.COUNTED, 9, 9)
        )
    if deed == "send":
        sending = night(
            ledger, folder, f"approved-{number}", None, gateway=Cutting(), resubmit=True, **changes
        )
        asyncio.run(sending)


async def die(ledger, folder, number, drawn, changes, *, is_sent):
    """A run over rows like these whose process dies with money held for them, before or after their bytes left."""
    run = await a_run_on_record(ledger, Cutting(), folder, f"dead-{number}", **changes)
    await read_jobs(run, Rows(file_of([(kind, n + 1) for kind, n in drawn])), None)
    await weigh(run, 10)
    admission = await admit(run, 10, may_defer=True)
    if is_sent and admission:
        write_down(ledger, [one.attempt_id for one in admission.held], [])
    abandon(ledger, run.run_id)


async def quoted(ledger, folder, file, changes):
    """By row: what the quote decides, and why."""
    run = await with_models_checked(a_run(ledger, Cutting(), folder, **changes))
    quoting = Quoting(
        "quote-1",
        ledger,
        run.gateway,
        [Candidate("own", run.scale, is_whole=True)],
        Rows(file),
        None,
        Path(folder),
        abandoned={run.run_id for run in runs.left_unended(ledger)},
    )
    tally = await quote_jobs(quoting)
    found = pq.read_table(quoting.job_quotes).to_pylist()
    assert tally.rows.total() + tally.shared == len(found) == len(file)
    said = Counter(row["decision"] for row in found)
    assert said["send"] == tally.rows[None]
    assert said["shared"] == tally.shared
    return {row["row_number"]: (row["decision"], row["reason"]) for row in found}


def ran(ledger, run_id):
    """By row, in the quote's words: what the run decided, whatever the answers were that it got."""
    with ledger.read() as connection:
        made = dict(connection.execute(
            select(AttemptRow.row_number, AttemptRow.attempt_id).where(AttemptRow.run_id == run_id)
        ).all())  # fmt: skip
        query = select(
            JobRow.row_number, JobRow.outcome, JobRow.reason, JobRow.attempt_id, JobRow.shares_with_row
        )
        found = connection.execute(query.where(JobRow.run_id == run_id)).all()
    decided = {}
    for row, outcome, reason, attempt, shares_with in found:
        if row in made:
            decided[row] = ("send", None)
        elif (attempt is not None and attempt in made.values()) or (
            shares_with is not None and shares_with in made
        ):
            decided[row] = ("shared", None)
        else:
            decided[row] = (outcome, reason)
    return decided


def by_payload(drawn, decided):
    """What is decided of each row; of those with one payload, of all together: which of them is sent is for the priority."""
    together = Counter()
    for row, decision in decided.items():
        kind = drawn[row][0]
        together["the same" if kind in SHARING else row, decision] += 1
    return together


def agree(history, last, changes):
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        for number, (drawn, before, deed) in enumerate(history):
            asyncio.run(night(ledger, folder, number, file_of(drawn), gateway=Cutting(), **before))
            do(ledger, folder, number, deed, drawn, before)
        file = file_of(last)
        said = asyncio.run(quoted(ledger, folder, file, changes))
        asyncio.run(close_dead(ledger))
        asyncio.run(night(ledger, folder, 9, file, gateway=Cutting(), **changes))
        assert by_payload(last, said) == by_payload(last, ran(ledger, "run-9"))
        ledger.close()


CASES = given(histories, rows, policies)


@settings(max_examples=examples(2))
@CASES
def test_a_quote_and_its_run_decide_alike_about_every_row(history, last, changes):
    agree(history, last, changes)


def rules(**changes):
    """A policy that keeps what was cut off and parks what is in doubt, with changes."""
    return {
        "on_unknown": "review",
        "output": {"on_truncated": "keep"},
        "run": {"share_answers": True},
    } | changes


REVIEWS_CUT_OFF = rules(output={"on_truncated": "review"})
#: a night, what happened after it, the rows that are quoted then, and under which policy
TOLD_APART = {
    "an answer that was cut off": ([("cut", 0)], "nothing", [("cut", 0)], REVIEWS_CUT_OFF),
    "one that others share": (
        [("same cut", 0)],
        "nothing",
        [("same cut", 0), ("same cut", 1)],
        REVIEWS_CUT_OFF,
    ),
    "a doubt about a job over its limit": ([("maybe", 0)], "nothing", [("maybe own limit", 0)], rules()),
    "a doubt that others share": (
        [("same maybe", 0)],
        "nothing",
        [("same maybe", 1), ("same maybe", 0)],
        rules(),
    ),
    "an answer that was pruned": ([("same", 0)], "prune", [("same", 0), ("same", 1)], rules()),
    "a run that died before it sent": ([("good", 0)], "die at work", [("good", 0), ("good", 1)], rules()),
    "a run that died in flight": ([("good", 0)], "die in flight", [("good", 1), ("pinned", 1)], rules()),
    "a job that a person rejected": ([("heavy", 0)], "reject", [("heavy", 0)], rules()),
    "an edit that waits": ([("heavy", 1)], "edit", [("heavy", 1)], rules()),
    "an edit that was sent": ([("heavy", 1)], "edit", [("heavy", 1), ("cut", 1)], REVIEWS_CUT_OFF),
}


@pytest.mark.parametrize("case", TOLD_APART)
def test_they_agree_about(case):
    before, deed, last, changes = TOLD_APART[case]
    agree([(before, rules(), deed)], last, changes)


@pytest.mark.slow
@settings(max_examples=examples(40))
@CASES
def test_a_quote_and_its_run_decide_alike_about_every_row_in_many_cases(history, last, changes):
    agree(history, last, changes)
