"""Where things are when nobody says otherwise. Each is an environment variable: WEIGHBRIDGE_LEDGER and so on."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.ledger_place import default_ledger_url

DEFAULT_POLICY = Path(__file__).resolve().parents[1] / "data" / "policies" / "default.toml"


class Settings(BaseSettings):
    """The installation's defaults.

    Attributes:
        ledger: a SQLAlchemy URL; None: data/ledger.db below the current folder.
        results: the folder that a run's results go to, each run into its own.
        policy: a policy file.
        review_url: the address of the review page, as the people who read reports reach it; None: none is known.
        lease_seconds: how long a run's process counts as alive after its last beat; whoever sends renews it.
    """

    model_config = SettingsConfigDict(env_prefix="WEIGHBRIDGE_")

    ledger: str | None = None
    results: Path = Path("data/results")
    policy: Path = DEFAULT_POLICY
    review_url: str | None = None
    lease_seconds: int = Field(default=300, ge=3, le=86_400)

    @property
    def ledger_url(self) -> str:
        return self.ledger or default_ledger_url()
