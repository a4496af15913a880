"""Figures for people, and a word where there is none."""

from cli.screen import screen, shown_most, shown_tokens, shown_usd


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
