"""Pages have every item once, in its order, and none has more than a statement may name."""

from itertools import chain

import pytest

from services.ledger.pages import PAGE, pages


@pytest.mark.parametrize("number", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_each_item_is_on_one_page(number):
    found = list(pages(range(number)))
    assert list(chain.from_iterable(found)) == list(range(number))
    assert all(0 < len(page) <= PAGE for page in found)
    assert len(found) == -(-number // PAGE)
