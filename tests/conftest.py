"""What the tests share: Hypothesis profiles without a clock, servers of a session, ledgers on both databases."""

import gc
import logging
import os

import pytest
from _pytest.nodeid import NodeId
from hypothesis import HealthCheck, settings
from sqlalchemy import make_url

from services.ledger import open_ledger
from tests.commands import forked_simulators
from tests.processes import (
    ONE_CERTIFICATE,
    clean_environment,
    postgresql_database,
    postgresql_server,
    prefect_server,
)
from tests.strategies import EXAMPLES, quick_ledger

# the steps are tried outside flow runs too
os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
# also where a machine names its own: nothing here leaves loopback
os.environ.update(ONE_CERTIFICATE)
_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
settings.register_profile(
    "weighbridge",
    deadline=None,
    derandomize=True,
    max_examples=EXAMPLES,
    suppress_health_check=_CHECKS,
)
# other examples each time; a failure prints how to see it again
settings.register_profile(
    "thorough",
    settings.get_profile("weighbridge"),
    derandomize=False,
    max_examples=3 * EXAMPLES,
    print_blob=True,
)
settings.load_profile("weighbridge")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Give each group of tests to one worker.

    The quick tests that need a Prefect server are a group, so that it is started once; the slow ones are too many for
    one worker. A worker names the group behind an `@` of the test's id. pytest-xdist 3.8 writes that to an attribute
    that pytest 9.2 has no more, so that all groups would be without effect.
    """
    if not config.getoption("loadgroup", default=False):
        return
    for item in items:
        marks = [mark.args[0] for mark in item.iter_markers("xdist_group")]
        if "prefect_api" in item.fixturenames and not item.get_closest_marker("slow"):
            marks = ["prefect"]
        if marks:
            item._id = NodeId.parse(f"{item.nodeid}@{marks[0]}")


def pytest_collection_finish():
    """Look for garbage less often, and not among the hundred thousands of objects that stay: a tenth of all CPU time."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 5)


def pytest_unconfigure():
    """Keep a Prefect server that a test began quiet: it ends with the process, when there is no log to say so in."""
    logging.raiseExceptions = False


@pytest.fixture(scope="session", autouse=True)
def _forked_simulators(tmp_path_factory):
    """Simulators are forked from one that has read its modules, which takes longer than most of their tests."""
    with forked_simulators(tmp_path_factory.mktemp("simulators")):
        yield


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory):
    """The API address of a Prefect server that the whole session shares."""
    home = tmp_path_factory.mktemp("prefect")
    with prefect_server(home, clean_environment(home)) as api:
        yield api


@pytest.fixture(scope="session")
def postgresql_folder():
    """The socket folder of a PostgreSQL server that the whole session shares."""
    with postgresql_server() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgresql_template(postgresql_folder):
    """The name of a database that is an empty ledger, to make others of."""
    with postgresql_database(postgresql_folder) as url:
        open_ledger(url).close()
        yield make_url(url).database


@pytest.fixture
def postgres_url(postgresql_folder):
    """The URL of an empty PostgreSQL database."""
    with postgresql_database(postgresql_folder) as url:
        yield url


def pytest_generate_tests(metafunc):
    """Repeat what needs a ledger on each database, but where it is marked to need one only."""
    if "database" not in metafunc.fixturenames:
        return
    databases = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
    is_of_one = metafunc.definition.get_closest_marker("one_database")
    metafunc.parametrize("database", databases[:1] if is_of_one else databases)


@pytest.fixture
def ledger_url(database, request, tmp_path):
    """The URL of a ledger; it is there only where the test asks for a `ledger` too."""
    if database == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    template = "template1"
    if "ledger" in request.fixturenames:
        template = request.getfixturevalue("postgresql_template")
    with postgresql_database(request.getfixturevalue("postgresql_folder"), template) as url:
        yield url


@pytest.fixture
def ledger(ledger_url):
    """A fresh ledger."""
    opened = quick_ledger(ledger_url)
    yield opened
    opened.close()
