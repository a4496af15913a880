"""The start of a run: what warns, and what refuses before anything is counted."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import BadInput, NoJobs
from schemas.model_facts import ModelFacts
from schemas.run import RunOptions
from services.ledger.look_up import latest_runs
from tasks import start_run as start_run_module
from tasks.check_models import why_not_callable
from tasks.start_run import job_file, start_run
from tests.fakes import Listing
from tests.nights import a_run, with_models_checked
from tests.strategies import policy


def start(facts, mode="messages"):
    return asyncio.run(with_models_checked(a_run(gateway=Listing(facts), mode=mode)))


def ends_in(lifecycle="active", **after):
    return ModelFacts("claude-sonnet-5-5", lifecycle, datetime.now(UTC) + timedelta(**after))


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (None, ModelFacts("claude-sonnet-5-5", "active")),
        (None, ends_in(days=31)),
        ("claude-sonnet-5-5 retires on 20", ends_in(days=29)),
        ("claude-sonnet-5-5 is deprecated and retires on 20", ends_in("deprecated", days=90)),
        ("claude-sonnet-5-5 is deprecated and was to retire on 20", ends_in("deprecated", days=-1)),
        ("claude-sonnet-5-5 is deprecated; choose", ModelFacts("claude-sonnet-5-5", "deprecated")),
    ],
)
def test_a_model_that_nears_its_end_warns_with_the_date(caplog, words, facts):
    with caplog.at_level(logging.WARNING, "weighbridge"):
        start(facts)
    if words is None:
        assert caplog.messages == []
    else:
        [message] = caplog.messages
        assert words in message
        assert facts.retires_at is None or f"{facts.retires_at:%Y-%m-%d}" in message


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        ("before a batch would surely have ended", ends_in(hours=23)),
        ("before a batch would surely have ended", ends_in("deprecated", days=-1)),
        ("does not answer in batches", ModelFacts("claude-sonnet-5-5", "active", batch=False)),
    ],
)
def test_a_model_that_no_batch_can_count_on_is_refused_in_batches_only(words, facts):
    with pytest.raises(BadInput, match=words):
        start(facts, "batches")
    assert start(facts).models.callable["claude-sonnet-5-5"] is facts


def test_a_model_that_outlives_a_batch_is_used_in_one():
    assert "claude-sonnet-5-5" in start(ends_in(hours=25), "batches").models.callable


def test_a_retired_model_is_refused():
    with pytest.raises(BadInput, match="retired"):
        start(ModelFacts("claude-sonnet-5-5", "retired"))


def test_a_model_that_the_policy_pins_jobs_to_is_checked_like_that_of_a_route():
    def pinned(lifecycle):
        facts = ModelFacts("claude-opus-4-8", lifecycle)
        run = a_run(gateway=Listing(facts), jobs={"model": "claude-opus-4-8"})
        return asyncio.run(with_models_checked(run)).models

    assert "claude-opus-4-8" in pinned("active").callable
    with pytest.raises(BadInput, match="pins jobs to claude-opus-4-8, which cannot be used"):
        pinned("retired")


def test_a_pin_to_a_listed_model_is_judged_without_a_call():
    run = start(ModelFacts("claude-opus-4-8", "active"))
    assert asyncio.run(why_not_callable(run.gateway, run.models, "claude-opus-4-8")) is None


def opened(**options):
    async def enter():
        async with start_run(RunOptions(**options)):
            pytest.fail("it started")

    asyncio.run(enter())


@pytest.fixture
def nothing_is_asked(monkeypatch):
    """No gateway is opened, so nothing can be counted."""
    monkeypatch.setattr(start_run_module, "open_gateway", lambda *_: pytest.fail("the API was asked"))


@pytest.mark.usefixtures("nothing_is_asked")
def test_results_that_cannot_be_written_are_refused_before_anything_is_counted(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    for results in ("/proc/results", in_the_way / "results"):
        with pytest.raises(BadInput, match="Nothing was"):
            opened(jobs=None, ledger=f"sqlite:///{tmp_path}/ledger.db", results=str(results))


@pytest.mark.usefixtures("nothing_is_asked")
def test_a_run_that_would_send_only_what_was_approved_is_not_begun_where_nothing_is(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    with pytest.raises(NoJobs, match="No review is approved"):
        opened(jobs=None, resubmit_approved=True, ledger=url, results=str(tmp_path / "results"))
    assert latest_runs(url, 5) == []


@pytest.mark.parametrize(
    ("asked", "policy_says", "parked_in", "mode"),
    [
        (None, "messages", ["batches"], "batches"),
        (None, "messages", ["messages", "batches"], "batches"),
        (None, "messages", ["messages"], "messages"),
        (None, "batches", ["messages"], "batches"),
        ("messages", "messages", ["batches"], "messages"),
    ],
)
def test_what_was_approved_at_the_price_of_a_batch_goes_out_in_one(
    tmp_path, monkeypatch, asked, policy_says, parked_in, mode
):
    file = tmp_path / "policy.toml"
    file.write_text(f'mode = "{policy_says}"\n{Path("data/policies/default.toml").read_text()}')
    monkeypatch.setattr(start_run_module.reviews, "modes_of_approved", lambda *_: set(parked_in))
    monkeypatch.setattr(start_run_module, "open_gateway", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(start_run_module, "checked_models", stop_with_the_mode)
    with pytest.raises(LookupError, match=f"^{mode}$"):
        opened(
            jobs=None,
            resubmit_approved=True,
            mode=asked,
            policy=str(file),
            ledger=f"sqlite:///{tmp_path}/ledger.db",
            results=str(tmp_path / "results"),
        )


async def stop_with_the_mode(_gateway, its_policy):
    raise LookupError(its_policy.mode.value)


@pytest.mark.usefixtures("nothing_is_asked")
@pytest.mark.parametrize(
    ("ledger", "results", "words"),
    [
        (None, "/srv/results", "a ledger at an absolute place"),
        ("sqlite:///ledger.db", "/srv/results", "a ledger at an absolute place"),
        ("sqlite:////srv/ledger.db", None, "an absolute results folder"),
        ("postgresql+psycopg://h/d", "results", "an absolute results folder"),
    ],
)
def test_a_deployment_keeps_nothing_in_a_folder_that_may_be_gone(monkeypatch, ledger, results, words):
    for name in ("WEIGHBRIDGE_LEDGER", "WEIGHBRIDGE_RESULTS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadInput, match=words):
        opened(jobs=None, ledger=ledger, results=results, deployment="deployment-id")


def test_the_job_file_of_a_run_is_that_of_the_day_on_which_it_was_to_begin(tmp_path):
    table = pa.table({"job_id": ["a"], "prompt": ["hello"]})
    (tmp_path / "2026-11-27").mkdir()
    for name in ("2026-11-26.parquet", "2026-11-27.parquet", "2026-11-27/more.parquet"):
        pq.write_table(table, tmp_path / name)
    moment = datetime(2026, 11, 26, 23, 30, tzinfo=UTC)
    options = RunOptions(jobs=f"{tmp_path}/{{date}}*", scheduled_for=moment)
    assert job_file(options, policy(time_zone="Europe/Berlin")).rows == 2
    assert job_file(options, policy()).rows == 1
    with pytest.raises(NoJobs, match=r"There is no file .*2026-11-28"):
        job_file(RunOptions(jobs=f"{tmp_path}/{{date}}*", scheduled_for=moment + timedelta(days=2)), policy())
    assert job_file(RunOptions(jobs=None), policy()) is None
