"""Charts are whole PNG images of whatever is drawn, they say when figures are simulated, and they cost only who draws."""

import io
import subprocess
import sys
from decimal import Decimal

import matplotlib.image
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import charts
from tests.strategies import examples

TOKENS = pd.ArrowDtype(pa.int64())
amounts = st.integers(0, 10**15).map(lambda nano: Decimal(nano).scaleb(-9))


def policies(*rows):
    return pd.DataFrame(rows, columns=["name", "expected_usd", "p90_usd", "worst_usd"])


def weights(tokens):
    return pd.DataFrame({"input_tokens": pd.array(tokens, dtype=TOKENS)})


def is_picture(png):
    picture = matplotlib.image.imread(io.BytesIO(png), format="png")
    height, width, _ = picture.shape
    return width >= 1_000 and height >= 200 and picture.std() > 0


@pytest.fixture
def titles(monkeypatch):
    """The titles of what is drawn."""
    seen = []
    title = charts._title
    monkeypatch.setattr(charts, "_title", lambda *said, **more: seen.append(title(*said, **more)) or seen[-1])
    return seen


@settings(max_examples=examples(6))
@given(st.lists(st.tuples(st.sampled_from(["routed", "x" * 60]), amounts, amounts, amounts), max_size=6))
def test_any_costs_make_a_picture(rows):
    assert is_picture(charts.cost_by_policy(policies(*rows), simulated=False))


@settings(max_examples=examples(6))
@given(
    st.lists(st.none() | st.integers(0, 10**7), max_size=30),
    st.dictionaries(st.sampled_from(["small", "middle", "large"]), st.integers(1, 10**7)),
)
def test_any_weights_make_a_picture(tokens, routes):
    assert is_picture(charts.job_weights(weights(tokens), routes, simulated=False))


def test_the_title_says_simulated_when_it_is_and_names_the_jobs_without_a_weight(titles):
    for simulated in (True, False):
        charts.cost_by_policy(policies(("routed", Decimal(1), Decimal(2), Decimal(3))), simulated=simulated)
        charts.job_weights(weights([5, None, 7]), {"small": 6}, simulated=simulated)
    assert titles == [
        "Cost by policy (simulated)",
        "Weights of 2 jobs over the routes, 1 more have no weight (simulated)",
        "Cost by policy",
        "Weights of 2 jobs over the routes, 1 more have no weight",
    ]


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0 USD"),
        ("0.000000123", "0.000000123 USD"),
        ("0.01234567", "0.0123 USD"),
        ("1234.567", "1,234.57 USD"),
    ],
)
def test_an_amount_is_shown_exactly_enough(amount, shown):
    assert charts._usd(Decimal(amount)) == shown


def test_matplotlib_is_loaded_only_when_something_is_drawn_and_its_global_state_never():
    code = (
        "import sys; from services import charts; import pandas as pd; assert 'matplotlib' not in sys.modules\n"
        "charts.job_weights(pd.DataFrame({'input_tokens': [1, 2]}), {}, simulated=True)\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
