"""Where things are when nobody says otherwise. Each is an environment variable: WEIGHBRIDGE_RESULTS and so on."""

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import BadInput

DEFAULT_POLICY = Path(__file__).resolve().parents[1] / "data" / "policies" / "default.toml"


class Settings(BaseSettings):
    """The installation's defaults. Where the ledger is, WEIGHBRIDGE_LEDGER, is read by `schemas.ledger_place`.

    An empty variable is as one that is not set, as with WEIGHBRIDGE_LEDGER.

    Attributes:
        results: the folder that a run's results go to, each run into its own.
        policy: a policy file.
        review_url: the address of the review page, as the people who read reports reach it; None: none is known.
        lease_seconds: how long a run's process counts as alive after its last beat; whoever sends renews it.
    """

    model_config = SettingsConfigDict(env_prefix="WEIGHBRIDGE_", env_ignore_empty=True)

    results: Path = Path("data/results")
    policy: Path = DEFAULT_POLICY
    review_url: str | None = None
    lease_seconds: int = Field(default=300, ge=3, le=86_400)

    def __init__(self) -> None:
        """Read them.

        Raises:
            BadInput: one has a value that it cannot have.
        """
        try:
            super().__init__()
        except ValidationError as error:
            prefix = self.model_config["env_prefix"]
            wrong = "; ".join(
                f"{prefix}{str(found['loc'][0]).upper()} {found['input']!r}: {found['msg']}"
                for found in error.errors()
            )
            raise BadInput(
                f"In the environment: {wrong}. Correct or unset it; nothing was counted or sent."
            ) from None
