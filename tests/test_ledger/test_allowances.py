"""The rows of allowances: what comes back is what went in, by the database's own clock, also where many lease at once."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

from rules.lease_block import SECOND, SPAN, BlockAsk, turn_moment
from schemas.allowance_table import AllowanceRow
from services.ledger import allowances
from tests.ledgers import rows

RATES = (6_000, 10_000, None)


def test_the_clock_is_the_databases_in_microseconds(ledger):
    before = time.time()
    with ledger.write() as connection:
        shown = allowances.database_micros(connection) / SECOND
    # the database is on the same machine, and SQLite's clock shows whole milliseconds
    assert before - 0.001 <= shown <= time.time() + 0.001


def test_a_row_keeps_what_was_reported(ledger):
    with ledger.write() as connection:
        span = allowances.database_micros(connection) // SPAN
    ask = BlockAsk("one", 1, RATES, turns=3, tokens=(50, 0), used={span: (700, 20)}, stated={"requests": 60})
    allowances.lease(ledger, "key", "messages", ask)
    block = allowances.lease(ledger, "key", "messages", BlockAsk("two", 1, RATES, turns=1))
    assert block.others == 1
    assert block.stated == {"requests": 60}
    [(taken, holdings)] = rows(ledger, AllowanceRow, AllowanceRow.taken, AllowanceRow.holdings)
    assert taken == {str(span): [700, 20]}
    assert set(holdings) == {"one", "two"}


def test_two_accounts_and_two_limits_have_nothing_in_common(ledger):
    for account, name in (("a", "messages"), ("b", "messages"), ("a", "count_tokens")):
        assert allowances.lease(ledger, account, name, BlockAsk("one", 1, RATES, turns=1)).others == 0


def test_no_turn_is_given_away_twice_to_many_at_once(ledger):
    def leased(number):
        blocks = [
            allowances.lease(ledger, "key", "messages", BlockAsk(f"p{number}", beat, RATES, turns=7))
            for beat in range(1, 6)
        ]
        return [
            turn_moment(block.start, turn, block.per_minute)
            for block in blocks
            for turn in range(block.turns)
        ]

    with ThreadPoolExecutor(4) as threads:
        moments = sorted(moment for found in threads.map(leased, range(4)) for moment in found)
    assert moments
    assert all(later - earlier >= 10_166 for earlier, later in itertools.pairwise(moments))
