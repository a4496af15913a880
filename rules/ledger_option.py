"""The option that leads a command of a hint to the ledger that the hint is about."""

from shlex import quote

#: stands for a password in the address of a ledger as it is shown
_MASK = "***"


def ledger_option(ledger: str) -> str:
    """The option with a blank before it; where the address has a secret, by the setting that has it too.

    Args:
        ledger: its URL, as it may be shown; "": none is known, and there is no option.
    """
    if not ledger:
        return ""
    if _MASK in ledger and not ledger.startswith("sqlite:"):
        return ' --ledger "$WEIGHBRIDGE_LEDGER"'
    return f" --ledger {quote(ledger)}"
