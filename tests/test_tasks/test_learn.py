"""Nights that learn: the second goes by the bills of the first, and a bill out of line is told."""

import asyncio
import logging
from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from rules.estimate import estimated
from rules.lesson import LessonKey, Observation, Tally, lesson
from rules.limits import over_limits
from rules.prices import PriceCard
from rules.report_page import as_markdown
from rules.report_text import lesson_rows, money_rows
from schemas.job import QueuedJob
from schemas.ledger import AttemptRow
from schemas.outcome import Mode, Reason
from schemas.payload.payload import Fingerprint
from schemas.payload.traits import PayloadClass
from tasks.weigh_edit import EditScale
from tests.fakes import FakeGateway, tokens_of
from tests.nights import a_run, night, text_row, with_models_checked
from tests.strategies import policy, quick_ledger

MODEL = "claude-opus-5-5"


@pytest.fixture(autouse=True)
def _without_prefect(monkeypatch):
    """Warnings go to the test, not to a Prefect server."""
    monkeypatch.setattr(logging.getLogger("weighbridge"), "handlers", [])


class Scale(FakeGateway):
    """Bills more than it counted: a fixed overhead, or a share of the count, and answers of many lengths."""

    def __init__(self, overhead=0, percent=0):
        super().__init__()
        self.overhead, self.percent = overhead, percent

    def usage(self, body):
        counted = tokens_of(body)
        excess = max(self.overhead, counted * self.percent // 100)
        return {"input_tokens": counted + excess, "output_tokens": 1 + counted * 7 % 40}


def rows(number, small=60, large=60):
    """Jobs of one model: `small` are counted below a thousand tokens."""
    return [
        {"job_id": f"{number}-{n}"}
        | text_row(f"{number}-{n} " + "x" * (n if n < small else 1_500 + n), model=MODEL)
        for n in range(small + large)
    ]


def attempts(ledger, number):
    with ledger.read() as connection:
        query = select(AttemptRow.__table__).where(AttemptRow.run_id == f"run-{number}")
        return connection.execute(query).all()


def run_night(ledger, folder, number, gateway, jobs=None, **changes):
    _, report = asyncio.run(
        night(ledger, folder, number, jobs or rows(number), (200, 200, 200), gateway, **changes)
    )
    return report


def test_the_second_night_goes_by_the_bills_of_the_first(tmp_path, caplog):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    with caplog.at_level(logging.WARNING, "weighbridge"):
        first = run_night(ledger, tmp_path, 1, Scale(overhead=30, percent=5))
    # nothing was known: the policy's margin, which was too small, and that is told
    assert first.over_bound == 120
    [used] = first.lessons
    assert (used.n, used.margin.source, used.margin.percent, used.margin.tokens) == (0, "policy", 3, 20)
    assert (used.input_error, used.output_tokens) == (None, None)
    [drift] = first.drift
    assert drift.detail in caplog.text
    assert drift.detail in as_markdown(first).replace("\\", "")
    assert (first.assumed_jobs, first.usd.estimated_low) == (120, None)
    assert money_rows(first)[1][2] == "counted input; output assumed: 25% of max_tokens"

    second = run_night(ledger, tmp_path, 2, Scale(overhead=30, percent=5))
    [used] = second.lessons
    assert (used.n, used.enough, used.margin.source) == (120, True, "observed")
    assert (used.margin.percent, used.margin.tokens) == (Decimal("7.5"), 45)  # one and a half times
    assert second.over_bound == 0
    assert second.drift == []
    for attempt in attempts(ledger, 2):
        assert attempt.input_bound >= attempt.actual_input_tokens
        assert attempt.worst_case_nano_usd >= attempt.actual_nano_usd
        assert attempt.expected_low_nano_usd <= attempt.expected_nano_usd <= attempt.expected_high_nano_usd
    assert second.usd.estimated_low < second.usd.estimated < second.usd.estimated_high
    assert abs(second.usd.estimated - second.usd.actual) < abs(first.usd.estimated - first.usd.actual)
    assert money_rows(second)[1][2].endswith("; 120 observed answers")
    [seen] = second.taught
    assert (seen.jobs, seen.n, seen.over_bound) == (120, 120, 0)
    assert lesson_rows(second)[0][-2:] == ("7.5% or 45 tokens", "120 answers")
    ledger.close()


def test_a_tokenizer_that_changed_is_told_with_what_to_do(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    assert run_night(ledger, tmp_path, 1, Scale()).drift == []
    assert run_night(ledger, tmp_path, 2, Scale()).drift == []
    report = run_night(ledger, tmp_path, 3, Scale(percent=30))
    [drift] = report.drift
    assert (drift.model, drift.payload_class) == (MODEL, "text")
    assert "delete the rows of the table counts" in drift.detail
    assert "Drift: " in as_markdown(report)
    # the night after holds enough
    assert run_night(ledger, tmp_path, 4, Scale(percent=30)).over_bound == 0
    ledger.close()


def test_the_files_say_of_each_job_how_far_its_bill_lay_off(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    report = run_night(ledger, tmp_path, 1, Scale(overhead=7), rows(1, 3, 1))
    table = pq.read_table(next((tmp_path / "run-1").glob("reconciliation-*.parquet"))).to_pylist()
    assert [row["error_tokens"] for row in table] == [7] * 4
    for row in table:
        exact = Decimal(700) / row["estimated_input_tokens"]
        assert row["error_percent"] == exact.quantize(Decimal("0.001"))
        assert (row["payload_class"], row["method"], row["billing"]) == ("text", "counted", "full")
    told = orjson.loads(report.model_dump_json())
    assert told["lessons"][0]["margin"] == {"percent": "3", "tokens": 20, "from": "policy"}
    assert told["taught"][0]["input_error_tokens"]["max"] == "7"
    assert type(report).model_validate(told) == report
    ledger.close()


def test_an_attempt_of_unknown_outcome_teaches_nothing(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    lost = [{"job_id": f"lost-{n}"} | text_row(f"send:maybe {n}", model=MODEL) for n in range(60)]
    report = run_night(ledger, tmp_path, 1, Scale(overhead=500), lost)
    assert (report.jobs.unknown, report.taught) == (60, [])
    [used] = run_night(ledger, tmp_path, 2, Scale(), rows(2, 5, 0)).lessons
    assert (used.n, used.margin.source) == (0, "policy")
    ledger.close()


def test_a_policy_that_does_not_learn_keeps_its_margin_and_still_tells(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    for number in (1, 2):
        report = run_night(ledger, tmp_path, number, Scale(overhead=90, percent=9), margin={"learn": False})
    [used] = report.lessons
    assert (used.n, used.margin.source, used.margin.tokens) == (120, "policy", 20)
    assert report.over_bound == 120
    assert len(report.drift) == 1
    ledger.close()


def test_an_edit_is_priced_with_what_a_run_of_the_same_moment_has_learned(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    run_night(ledger, tmp_path, 1, Scale(overhead=30, percent=10))
    waiting = QueuedJob(
        row_number=0, job_id="a", fingerprint=Fingerprint("f"), group=None, pinned_model=None, max_tokens=50,
        own_max_input_tokens=None, own_max_cost=None, cache_ttl=None, model=MODEL, input_tokens=20_000,
        method="counted", payload_bytes=1,
    )  # fmt: skip

    async def both():
        edit = await EditScale.of(ledger, FakeGateway(), policy())
        run = await with_models_checked(a_run(ledger))
        return edit.scale.estimate(waiting), run.scale.estimate(waiting)

    edit, run = asyncio.run(both())
    assert edit == run
    assert edit.input_bound == 23_000  # one and a half times what was observed
    ledger.close()


def test_by_a_percentile_more_fits_under_the_same_cap_and_the_bills_stay_below_it(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    run_night(ledger, tmp_path, 1, Scale())
    hold = {"output_percentile": 90, "reserve_usd": "0.001"}
    report = run_night(ledger, tmp_path, 2, Scale(), hold=hold)
    assert report.hold_percentile == 90
    assert money_rows(report)[0][0] == "worst case"
    assert report.usd.worst_case > report.usd.actual
    assert report.jobs.succeeded == 120
    ledger.close()


CARD = PriceCard(MODEL, datetime(2026, 11, 26, tzinfo=UTC))
KIND = LessonKey(MODEL, PayloadClass.TEXT)
queued = st.builds(
    QueuedJob,
    row_number=st.just(0),
    job_id=st.just("a"),
    fingerprint=st.just(Fingerprint("f")),
    group=st.none(),
    pinned_model=st.none(),
    max_tokens=st.integers(1, 64_000),
    own_max_input_tokens=st.none(),
    own_max_cost=st.none(),
    cache_ttl=st.sampled_from([None, "5m", "1h"]),
    model=st.just(MODEL),
    input_tokens=st.integers(1, 150_000),
    method=st.sampled_from(["counted", "bounded"]),
    payload_bytes=st.just(1),
)
outputs = st.lists(st.integers(1, 64_000), min_size=1, max_size=12)


@given(queued, outputs, st.none() | st.integers(50, 99), st.sampled_from(list(Mode)), st.booleans())
def test_every_figure_of_an_estimate_is_in_its_order(job, answers, percentile, mode, enough):
    hold = {"output_percentile": percentile, "reserve_usd": "1"}
    rules = policy(mode=mode, hold=hold, margin={"min_samples": 1 if enough else 100})
    tally = Tally(Observation(10_000, 10_000, output, 64_000) for output in answers)
    learned = lesson(KIND, tally, rules.margin)
    found = estimated(job, rules, [CARD], learned)
    assert found.expected <= found.worst_case
    assert found.hold == (found.worst_case if found.likely is None else found.likely) <= found.worst_case
    assert (found.likely is None) == (percentile is None or not enough)
    if enough:
        assert found.expected_low <= found.expected <= found.expected_high <= found.worst_case
    else:
        assert (found.expected_low, found.expected_high) == (None, None)
    # a lesson is about counts of the provider's, never about a bound of ours
    margin = learned.margin if job.method == "counted" else rules.margin
    assert found.input_bound == margin.bound(job.input_tokens)


@given(queued)
def test_a_limit_of_one_request_looks_at_the_worst_case_whatever_is_held(job):
    rules = policy(
        hold={"output_percentile": 50, "reserve_usd": "1"},
        margin={"min_samples": 1},
        request={"max_input_tokens": 200_000, "max_cost_usd": "0.5"},
    )
    learned = lesson(KIND, Tally([Observation(10, 10, 1, 64_000)]), rules.margin)
    found = estimated(job, rules, [CARD], learned)
    over = over_limits(job, found, rules)
    assert (over is not None) == (found.worst_case > 500_000_000)
    assert over is None or over[0] == Reason.OVER_COST_LIMIT


def test_a_lesson_without_history_is_what_the_policy_says():
    rules = policy()
    found = lesson(KIND, Tally(), rules.margin)
    assert (found.margin, found.margin_is_observed, found.enough, found.n) == (rules.margin, False, False, 0)
