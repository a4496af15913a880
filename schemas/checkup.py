"""Whether an installation is ready for a night: what each check found, and what to do."""

from enum import StrEnum

from pydantic import BaseModel, computed_field


class CheckState(StrEnum):
    """How one check of an installation ended."""

    OK = "ok"
    #: a night would fail, or do something else than was asked
    OFF = "off"
    #: what it needs is not there; another check says why, or it is not needed
    NOT_MADE = "not_made"


class Diagnosis(BaseModel):
    """What one check of an installation found.

    Attributes:
        name: the check.
        state: how it ended.
        found: what was found, one sentence without its full stop.
        what_to_do: a person's next step; empty when there is none. What is worth a step is not always off.
    """

    name: str
    state: CheckState
    found: str
    what_to_do: str = ""


class Checkup(BaseModel):
    """All checks of an installation. `doctor --json` prints exactly this."""

    checks: list[Diagnosis]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ok(self) -> bool:
        """Whether nothing is off."""
        return all(check.state is not CheckState.OFF for check in self.checks)
