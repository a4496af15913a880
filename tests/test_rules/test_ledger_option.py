"""The option that leads a command of a hint to its ledger."""

import shlex

from hypothesis import given
from hypothesis import strategies as st

from rules.ledger_option import ledger_option


@given(st.text(min_size=1))
def test_a_shell_reads_the_ledger_as_it_is_whatever_its_path(path):
    assert shlex.split(ledger_option(f"sqlite:///{path}")) == ["--ledger", f"sqlite:///{path}"]


def test_a_ledger_whose_password_is_masked_is_named_by_the_setting_that_has_it():
    masked = "postgresql+psycopg://weighbridge:***@db/weighbridge"
    assert ledger_option(masked) == ' --ledger "$WEIGHBRIDGE_LEDGER"'


def test_a_ledger_that_is_not_known_is_not_named():
    assert ledger_option("") == ""
