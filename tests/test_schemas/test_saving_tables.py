"""The tables of what a run does to save, as the migrations make them."""

import pytest
from sqlalchemy import inspect

from schemas.saving_tables import CachePrefixRow, CostShareRow, FittedJobRow, SharedAnswerRow
from tests.strategies import quick_ledger


@pytest.mark.parametrize("table", [CachePrefixRow, CostShareRow, FittedJobRow, SharedAnswerRow])
def test_a_table_has_the_columns_and_the_key_that_the_ledger_has(table, tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    found = inspect(ledger.engine)
    columns = {column["name"]: column["nullable"] for column in found.get_columns(table.__tablename__)}
    assert columns == {column.name: column.nullable for column in table.__table__.columns}
    key = found.get_pk_constraint(table.__tablename__)["constrained_columns"]
    assert key == [column.name for column in table.__table__.primary_key]
    ledger.close()
