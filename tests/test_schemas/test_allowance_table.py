"""The table of shared rates, as the migrations make it."""

from sqlalchemy import inspect

from schemas.allowance_table import AllowanceRow
from tests.strategies import quick_ledger


def test_the_table_has_the_columns_and_the_key_that_the_ledger_has(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    found = inspect(ledger.engine)
    columns = {column["name"]: column["nullable"] for column in found.get_columns("allowances")}
    assert columns == {column.name: column.nullable for column in AllowanceRow.__table__.columns}
    assert found.get_pk_constraint("allowances")["constrained_columns"] == ["account", "limit_name"]
    ledger.close()
