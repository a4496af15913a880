"""Policy files: the one that comes along is a policy, and one that cannot be read is a sentence."""

import pytest

from schemas.errors import BadInput
from schemas.settings import DEFAULT_POLICY
from services.policy_file import read_policy


def test_the_default_policy_is_a_policy():
    default = read_policy(DEFAULT_POLICY)
    assert [route.up_to_input_tokens for route in default.routes] == [1_500, 8_000, 200_000]
    assert (default.cap("run"), default.cap("day")) == (100 * 10**9, 250 * 10**9)
    assert default.limits.messages_per_minute is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none.toml", "There is no policy file"),
        ("folder", "cannot be read (Is a directory)"),
        ("bytes.toml", "it is no text in UTF-8"),
    ],
)
def test_a_policy_file_that_cannot_be_read_is_a_sentence(tmp_path, name, sentence):
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput) as refused:
        read_policy(tmp_path / name)
    assert sentence in str(refused.value)
    assert name in str(refused.value)
