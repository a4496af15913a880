"""The table of the zones that a ledger counted in, as the migrations make it."""

from sqlalchemy import inspect

from schemas.day_zone_table import DayZoneRow
from tests.strategies import quick_ledger


def test_the_table_has_the_columns_that_the_ledger_has(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    found = inspect(ledger.engine).get_columns("day_zones")
    columns = {column["name"]: column["nullable"] for column in found}
    assert columns == {column.name: column.nullable for column in DayZoneRow.__table__.columns}
    ledger.close()
