"""The models of a run at its start: what warns, and what refuses."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from schemas.errors import BadInput
from schemas.model_facts import ModelFacts
from tasks.check_models import why_not_callable
from tests.fakes import Listing
from tests.nights import a_run, with_models_checked


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


def test_a_pin_to_a_listed_model_is_judged_without_a_call():
    run = start(ModelFacts("claude-opus-4-8", "active"))
    assert asyncio.run(why_not_callable(run.gateway, run.models, "claude-opus-4-8")) is None
