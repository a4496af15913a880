"""A quote under way: which rows it looks at, and where its file goes."""

from pathlib import Path

from tasks.draw_rows import DrawnRows
from tasks.quoting import Candidate, Quoting
from tests.nights import Rows, a_run


def test_without_a_sample_each_row_stands_for_itself_and_with_one_for_those_like_it():
    run = a_run()
    whole = Quoting(
        "quote-1", None, run.gateway, [Candidate("own", run.scale)], Rows([]), None, Path("there")
    )
    assert whole.weight(7) == 1
    assert whole.scale is run.scale
    assert whole.job_quotes == Path("there/job-quotes.parquet")
    drawn = DrawnRows((), {7: 40}, 1)
    sampled = Quoting("quote-1", None, run.gateway, whole.candidates, whole.file, None, whole.folder, drawn)
    assert [sampled.weight(row) for row in (6, 7)] == [0, 40]
