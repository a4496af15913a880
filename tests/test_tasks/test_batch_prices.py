"""At which prices the items of a batch are settled: at those of the day that it left on, or the dearest that may hold."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rules.prices import BilledTokens, PriceCard
from schemas.ledger import AttemptRow
from tasks.watch_batch import watch
from tests.fake_batches import BatchGateway, all_rows, assert_budgets_add_up, begun, submitted_all
from tests.strategies import quick_ledger
from tests.test_rules.test_scale import contract
from tests.test_tasks.test_collect import change

#: a day on which prices change, which is over
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(1)
MODEL = "claude-haiku-5-5"


class Ended(BatchGateway):
    """Batches that ended at a moment."""

    def __init__(self, ended_at):
        super().__init__()
        self.ended_at = ended_at

    def seen(self, made):
        return replace(super().seen(made), ended_at=self.ended_at)


async def settled(folder, *, opened_at, left_at, ended_at):
    """The attempts of a batch over a change of prices: 1 USD per million tokens until the day before NOW, 3 USD since."""
    ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
    prices = [
        contract(1, model=MODEL, until=(NOW - DAY).date()),
        contract(3, model=MODEL, since=NOW.date()),
    ]
    run = await begun(ledger, Ended(ended_at), folder, prices=prices)
    [batch] = await submitted_all(run)
    change(ledger, AttemptRow, opened_at=opened_at, sent_at=left_at)
    await watch(run, batch)
    assert_budgets_add_up(ledger)
    attempts = all_rows(ledger, AttemptRow)
    ledger.close()
    assert len(attempts) == 3
    for attempt in attempts:
        tokens = BilledTokens(attempt.actual_input_tokens, attempt.actual_output_tokens)
        by_day = [PriceCard(MODEL, day, run.policy).price(tokens, batch=True) for day in (NOW - DAY, NOW)]
        yield attempt, by_day


@pytest.mark.parametrize(
    ("opened_at", "left_at", "ended_at", "day", "billing"),
    [
        (NOW - DAY, NOW - DAY, NOW - DAY, 0, "full"),
        (NOW - DAY, NOW, NOW, 1, "full"),
        (NOW - DAY, NOW - DAY, NOW, 1, "partial"),
        (NOW - DAY, NOW - DAY, None, 1, "partial"),
        (NOW, NOW, NOW + DAY, 1, "full"),
        (NOW - 3 * DAY, NOW - 3 * DAY, NOW, 0, "full"),
    ],
)
async def test_an_item_is_settled_at_the_dearest_day_that_it_may_have_been_billed_on(
    tmp_path, opened_at, left_at, ended_at, day, billing
):
    moments = {"opened_at": opened_at, "left_at": left_at, "ended_at": ended_at}
    async for attempt, by_day in settled(tmp_path, **moments):
        assert (attempt.actual_nano_usd, attempt.billing) == (by_day[day], billing)
        assert by_day[0] < by_day[1]


async def test_an_item_whose_answer_names_a_dearer_model_is_settled_at_its_price(tmp_path):
    def named(line):
        line["result"]["message"]["model"] = "claude-opus-5-5"
        return json.dumps(line).encode()

    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    gateway = BatchGateway()
    gateway.lines[0] = named
    run = await begun(ledger, gateway, tmp_path, count=1)
    [batch] = await submitted_all(run)
    await watch(run, batch)
    [row] = all_rows(ledger, AttemptRow)
    tokens = BilledTokens(row.actual_input_tokens, row.actual_output_tokens)
    assert row.model == MODEL
    assert row.actual_nano_usd == PriceCard("claude-opus-5-5", row.sent_at).price(tokens, batch=True)
    assert row.billing == "partial"
    ledger.close()
