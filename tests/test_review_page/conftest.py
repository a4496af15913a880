"""What the tests of the page share."""

from functools import partial
from unittest import mock

import jinja2
import pytest
from starlette_admin import base

from tests.test_review_page.page import browser_of, log_in, park, token_of


class _Compiled(jinja2.BytecodeCache):
    """Templates as Jinja has compiled them."""

    def __init__(self):
        self._codes = {}

    def load_bytecode(self, bucket):
        if code := self._codes.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket):
        self._codes[bucket.key] = bucket.bytecode_to_string()


@pytest.fixture(scope="session", autouse=True)
def _templates_compiled_once():
    """Nearly every test has a page of its own, and most of its time would go into compiling the same templates again."""
    with mock.patch.object(base, "Environment", partial(base.Environment, bytecode_cache=_Compiled())):
        yield


@pytest.fixture
def ledger_url(request, tmp_path):
    """On SQLite, but where a test asks for both."""
    if getattr(request, "param", "sqlite") == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def browser(ledger):
    """A browser whose reviewer has said who they are, over four pending reviews."""
    park(ledger, 4)
    with browser_of(ledger) as client:
        assert log_in(client).status_code == 303
        client.token = token_of(client.get("/reviews/list"))
        yield client
