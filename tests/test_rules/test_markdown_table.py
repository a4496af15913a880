"""A table in Markdown has a line for its headings, one that says so, and one for each row."""

from rules.markdown_table import markdown_table


def test_a_pipe_in_a_cell_does_not_end_it():
    table = markdown_table(("tool", "tokens"), [("a|b", "7"), ("", "1,000")])
    assert table.splitlines() == ["| tool | tokens |", "| --- | --- |", "| a\\|b | 7 |", "|  | 1,000 |"]


def test_a_table_without_rows_has_its_headings():
    assert markdown_table(("rows",), []) == "| rows |\n| --- |"
