"""The steps together, without Prefect and with a gateway of our own: promises 2 (nothing lost), 3 (nothing paid
twice), 4 (what was counted is what was sent) and 5 (unknown spends nothing)."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from schemas.estimate import TokenCount
from schemas.ledger import AttemptRow, CountRow, JobRow
from schemas.outcome import Outcome, RunOutcome
from schemas.payload.payload import UNCOUNTED_PARAMETERS, Payload
from schemas.review_tables import ReviewRow
from services.ledger import counts
from tests.fakes import MODELS, FakeGateway
from tests.nights import IMAGE, KINDS, SEARCH, TOOL, ended, night, text_row
from tests.strategies import examples, quick_ledger

ids = st.sampled_from(["own", "own", "own", "own", "twin", "none", "blank"])


@st.composite
def inputs(draw):
    """Rows of many kinds, with the kind of each and whether its id is one."""
    rows, kinds = [], []
    for number, kind in enumerate(draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=14))):
        how = draw(ids)
        job_id = {"own": f"job-{number}", "twin": "twin", "none": None, "blank": "  "}[how]
        rows.append({"job_id": job_id} | KINDS[kind][0](number))
        kinds.append((kind, how))
    return rows, kinds


sizes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))


def two_nights(case, batch_sizes):
    rows, kinds = case
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        first, report = asyncio.run(night(ledger, folder, 1, rows, batch_sizes))
        outcomes = ended(ledger, "run-1")

        # nothing is lost: one outcome a row, and they sum to the rows
        assert set(outcomes) == set(range(len(rows)))
        assert Counter(outcomes.values()) == {
            name: count for name in Outcome if (count := getattr(report.jobs, name))
        }
        assert report.jobs.read == len(rows)
        # one bad row never stops the others
        twins: list[str] = []
        for number, (kind, how) in enumerate(kinds):
            if how in ("none", "blank"):
                assert outcomes[number] == "rejected"
            elif how == "twin":
                assert outcomes[number] in KINDS[kind][1] | {"rejected"}
                twins.append(outcomes[number])
            else:
                assert outcomes[number] in KINDS[kind][1], kind
        assert sum(outcome != "rejected" for outcome in twins) <= 1

        # what was counted is what was sent
        for body in first.sent:
            assert {k: v for k, v in body.items() if k not in UNCOUNTED_PARAMETERS} in first.counted
            # unknown spends nothing
            assert MODELS[body["model"]].lifecycle == "active"
            assert body["model"] != "claude-of-no-price"
            assert (
                Payload.checked({k: v for k, v in body.items() if k != "model"}).traits.uncounted.parts == ()
            )
        assert not [
            body for body in first.counted if body["model"] in ("claude-of-no-price", "claude-imaginary-9")
        ]

        # the files say the same as the ledger
        results = sum(pq.read_metadata(p).num_rows for p in Path(folder).glob("run-1/results-*.parquet"))
        assert results == report.jobs.succeeded == outcomes_of(outcomes, "succeeded")
        parked = sum(outcome in ("review", "unknown") for outcome in outcomes.values())
        with ledger.read() as connection:
            assert len(connection.execute(select(ReviewRow.id)).all()) == parked
            states = Counter(connection.scalars(select(AttemptRow.state)))
        assert states["open"] == 0
        assert states["succeeded"] == len(first.answered)

        # the second night: what succeeded, is unknown or is parked costs no call of any kind
        second, again = asyncio.run(night(ledger, folder, 2, rows, batch_sizes))
        assert {n: o for n, o in ended(ledger, "run-2").items() if o != "failed"} == {
            n: o for n, o in outcomes.items() if o != "failed"
        }
        assert second.answered == []
        assert [body for body in second.sent if b"send:" not in orjson.dumps(body)] == []
        assert [body for body in second.sent if b"send:maybe" in orjson.dumps(body)] == []
        assert [body for body in second.counted if b"count:" not in orjson.dumps(body)] == []
        assert (again.usd.actual, again.from_earlier_runs) == (0, again.jobs.succeeded)
        ledger.close()


TWO_NIGHTS_CASES = given(inputs(), sizes)


@settings(max_examples=examples(6))
@TWO_NIGHTS_CASES
def test_every_row_ends_once_and_nothing_is_paid_or_counted_twice(case, batch_sizes):
    two_nights(case, batch_sizes)


@pytest.mark.slow
@settings(max_examples=examples(16))
@TWO_NIGHTS_CASES
def test_every_row_ends_once_and_nothing_is_paid_or_counted_twice_in_many_cases(case, batch_sizes):
    two_nights(case, batch_sizes)


def outcomes_of(outcomes, name):
    return sum(outcome == name for outcome in outcomes.values())


def short_nights(count, run_cents, day_cents, batch_sizes):
    rows = [{"job_id": f"job-{n}"} | text_row(f"job {n}", max_tokens=500) for n in range(count)]
    budgets = {
        "run": {"budget_usd": f"0.000{run_cents:02d}"},
        "day": {"budget_usd": f"0.000{day_cents:02d}"},
    }
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        first, report = asyncio.run(night(ledger, folder, 1, rows, batch_sizes, **budgets))
        assert report.jobs.succeeded + report.jobs.deferred == count
        assert report.usd.actual <= min(run_cents, day_cents) * 10**-5 + 1e-12
        assert report.outcome == (RunOutcome.BUDGET_STOP if report.jobs.deferred else RunOutcome.COMPLETE)
        second, after = asyncio.run(night(ledger, folder, 2, rows, batch_sizes))
        assert after.jobs.succeeded == count
        assert second.counted == []
        assert len(first.answered) + len(second.answered) == count
        assert set(first.answered).isdisjoint(second.answered)
        ledger.close()


SHORT_NIGHTS_CASES = given(st.integers(1, 8), st.integers(0, 60), st.integers(0, 60), sizes)


@settings(max_examples=examples(4))
@SHORT_NIGHTS_CASES
def test_money_that_runs_out_defers_and_the_next_night_goes_on(count, run_cents, day_cents, batch_sizes):
    short_nights(count, run_cents, day_cents, batch_sizes)


@pytest.mark.slow
@settings(max_examples=examples(8))
@SHORT_NIGHTS_CASES
def test_money_that_runs_out_defers_and_the_next_night_goes_on_in_many_cases(
    count, run_cents, day_cents, batch_sizes
):
    short_nights(count, run_cents, day_cents, batch_sizes)


@pytest.mark.parametrize("where", ["count:spend", "count:denied", "send:spend", "send:denied"])
@pytest.mark.parametrize(
    "position", [pytest.param(0, marks=pytest.mark.slow), 3, pytest.param(7, marks=pytest.mark.slow)]
)
def test_a_closed_account_stops_the_run_and_every_row_still_has_its_outcome(tmp_path, where, position):
    rows = [{"job_id": f"job-{n}"} | text_row(f"{where if n == position else 'good'} {n}") for n in range(8)]
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    first, report = asyncio.run(night(ledger, tmp_path, 1, rows, (3, 2, 2)))
    assert report.jobs.read == 8
    assert report.jobs.succeeded + report.jobs.deferred == 8
    assert report.jobs.deferred >= 1
    assert report.outcome == (RunOutcome.FAILED if "denied" in where else RunOutcome.BUDGET_STOP)
    assert report.usd.held == 0
    opened = [row | {"prompt": row["prompt"].replace(where, "good")} for row in rows]
    second, after = asyncio.run(night(ledger, tmp_path, 2, opened, (3, 2, 2)))
    assert after.jobs.succeeded == 8
    assert len(first.answered) + len(second.answered) == 8
    ledger.close()


def test_an_attempt_of_unknown_outcome_is_sent_again_only_under_a_policy_that_says_so(tmp_path):
    rows = [{"job_id": "a"} | text_row("send:maybe")]
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    sent = [
        len(asyncio.run(night(ledger, tmp_path, n, rows, on_unknown=policy_says))[0].sent)
        for n, policy_says in enumerate(["review", "review", "resend"])
    ]
    assert sent == [1, 0, 1]
    ledger.close()


def test_a_bound_is_said_where_a_person_decides_and_used_where_the_policy_says_so(tmp_path):
    rows = [
        {"job_id": "image", "messages": IMAGE, "max_tokens": 50},
        {"job_id": "search"} | text_row("search", tools=SEARCH),
        {"job_id": "tool"} | text_row("tool", tools=TOOL),
    ]
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    asyncio.run(night(ledger, tmp_path, 1, rows))
    with ledger.read() as connection:
        details = dict(connection.execute(select(ReviewRow.job_id, ReviewRow.detail)).all())
        known = connection.execute(select(CountRow.model, CountRow.input_tokens, CountRow.method)).all()
    assert "an image block with a url source; at most 4,8" in details["image"]
    assert "3 calls with 2 web searches" in details["search"]
    assert "at most 600,000 input tokens under claude-haiku-5-5" in details["search"]
    assert "nothing bounds it" in details["tool"]
    assert {method for _, _, method in known} == {"bounded"}

    gateway, report = asyncio.run(night(ledger, tmp_path, 2, rows, uncountable={"on": "bound"}))
    assert [body["messages"] for body in gateway.sent] == [orjson.loads(IMAGE)]
    assert (report.jobs.succeeded, report.jobs.review, gateway.counted) == (1, 2, [])
    with ledger.read() as connection:
        sent = select(JobRow.method, JobRow.input_tokens).where(
            JobRow.job_id == "image", JobRow.run_id == "run-2"
        )
        [(method, tokens)] = connection.execute(sent).all()
    assert method == "bounded"
    assert ("claude-opus-5-5", tokens, "bounded") in [tuple(row) for row in known]
    ledger.close()


class Broken(FakeGateway):
    """Counts every payload at the same few tokens."""

    def __init__(self, says):
        super().__init__()
        self.says = says

    async def count(self, body, *, leaving=lambda: None):
        await super().count(body, leaving=leaving)
        return self.says


@pytest.mark.parametrize("says", [0, 1, 40])
@pytest.mark.parametrize("more", [{}, {"model": "claude-opus-5-5"}])
def test_a_count_that_cannot_be_is_none_and_nothing_is_sent_by_it(tmp_path, says, more):
    rows = [{"job_id": f"job-{n}"} | text_row(f"{n} " + "word " * 2_000, **more) for n in range(3)]
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    first, report = asyncio.run(night(ledger, tmp_path, 1, rows, gateway=Broken(says)))
    assert (first.sent, report.jobs.review, report.reasons[0].reason) == ([], 3, "impossible_count")
    with ledger.read() as connection:
        reviews = connection.execute(select(ReviewRow.reason, ReviewRow.detail, ReviewRow.would_pass)).all()
        assert connection.execute(select(CountRow)).all() == []
    for reason, detail, would_pass in reviews:
        assert reason == "impossible_count"
        assert f"counted {says} input tokens" in detail
        assert "use an endpoint whose count_tokens counts" in would_pass
    # an endpoint that counts lets them go on to where they belong
    again = asyncio.run(night(ledger, tmp_path, 2, rows))[1]
    assert again.reasons == [] or again.reasons[0].reason != "impossible_count"
    ledger.close()


def test_a_count_on_record_that_cannot_be_is_counted_again(tmp_path):
    rows = [{"job_id": "a"} | text_row("word " * 100, model="claude-opus-5-5")]
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    asyncio.run(night(ledger, tmp_path, 1, rows, gateway=Broken(0), request={"max_input_tokens": 1}))
    with ledger.write() as connection:
        payload = connection.scalars(select(JobRow.fingerprint)).one()
    counts.add(ledger, [TokenCount(payload, "claude-opus-5-5", 0)])
    gateway, report = asyncio.run(night(ledger, tmp_path, 2, rows))
    assert (len(gateway.counted), report.jobs.succeeded) == (1, 1)
    assert counts.known(ledger, [payload])[payload]["claude-opus-5-5"] > 500
    ledger.close()
