"""The seven filters as one thing."""

import inspect
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.review.review_options import filter_of, reviewer_name, with_filter
from schemas.errors import BadInput
from schemas.outcome import Reason
from schemas.review import Filter
from schemas.review_tables import REVIEW_STATUSES
from tests.strategies import words

seven = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([*REVIEW_STATUSES, "all"]),
        "reason": st.sampled_from(sorted(Reason)),
        "group": words,
        "model": words,
        "over": st.decimals(0, 999, places=3).map("{:f}".format),
        "run": words,
        "search": words,
    },
)


@with_filter
def command(which: Filter, own: int = 1, *, flag: bool = False) -> None:
    """Say what came."""
    came.append((which, own, flag))


came = []


@given(seven, st.integers())
def test_a_command_gets_them_as_one_filter_next_to_its_own_options(options, own):
    came.clear()
    command(**options, own=own)
    assert came == [(filter_of(**options), own, False)]


@given(seven)
def test_each_option_asks_for_exactly_its_own_field(options):
    which = filter_of(**options)
    status = options.get("status", "pending")
    assert which == Filter(
        status=None if status == "all" else status,
        reason=options.get("reason"),
        group=options.get("group"),
        model=options.get("model"),
        over_usd=Decimal(options["over"]) if "over" in options else None,
        run_id=options.get("run"),
        search=options.get("search"),
    )


def test_the_signature_has_seven_options_in_place_of_the_filter():
    names = ["status", "reason", "group", "model", "over", "run", "search", "own", "flag"]
    assert list(inspect.signature(command).parameters) == names
    assert list(command.__annotations__) == names
    assert command.__doc__ == "Say what came."


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"status": "lost"}, "no status 'lost'"),
        ({"status": ""}, "no status"),
        ({"reason": "too_dear"}, "no reason 'too_dear'"),
        ({"reason": ""}, "no reason"),
        ({"over": "much"}, "--over 'much'"),
    ],
)
def test_a_status_a_reason_or_an_amount_that_does_not_exist_is_bad_input(options, word):
    with pytest.raises(BadInput, match=word):
        filter_of(**options)


def test_who_decides_is_the_option_then_the_environment_then_the_user(monkeypatch):
    monkeypatch.setenv("WEIGHBRIDGE_REVIEWER", "ben")
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    assert reviewer_name("ana") == "ana"
    assert reviewer_name(None) == "ben"
    monkeypatch.delenv("WEIGHBRIDGE_REVIEWER")
    assert reviewer_name(None) == "root"


def test_nobody_and_a_blank_name_decide_nothing(monkeypatch):
    def nobody():
        raise OSError

    monkeypatch.delenv("WEIGHBRIDGE_REVIEWER", raising=False)
    monkeypatch.setattr("getpass.getuser", nobody)
    with pytest.raises(BadInput, match="--by or WEIGHBRIDGE_REVIEWER"):
        reviewer_name(None)
    with pytest.raises(BadInput, match="blank"):
        reviewer_name("  ")
