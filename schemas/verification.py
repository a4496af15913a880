"""Whether the ledger is true: what each check of it found."""

from pydantic import BaseModel, computed_field


class CheckFinding(BaseModel):
    """What one check of the ledger found.

    Attributes:
        name: the check.
        ok: whether what it checks holds.
        found: what was found, with up to three ids as examples.
        what_to_do: a person's next step; empty when there is none. What is worth a step is not always a fault.
    """

    name: str
    ok: bool
    found: str
    what_to_do: str = ""


class Verification(BaseModel):
    """All checks of one ledger. `verify --json` prints exactly this."""

    checks: list[CheckFinding]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)
