"""`--move-done` on the real command: a night's file is moved, and a second night has nothing to read."""

import json

import pytest

pytestmark = pytest.mark.prefect


def put(folder, name, *rows):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def there(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_done_with_is_moved_and_a_row_to_be_fixed_keeps_its_file_for_one_more_night(yard):
    incoming, done = yard.folder / "incoming", yard.folder / "done"
    put(incoming, "a.jsonl", {"job_id": "1", "prompt": "one [[output_tokens=5]]"})
    put(incoming, "b.jsonl", {"job_id": "1", "prompt": "another"}, {"job_id": "2", "prompt": "two"})
    options = ("--move-done", "done", "--policy", yard.policy())
    with yard.simulator():
        refused = yard.weighbridge("run", "incoming", "--move-done", "incoming/done")
        assert (refused.code, "would be read again" in refused.sentence) == (2, True)
        first = yard.run("incoming", *options, code=4)
        assert (first["jobs"]["rejected"], first["rejected_before"]) == (1, 0)
        assert "a.jsonl too, and this row is of incoming/b.jsonl" in first["rows_to_mend"][0]["detail"]
        assert there(incoming) == ["a.jsonl", "b.jsonl"]
        second = yard.run("incoming", *options)
        assert (second["jobs"]["rejected"], second["rejected_before"]) == (1, 1)
        assert (there(incoming), there(done)) == ([], ["a.jsonl", "b.jsonl"])
        put(incoming, "a.jsonl", {"job_id": "3", "prompt": "three"})
        yard.run("incoming", *options)
    assert there(done) == ["a-2.jsonl", "a.jsonl", "b.jsonl"]
    assert json.loads((done / "a-2.jsonl").read_text())["job_id"] == "3"
    yard.assert_ledger_is_true()
