"""Policy files: the one that comes along is a policy, and one that cannot be read is a sentence."""

from pathlib import Path

import pytest

from schemas.errors import BadInput
from schemas.settings import DEFAULT_POLICY
from services.policy_file import read_policy


def test_the_default_policy_is_a_policy():
    default = read_policy(DEFAULT_POLICY)
    assert [route.up_to_input_tokens for route in default.routes] == [1_500, 8_000, 200_000]
    assert (default.cap("run"), default.cap("day")) == (100 * 10**9, 250 * 10**9)
    assert default.limits.messages_per_minute is None


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_policy_file_that_cannot_be_read_is_a_sentence(tmp_path, content):
    path = tmp_path / "policy.toml"
    if content:
        path.write_bytes(content)
    for place in (path, Path(tmp_path)):
        with pytest.raises(BadInput, match="cannot be read"):
            read_policy(place)
