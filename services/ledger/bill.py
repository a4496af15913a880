"""What the ledger says was used and paid, by UTC day, model and service tier: to be compared with the bill."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal_column, select

from rules.surcharges import WEB_SEARCH as SEARCH
from schemas.bill import (
    BATCH_TIER,
    STANDARD_TIER,
    TOKENS,
    WEB_SEARCH,
    BillSide,
    Held,
    LedgerBill,
    LineKind,
    Use,
    plain_model,
)
from schemas.ledger import AttemptRow, HistoryRow, RunRow
from schemas.money import to_nano, to_usd
from schemas.outcome import UNSETTLED_STATES, Billing
from services.ledger.store import Ledger


def bill(ledger: Ledger) -> LedgerBill:
    """All that is settled, by day and kind, pruned attempts included; and what still holds money.

    The day is the UTC day that an attempt was settled on. A search has a line of its own, for it has one in the cost
    report too.
    """
    lines: dict[tuple[date, LineKind], BillSide] = {}
    with ledger.read() as connection:
        for row in (*connection.execute(_attempts(ledger)), *connection.execute(_HISTORY)):
            for key, figures in _lines(row):
                lines[key] = lines[key] + figures if key in lines else figures
        held = [_held(row) for row in connection.execute(_holding(ledger))]
        simulated = connection.scalar(select(RunRow.simulated).limit(1))
        first = connection.scalar(select(func.min(_day_of(ledger, _SENT))))
    days = [day for day, _ in lines] + ([date.fromisoformat(first)] if first else [])
    return LedgerBill(ledger.url, lines, tuple(held), simulated, min(days, default=None))


def _lines(row: Any) -> Iterator[tuple[tuple[date, LineKind], BillSide]]:
    day = date.fromisoformat(row.day)
    searches = int(row.searches)
    use = Use(
        input=int(row.input),
        cache_writes=int(row.writes),
        cache_writes_1h=None if row.unsplit else int(row.writes_1h),
        cache_reads=int(row.reads),
        output=int(row.output),
        web_searches=searches,
    )
    search_cost = int(row.billed_searches) * to_nano(SEARCH.value)
    yield (
        (day, LineKind(TOKENS, plain_model(row.model), row.tier)),
        BillSide(
            use=use, usd=to_usd(int(row.cost) - search_cost), attempts=row.attempts, bounds=int(row.bounds)
        ),
    )
    if search_cost:
        yield (day, LineKind(WEB_SEARCH)), BillSide(usd=to_usd(search_cost))


def _held(row: Any) -> Held:
    return Held(
        day=date.fromisoformat(row.day),
        model=plain_model(row.model),
        tier=row.tier,
        state=row.state,
        attempts=row.attempts,
        usd=to_usd(int(row.held)),
    )


#: when an attempt that is not settled left; one that was settled as unknown later left before
_SENT = func.coalesce(AttemptRow.sent_at, AttemptRow.ended_at)
_TIER = case(
    (AttemptRow.batch_id.is_not(None), BATCH_TIER),
    else_=func.coalesce(AttemptRow.service_tier, STANDARD_TIER),
).label("tier")
_NUMBER_OF_THEM = func.count().label("attempts")


def _day_of(ledger: Ledger, moment: Any) -> ColumnElement[str]:
    """A moment's UTC day, as ISO 8601 text."""
    if ledger.engine.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD")
    return func.strftime("%Y-%m-%d", moment)


def _sum(value: Any) -> ColumnElement[int]:
    return func.coalesce(func.sum(value), 0)


def _attempts(ledger: Ledger) -> Any:
    writes, reads = (
        func.coalesce(AttemptRow.cache_write_tokens, 0),
        func.coalesce(AttemptRow.cache_read_tokens, 0),
    )
    unsplit = AttemptRow.cache_write_1h_tokens.is_(None) & (writes > 0)
    not_billed = func.coalesce(AttemptRow.billing, "") == Billing.NOT_BILLED
    searches = func.coalesce(AttemptRow.web_searches, 0)
    return (
        select(
            _day_of(ledger, AttemptRow.ended_at).label("day"),
            AttemptRow.model.label("model"),
            _TIER,
            _NUMBER_OF_THEM,
            _sum(AttemptRow.actual_input_tokens - writes - reads).label("input"),
            _sum(writes).label("writes"),
            _sum(AttemptRow.cache_write_1h_tokens).label("writes_1h"),
            _sum(case((unsplit, 1), else_=0)).label("unsplit"),
            _sum(reads).label("reads"),
            _sum(AttemptRow.actual_output_tokens).label("output"),
            _sum(searches).label("searches"),
            _sum(case((not_billed, 0), else_=searches)).label("billed_searches"),
            _sum(AttemptRow.actual_nano_usd).label("cost"),
            _sum(case((AttemptRow.billing == Billing.PARTIAL, 1), else_=0)).label("bounds"),
        )
        .where(AttemptRow.actual_nano_usd.is_not(None))
        .group_by("day", "model", "tier")
    )


def _holding(ledger: Ledger) -> Any:
    """Attempts that left, are not settled and hold money."""
    return (
        select(
            _day_of(ledger, _SENT).label("day"),
            AttemptRow.model.label("model"),
            _TIER,
            AttemptRow.state.label("state"),
            _NUMBER_OF_THEM,
            _sum(AttemptRow.held_nano_usd).label("held"),
        )
        .where(
            AttemptRow.state.in_(UNSETTLED_STATES),
            AttemptRow.held_nano_usd > 0,
            _SENT.is_not(None),
        )
        .group_by("day", "model", "tier", "state")
        .order_by("day", "model", "tier", "state")
    )


_HISTORY = select(
    HistoryRow.day,
    HistoryRow.model,
    HistoryRow.service_tier.label("tier"),
    HistoryRow.jobs.label("attempts"),
    (HistoryRow.actual_input_tokens - HistoryRow.cache_write_tokens - HistoryRow.cache_read_tokens).label(
        "input"
    ),
    HistoryRow.cache_write_tokens.label("writes"),
    HistoryRow.cache_write_1h_tokens.label("writes_1h"),
    literal_column("0").label("unsplit"),
    HistoryRow.cache_read_tokens.label("reads"),
    HistoryRow.actual_output_tokens.label("output"),
    HistoryRow.web_searches.label("searches"),
    HistoryRow.web_searches.label("billed_searches"),
    HistoryRow.actual_nano_usd.label("cost"),
    literal_column("0").label("bounds"),
)
