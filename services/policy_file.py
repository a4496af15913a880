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
    except FileNotFoundError as error:
        raise BadInput(
            f"There is no policy file {path}. Name one with --policy or WEIGHBRIDGE_POLICY; `weighbridge init` puts one "
            "down to begin with. Nothing was sent."
        ) from error
    except OSError as error:
        raise BadInput(
            f"The policy file {path} cannot be read ({error.strerror}). Nothing was sent."
        ) from error
    except UnicodeDecodeError as error:
        raise BadInput(
            f"The policy file {path} cannot be read: it is no text in UTF-8. Save it as that; nothing was sent."
        ) from error
    return policy_from_toml(text, str(path))
