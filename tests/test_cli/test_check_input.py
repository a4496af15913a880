"""Plain mistakes in a job file or its policy, before anything is started."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.check_input import check_input
from schemas.errors import BadInput, NoJobs


@pytest.fixture
def jobs(tmp_path):
    (tmp_path / "x.csv").write_text("ticket,body\n1,x\n")
    return str(tmp_path / "x.csv")


def test_options_name_the_columns_in_place_of_the_policy(jobs):
    check_input(jobs, None, "ticket", "body")
    check_input(jobs, None, "ticket", "Summarise: {body}")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((None, None), "--id-column ticket"),
        (("ticket", None), "--prompt-column body"),
        (("ticket", "Summarise: {text}"), "has no column text, a column of the prompt's template"),
        (("ticket", "Summarise: {body.x}"), "In the run's options: jobs: the template has {body.x}"),
    ],
)
def test_what_does_not_fit_is_a_sentence(jobs, options, words):
    with pytest.raises(BadInput) as refused:
        check_input(jobs, None, *options)
    assert words in str(refused.value)


def test_the_columns_of_the_policy_are_looked_at(jobs, tmp_path):
    policy = tmp_path / "p.toml"
    start = 'name = "p"\n[[routes]]\nname = "a"\nmodel = "claude-haiku-5-5"\nup_to_input_tokens = 9\n'
    policy.write_text(f'{start}[jobs]\nid = "ticket"\nprompt = "body"\n[results]\nkeep = ["country"]\n')
    with pytest.raises(BadInput, match="has no column country"):
        check_input(jobs, policy, None, None)


def test_the_input_is_checked_with_the_day_in_its_name_and_the_policy_before_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    pq.write_table(pa.table({"job_id": ["a"], "prompt": ["hello"]}), tmp_path / f"{today}.parquet")
    check_input("{date}.parquet", None, None, None)
    with pytest.raises(NoJobs, match="There is no file night-20"):
        check_input("night-{date}.parquet", None, None, None)
    with pytest.raises(BadInput, match="There is no policy file"):
        check_input("{date}.parquet", tmp_path / "none.toml", None, None)
