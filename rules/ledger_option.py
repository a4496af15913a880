"""The option that leads a command of a hint to the ledger that the hint is about."""

from shlex import quote


def ledger_option(ledger: str) -> str:
    """The option with a blank before it; none where the ledger's password is masked, so that it would lead nowhere.

    Args:
        ledger: its URL, as it may be shown.
    """
    return f" --ledger {quote(ledger)}" if ledger.startswith("sqlite:") else ""
