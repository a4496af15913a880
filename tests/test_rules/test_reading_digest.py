"""Reading digest: it changes with all that makes jobs of rows, and with nothing else."""

import pytest

from rules.reading_digest import reading_digest
from schemas.run import OWN_WAY, Way
from tests.strategies import policy

THE_SAME = reading_digest("files", policy(), OWN_WAY, "1.0")


@pytest.mark.parametrize(
    "changes",
    [
        {"run": {"budget_usd": "5"}},
        {"month": {"budget_usd": "50"}},
        {"mode": "batches"},
        {"output": {"on_truncated": "review"}},
    ],
)
def test_caps_limits_and_modes_make_no_difference(changes):
    assert reading_digest("files", policy(**changes), OWN_WAY, "1.0") == THE_SAME


@pytest.mark.parametrize(
    "other",
    [
        reading_digest("other files", policy(), OWN_WAY, "1.0"),
        reading_digest("files", policy(), OWN_WAY, "1.1"),
        reading_digest("files", policy(), Way(effort="low"), "1.0"),
        reading_digest("files", policy(), Way(budget=1_024), "1.0"),
        reading_digest("files", policy(jobs={"id": "ticket"}), OWN_WAY, "1.0"),
        reading_digest("files", policy(jobs={"system": "Be brief."}), OWN_WAY, "1.0"),
        reading_digest("files", policy(results={"keep": ["ticket"]}), OWN_WAY, "1.0"),
        reading_digest("files", policy(output={"default_max_tokens": 7}), OWN_WAY, "1.0"),
    ],
)
def test_what_a_row_is_read_from_and_how_makes_one(other):
    assert other != THE_SAME
