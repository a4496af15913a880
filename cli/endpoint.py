"""Which API a command talks to, and what it needs for that."""

import os

from schemas.errors import BadInput

#: what the SDK takes credentials from; any of them is enough
_CREDENTIALS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_PROFILE",
    "ANTHROPIC_IDENTITY_TOKEN",
    "ANTHROPIC_IDENTITY_TOKEN_FILE",
)


def need_credentials() -> None:
    """Make sure that the API can be called as the environment says.

    Raises:
        BadInput: there is neither a key nor an address.
    """
    if any(os.environ.get(name) for name in _CREDENTIALS):
        return
    if not os.environ.get("ANTHROPIC_BASE_URL"):
        raise BadInput(
            "There is no API key. Set ANTHROPIC_API_KEY to use the real API, ANTHROPIC_BASE_URL to use another "
            "endpoint, or add --simulate to `run` to try it without either. Nothing was counted or sent."
        )
    # an endpoint of one's own may need no key; the client wants one
    os.environ["ANTHROPIC_API_KEY"] = "none"
