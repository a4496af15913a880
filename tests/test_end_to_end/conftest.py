"""Yards in which the real processes run."""

import pytest

from tests.commands import warm_server
from tests.processes import ONE_CERTIFICATE, clean_environment
from tests.yards import open_yard


@pytest.fixture(scope="session")
def warm(tmp_path_factory, prefect_api):
    """The socket of a server that forks this session's commands, all of which use its Prefect server."""
    home = tmp_path_factory.mktemp("warm")
    with warm_server(
        home, clean_environment(home, PREFECT_API_URL=prefect_api, **ONE_CERTIFICATE)
    ) as address:
        yield address


@pytest.fixture
def yard(tmp_path, prefect_api, warm):
    """A yard whose runs use the session's Prefect server, and whose commands are forked."""
    return open_yard(tmp_path, prefect_api, warm)


@pytest.fixture
def cold_yard(tmp_path):
    """A yard on a machine where Prefect has never run: each run starts its own server."""
    return open_yard(tmp_path)
