"""What the tests of the page share."""

import pytest

from tests.test_review_page.page import browser_of, log_in, park, token_of


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
