"""What an admission is called in Prefect: by the rows that it holds the money for."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.attempt import Admission


def of_rows(rows):
    admission = Admission()
    admission.held = [SimpleNamespace(row_number=row) for row in rows]
    return str(admission)


@pytest.mark.parametrize(
    ("rows", "name"),
    [([], "no row"), ([7], "row 7"), ([2, 0, 1], "rows 0-2"), ([9, 3], "2 of rows 3-9")],
)
def test_an_admission_is_called_by_its_rows(rows, name):
    assert of_rows(rows) == name


@given(st.sets(st.integers(0, 10_000), min_size=2))
def test_how_many_rows_are_named_is_how_many_there_are(rows):
    name = of_rows(rows)
    first, last = map(int, name.rpartition(" ")[2].split("-"))
    counted = int(name.partition(" ")[0]) if " of " in name else last - first + 1
    assert (first, last, counted) == (min(rows), max(rows), len(rows))
