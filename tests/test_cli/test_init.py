"""`weighbridge init [DIR]`: what it puts down can be used, and it overwrites nothing."""

from schemas.policy import policy_from_toml
from services.job_file import JobFile


def test_the_policy_and_the_job_file_that_it_puts_down_can_be_used(weighbridge, tmp_path):
    ended = weighbridge("init", "night")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split()[0] for line in ended.out.splitlines()[:4]] == ["made"] * 4
    assert "cd night" in ended.out
    assert policy_from_toml((tmp_path / "night/policy.toml").read_text(), "it").name == "default"
    file = JobFile(str(tmp_path / "night/jobs.parquet"))
    assert file.rows == 4
    assert file.ignored_columns == []
    assert (tmp_path / "night/data/incoming").is_dir()


def test_what_is_there_is_kept(weighbridge, tmp_path):
    (tmp_path / "policy.toml").write_text("mine")
    ended = weighbridge("init")
    assert ended.code == 0
    assert "kept  policy.toml" in ended.out
    assert (tmp_path / "policy.toml").read_text() == "mine"
    again = weighbridge("init").out.splitlines()[:4]
    assert [line.split()[0] for line in again] == ["kept"] * 4


def test_a_folder_that_cannot_be_made_is_2(weighbridge, tmp_path):
    (tmp_path / "file").write_text("")
    ended = weighbridge("init", "file")
    assert ended.code == 2
    assert "cannot be put down in" in ended.sentence
