"""What the tests of reviews share."""

import pytest

from tests.strategies import begin
from tests.test_ledger.test_reviews.table import waiting


@pytest.fixture
def three(ledger):
    """The ids of three reviews that wait."""
    begin(ledger)
    return waiting(ledger)
