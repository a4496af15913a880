"""Bills out of line, through a whole night: they are bounded, they stop the run, and it says so."""

import asyncio
import logging
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from rules.prices import BilledTokens, PriceCard
from rules.report_text import alarm_lines
from schemas.ledger import AttemptRow
from schemas.outcome import RunOutcome
from tasks.shards import LANES
from tests.fakes import FakeGateway, tokens_of
from tests.nights import night, text_row
from tests.strategies import quick_ledger

MODEL, CHEAP = "claude-opus-5-5", "claude-haiku-5-5"
IN_A_SHARD = 1
ROWS = [{"job_id": f"job-{n}"} | text_row(f"job {n} " + "x" * 500, model=MODEL) for n in range(12)]


@pytest.fixture(autouse=True)
def _without_prefect(monkeypatch):
    monkeypatch.setattr(logging.getLogger("weighbridge"), "handlers", [])


class Odd(FakeGateway):
    """Its usage is the count times a factor, and so many output tokens."""

    def __init__(self, factor=1, output=3):
        super().__init__()
        self.factor, self.output = factor, output

    def usage(self, body):
        return {"input_tokens": tokens_of(body) * self.factor, "output_tokens": self.output}


def one_night(folder, gateway, rows=ROWS, **changes):
    ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
    _, report = asyncio.run(night(ledger, folder, 1, rows, (12, 12, IN_A_SHARD), gateway, **changes))
    with ledger.read() as connection:
        attempts = connection.execute(select(AttemptRow.__table__)).all()
    ledger.close()
    return report, attempts


@pytest.mark.parametrize("gateway", [Odd(factor=40), Odd(output=5_000)], ids=["input", "output"])
def test_after_three_bills_over_their_holds_nothing_more_is_sent(tmp_path, gateway, caplog):
    with caplog.at_level(logging.WARNING, "weighbridge"):
        report, _ = one_night(tmp_path, gateway)
    # what was in flight with the third is booked too
    assert 3 <= len(gateway.sent) < 3 + LANES * IN_A_SHARD
    assert report.jobs.succeeded == report.over_hold == len(gateway.sent)
    assert report.jobs.deferred == 12 - len(gateway.sent)
    assert {item.reason for item in report.reasons} == {"bills_over_holds"}
    assert report.outcome is RunOutcome.BUDGET_STOP
    table = pq.read_table(next((tmp_path / "run-1").glob("reconciliation-*.parquet"))).to_pylist()
    assert sum(row["over_hold_usd"] for row in table) == report.usd.over_hold > 0
    assert all(row["over_hold_usd"] == row["actual_usd"] - row["worst_case_usd"] for row in table)
    for line in alarm_lines(report):
        assert line in caplog.text


def test_a_cap_that_was_passed_is_closed_and_the_run_says_by_how_much(tmp_path):
    report, attempts = one_night(tmp_path, Odd(factor=40), day={"budget_usd": "0.02"})
    spent = sum(row.actual_nano_usd or 0 for row in attempts)
    [passed] = report.caps_passed
    assert (passed.scope, passed.group) == ("day", None)
    assert passed.over_usd * 10**9 == spent - 20_000_000
    assert report.outcome is RunOutcome.BUDGET_STOP
    assert alarm_lines(report)[0].startswith("Cap passed by ")


def test_usage_of_nothing_holds_its_worst_case_under_the_cap(tmp_path):
    report, attempts = one_night(tmp_path, Odd(factor=0, output=0), run={"budget_usd": "0.02"})
    paid = [row for row in attempts if row.state == "succeeded"]
    assert 0 < len(paid) < 12
    for row in paid:
        assert (row.actual_nano_usd, row.billing) == (row.worst_case_nano_usd, "partial")
    assert sum(row.actual_nano_usd for row in paid) <= 20_000_000
    assert report.outcome is RunOutcome.BUDGET_STOP
    assert "came with a usage of no input at all" in report.drift[0].detail


def test_answers_whose_usage_has_no_output_hold_their_worst_case_and_teach_nothing(tmp_path):
    report, attempts = one_night(tmp_path, Odd(output=0))
    assert report.jobs.succeeded == 12
    for row in attempts:
        assert (row.actual_nano_usd, row.billing) == (row.worst_case_nano_usd, "partial")
    assert all(lesson.n == 0 for lesson in report.lessons)


class Naming(FakeGateway):
    """Its answers name a model."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    async def send(self, body, **how):
        reply = await super().send(body, **how)
        return replace(reply, answer=reply.answer.model_copy(update={"model": self.model}))


@pytest.mark.parametrize(
    ("named", "billed_as", "billing"),
    [
        (CHEAP, CHEAP, "full"),
        (f"{CHEAP}-20260101", CHEAP, "full"),
        ("a-model-of-no-price", CHEAP, "full"),
        ("", CHEAP, "full"),
        (MODEL, MODEL, "partial"),
    ],
)
def test_an_answer_that_names_a_dearer_model_is_booked_at_its_price(tmp_path, named, billed_as, billing):
    rows = [{"job_id": "one"} | text_row("one", model=CHEAP)]
    _, [row] = one_night(tmp_path, Naming(named), rows)
    tokens = BilledTokens(row.actual_input_tokens, row.actual_output_tokens)
    assert row.actual_nano_usd == PriceCard(billed_as, row.sent_at).price(tokens)
    assert (row.model, row.billing) == (CHEAP, billing)


def test_another_name_of_the_model_that_was_asked_does_not_lose_its_contract_price(tmp_path):
    rows = [{"job_id": "one"} | text_row("one", model=CHEAP)]
    prices = [{"model": CHEAP, "discount_percent": "50"}]
    _, [row] = one_night(tmp_path, Naming(f"{CHEAP}@20260101"), rows, prices=prices)
    tokens = BilledTokens(row.actual_input_tokens, row.actual_output_tokens)
    assert row.actual_nano_usd * 2 == PriceCard(CHEAP, row.sent_at).price(tokens)
    assert row.billing == "full"


def test_an_answer_that_names_a_cheaper_model_is_booked_at_the_price_that_was_asked(tmp_path):
    rows = [{"job_id": "one"} | text_row("one", model=MODEL)]
    _, [row] = one_night(tmp_path, Naming(CHEAP), rows)
    tokens = BilledTokens(row.actual_input_tokens, row.actual_output_tokens)
    assert row.actual_nano_usd == PriceCard(MODEL, row.sent_at).price(tokens)


def test_a_bill_far_below_its_count_is_an_alarm_on_the_first_night(tmp_path):
    class Small(Odd):
        def usage(self, body):
            return {"input_tokens": tokens_of(body) // 3, "output_tokens": 3}

    report, _ = one_night(tmp_path, Small())
    assert report.outcome is RunOutcome.COMPLETE
    [drift] = report.drift
    assert "12 of 12 were billed for less than half of their count" in drift.detail
