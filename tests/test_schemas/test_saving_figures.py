"""The parts of a report about what a run did to save."""

import pytest
from pydantic import ValidationError

from schemas.saving_figures import CacheFigures, SharedFigures


def test_a_run_that_saved_nothing_says_so_in_figures():
    assert CacheFigures().model_dump(mode="json") == {
        "written_tokens": 0,
        "read_tokens": 0,
        "hit_share": None,
        "saved_usd": "0",
        "prefixes": [],
    }
    assert SharedFigures().model_dump(mode="json") == {"jobs": 0, "saved_usd": "0"}


def test_a_figure_that_nobody_knows_is_refused():
    with pytest.raises(ValidationError):
        CacheFigures(read=1)
