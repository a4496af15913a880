"""Counts on record: what was counted once is not counted again."""

from schemas.estimate import TokenCount
from schemas.ledger import CountRow
from services.ledger import counts
from tests.ledgers import rows


def test_a_count_on_record_stays(ledger):
    counts.add(ledger, [TokenCount("f", "m", 10), TokenCount("f", "n", 20)])
    counts.add(ledger, [TokenCount("f", "m", 99), TokenCount("g", "m", 30)])
    counts.add(ledger, [])
    assert counts.known(ledger, ["f", "h"]) == {"f": {"m": 10, "n": 20}}
    assert len(rows(ledger, CountRow, CountRow.model)) == 3
