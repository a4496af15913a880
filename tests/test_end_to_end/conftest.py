"""Yards in which the real processes run, with one Prefect server for the whole session."""

import pytest

from tests.commands import warm_server
from tests.processes import clean_environment, prefect_server
from tests.yards import open_yard


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory):
    """The API address of a Prefect server that all runs of this session share."""
    home = tmp_path_factory.mktemp("prefect")
    with prefect_server(home, clean_environment(home)) as api:
        yield api


@pytest.fixture(scope="session")
def warm(tmp_path_factory, prefect_api):
    """The socket of a server that forks this session's commands, all of which use its Prefect server."""
    home = tmp_path_factory.mktemp("warm")
    with warm_server(home, clean_environment(home, PREFECT_API_URL=prefect_api)) as address:
        yield address


@pytest.fixture
def yard(tmp_path, prefect_api, warm):
    """A yard whose runs use the session's Prefect server, and whose commands are forked."""
    return open_yard(tmp_path, prefect_api, warm)


@pytest.fixture
def cold_yard(tmp_path):
    """A yard on a machine where Prefect has never run: each run starts its own server."""
    return open_yard(tmp_path)
