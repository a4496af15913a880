"""Policy files: TOML in, as a policy."""

from pathlib import Path

from schemas.errors import BadInput
from schemas.policy import Policy, policy_from_toml


def read_policy(path: Path) -> Policy:
    """The policy in a TOML file.

    Raises:
        BadInput: it cannot be read, or is wrong: each field with the reason.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"The policy file {path} cannot be read ({type(error).__name__}). Nothing was sent."
        ) from error
    return policy_from_toml(text, str(path))
