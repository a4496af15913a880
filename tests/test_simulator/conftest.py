"""The simulator of a test module, by its `PLAN`, and the SDK as its client. A module with other wishes has its own."""

import pytest

from tests.test_simulator.calls import sdk, serving


@pytest.fixture(scope="module")
def simulator(request, tmp_path_factory):
    with serving(tmp_path_factory, request.module.PLAN) as running:
        yield running


@pytest.fixture(scope="module")
def client(simulator):
    with sdk(simulator) as made:
        yield made
