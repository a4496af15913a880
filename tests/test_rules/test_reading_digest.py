"""Reading digest: it changes with all that makes jobs of rows, and with nothing else."""

from dataclasses import replace

import pytest

from rules.models import Models
from rules.reading_digest import reading_digest
from schemas.run import OWN_WAY, Way
from tests.fakes import MODELS
from tests.strategies import policy

ONE_ROUTE = [{"name": "one", "model": "claude-opus-5-5", "up_to_input_tokens": 10_000}]


def digest(files="files", way=OWN_WAY, version="1.0", listed=MODELS, **changes):
    rules = policy(**changes)
    return reading_digest(files, rules, Models(rules, listed.values()), way, version)


THE_SAME = digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"run": {"budget_usd": "5"}},
        {"month": {"budget_usd": "50"}},
        {"output": {"on_truncated": "review"}},
    ],
)
def test_caps_and_limits_make_no_difference(changes):
    assert digest(**changes) == THE_SAME


def with_haiku(**stated):
    name = "claude-haiku-5-5"
    return MODELS | {name: replace(MODELS[name], **stated)}


@pytest.mark.parametrize(
    "other",
    [
        digest("other files"),
        digest(version="1.1"),
        digest(way=Way(effort="low")),
        digest(way=Way(budget=1_024)),
        digest(jobs={"id": "ticket"}),
        digest(jobs={"system": "Be brief."}),
        digest(results={"keep": ["ticket"]}),
        digest(output={"default_max_tokens": 7}),
        digest(mode="batches"),
        digest(routes=ONE_ROUTE),
        digest(listed=with_haiku(max_tokens=7)),
        digest(listed=with_haiku(efforts=frozenset({"low"}))),
    ],
)
def test_what_a_row_is_read_from_and_how_makes_one(other):
    assert other != THE_SAME


def test_when_a_model_retires_and_in_which_order_models_are_listed_make_no_difference():
    assert digest(listed=dict(reversed(with_haiku(lifecycle="deprecated").items()))) == THE_SAME
