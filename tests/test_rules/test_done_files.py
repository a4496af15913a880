"""A job file is done with when it was read whole and no row of it is left."""

from hypothesis import given
from hypothesis import strategies as st

from rules.done_files import done_files
from schemas.row import RowFiles

SIZES = st.lists(st.integers(0, 6), min_size=1, max_size=6)


@given(SIZES, st.none() | st.integers(0, 40), st.data())
def test_a_file_is_done_with_exactly_when_all_its_rows_were_read_and_none_is_left(sizes, limit, data):
    of_row = [number for number, size in enumerate(sizes) for _ in range(size)]
    read = len(of_row) if limit is None else min(limit, len(of_row))
    left = data.draw(st.sets(st.sampled_from(range(read)))) if read else set()
    names = [f"file-{number}" for number in range(len(sizes))]
    files = RowFiles(names, [sum(sizes[: number + 1]) for number in range(len(sizes))])
    wanted = []
    for number, name in enumerate(names):
        rows = [row for row, of in enumerate(of_row) if of == number]
        if all(row < read and row not in left for row in rows) and (rows or files.ends[number] <= read):
            wanted.append(name)
    assert done_files(files, limit, sorted(left)) == wanted
    for row, of in enumerate(of_row):
        assert files.of_row(row) == names[of]
