"""Keys of artifacts: what Prefect takes, one for each deployment."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.artifact_key import artifact_key


@given(st.text(max_size=100))
def test_every_name_of_a_deployment_makes_a_key_that_prefect_takes(name):
    assert re.fullmatch("[a-z0-9-]+", artifact_key("weighbridge-report", name))


@given(st.text(max_size=20), st.text(max_size=20))
def test_two_deployments_never_share_a_page(one, other):
    assert (artifact_key("report", one) == artifact_key("report", other)) is (one == other)


@pytest.mark.parametrize(
    ("name", "key"),
    [(None, "report"), ("nightly", "report-nightly"), ("on-demand", "report-on-demand")],
)
def test_a_plain_name_stands_in_the_key_as_it_is(name, key):
    assert artifact_key("report", name) == key


def test_a_name_of_other_letters_keeps_what_can_be_read_of_it():
    assert artifact_key("report", "Night (EU)").startswith("report-night-eu-")
