"""Where the ledger is, read without the libraries that open one."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from schemas.ledger_place import default_ledger_url, ledger_url_of, plain_sqlite_file
from schemas.settings import Settings


def test_an_option_goes_before_the_setting_and_the_setting_before_the_default(monkeypatch):
    monkeypatch.delenv("WEIGHBRIDGE_LEDGER", raising=False)
    assert ledger_url_of(None) == default_ledger_url() == Settings().ledger_url
    monkeypatch.setenv("WEIGHBRIDGE_LEDGER", "sqlite:///there.db")
    assert ledger_url_of(None) == Settings().ledger_url == "sqlite:///there.db"
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
