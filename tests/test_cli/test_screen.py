"""Figures for people, and a word where there is none."""

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.screen import print_table, screen, shown_most, shown_tokens, shown_usd


def test_a_figure_is_shown_with_its_unit_or_separators():
    assert shown_usd(1_234_567_000_000) == "$1,234.57"
    assert shown_usd(0) == "$0.000000"
    assert (shown_tokens(1_234_567), shown_tokens(0)) == ("1,234,567", "0")


def test_a_missing_figure_is_an_empty_cell_or_a_word():
    assert shown_most(1_234_561_000_000) == "$1,234.57"
    assert (shown_usd(None), shown_most(None), shown_tokens(None)) == ("", "", "")
    assert (shown_usd(None, "none"), shown_tokens(None, "not counted")) == ("none", "not counted")


def test_what_goes_into_a_file_has_a_width_of_its_own(capsys):
    assert screen(77).width == 77


_MODELS = (
    ("claude-haiku-5-5", "86", "58,664", "$0.018623", "lower max_tokens to 20,480: worst case 0.499 USD"),
    ("claude-sonnet-5-5", "19", "71,372", "$1,204.18", ""),
)
_HEADINGS = ("model", ">jobs", ">input counted", ">worst case", "what would let it pass")


def _printed(width: int, headings: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    console = Console(width=width, file=io.StringIO())
    print_table(console, headings, rows)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 28, 40, 66, 80, 100, 200])
def test_no_figure_and_no_id_is_cut_however_narrow_the_terminal_is(width):
    shown = _printed(width, _HEADINGS, _MODELS)
    assert "…" not in shown
    assert all(cell in shown for row in _MODELS for cell in row[:4])
    assert max(map(len, shown.splitlines())) <= width


def test_a_terminal_that_is_too_narrow_for_a_table_shows_each_row_by_itself_without_empty_cells():
    assert [line.rstrip() for line in _printed(40, _HEADINGS, _MODELS).splitlines()] == [
        "model: claude-haiku-5-5",
        "  jobs: 86; input counted: 58,664",
        "  worst case: $0.018623",
        "  what would let it pass: lower",
        "  max_tokens to 20,480: worst case 0.499",
        "  USD",
        "",
        "model: claude-sonnet-5-5",
        "  jobs: 19; input counted: 71,372",
        "  worst case: $1,204.18",
        "",
    ]


_TEXTS = st.lists(st.text("xy[]/", min_size=1, max_size=60), max_size=4).map(" ".join)


@given(width=st.integers(8, 120), rows=st.lists(st.tuples(_TEXTS, _TEXTS, _TEXTS), max_size=5))
def test_all_of_every_cell_is_printed_at_any_width(width, rows):
    shown = _printed(width, ("first", ">second", "third"), rows)
    for letter in "xy[]/":
        assert shown.count(letter) == sum(cell.count(letter) for row in rows for cell in row)
