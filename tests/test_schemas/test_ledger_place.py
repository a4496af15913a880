"""Where the ledger is, read without the libraries that open one."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from schemas.ledger_place import (
    default_ledger_url,
    ledger_url_of,
    named_ledger_url,
    plain_sqlite_file,
    with_driver,
)
from schemas.words import masked_url


def test_an_option_goes_before_the_setting_and_the_setting_before_the_default(monkeypatch):
    monkeypatch.delenv("WEIGHBRIDGE_LEDGER", raising=False)
    assert ledger_url_of(None) == default_ledger_url()
    monkeypatch.setenv("WEIGHBRIDGE_LEDGER", "sqlite:///there.db")
    assert ledger_url_of(None) == "sqlite:///there.db"
    assert ledger_url_of("sqlite:///here.db") == "sqlite:///here.db"


@pytest.mark.parametrize(
    "url", ["sqlite:///a.db", "sqlite:////tmp/a b.db", "sqlite:///a%20b.db", "sqlite:///../a.db"]
)
def test_a_plain_file_is_the_one_that_sqlalchemy_opens(url):
    assert plain_sqlite_file(url) == Path(make_url(url).database)


@pytest.mark.parametrize(
    "url",
    ["sqlite:///:memory:", "sqlite://", "sqlite:///a.db?mode=ro", "postgresql://host/a", "nonsense", ""],
)
def test_every_other_url_is_left_to_sqlalchemy(url):
    assert plain_sqlite_file(url) is None


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "PostgreSQL"])
@given(rest=st.text(max_size=30))
def test_an_address_as_other_tools_have_it_is_opened_with_psycopg(scheme, rest):
    assert with_driver(f"{scheme}://{rest}") == f"postgresql+psycopg://{rest}"


@given(
    st.one_of(
        st.text(),
        st.sampled_from(
            ["postgresql+psycopg://u:p@h/d", "postgresql+psycopg2://h/d", "sqlite:////a/postgres://b"]
        ),
    )
)
def test_every_other_address_stays_and_one_that_was_read_is_read_the_same_again(url):
    if not re.match("postgres(ql)?://", url, re.IGNORECASE):
        assert with_driver(url) == url
    assert with_driver(with_driver(url)) == with_driver(url)


def test_option_and_setting_are_read_alike(monkeypatch):
    url, read = "postgres://user:SECRET@host/db", "postgresql+psycopg://user:SECRET@host/db"
    assert ledger_url_of(url) == read
    monkeypatch.setenv("WEIGHBRIDGE_LEDGER", url)
    assert ledger_url_of(None) == named_ledger_url(None) == read
    assert masked_url(ledger_url_of(None)) == "postgresql+psycopg://user:***@host/db"
    monkeypatch.delenv("WEIGHBRIDGE_LEDGER")
    assert named_ledger_url(None) is None
