"""A time zone is one that this machine knows by name."""

import pytest

from schemas.time_zone import known_zone


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Pacific/Kiritimati"])
def test_a_name_that_is_known_is_kept(name):
    assert known_zone(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "localtime",
        "posixrules",
        "Mars/Olympus",
        "Europe",
        "../etc/passwd",
        "/etc/passwd",
        "x\0y",
        "x" * 300,
    ],
)
def test_any_other_is_refused_with_its_name(name):
    with pytest.raises(ValueError, match="unknown time zone"):
        known_zone(name)
