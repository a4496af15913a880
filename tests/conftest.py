"""What the tests share: a Hypothesis profile without a clock, and ledgers on both databases."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.processes import postgresql_database, postgresql_server
from tests.strategies import quick_ledger

# the steps are tried outside flow runs too
os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
settings.register_profile(
    "weighbridge",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("weighbridge")


@pytest.fixture(scope="session")
def postgresql_folder():
    """The socket folder of a PostgreSQL server that the whole session shares."""
    with postgresql_server() as folder:
        yield folder


@pytest.fixture
def postgres_url(postgresql_folder):
    """The URL of an empty PostgreSQL database."""
    with postgresql_database(postgresql_folder) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request, tmp_path):
    """The URL of a ledger that is not there yet, on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def ledger(ledger_url):
    """A fresh ledger, on each database."""
    opened = quick_ledger(ledger_url)
    yield opened
    opened.close()
