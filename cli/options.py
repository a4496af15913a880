"""Options that several commands have, said once."""

from pathlib import Path
from typing import Annotated

import typer

from schemas.outcome import Mode

PolicyOption = Annotated[Path | None, typer.Option(help="The policy file (TOML).")]
LedgerOption = Annotated[str | None, typer.Option(help="A SQLAlchemy URL, such as sqlite:///ledger.db.")]
ResultsOption = Annotated[Path | None, typer.Option(help="The folder for results.")]
RunBudgetOption = Annotated[
    str | None, typer.Option(help="The most this run may hold and spend, in USD, such as 12.50.")
]
ModeOption = Annotated[
    Mode | None, typer.Option(help="messages: now; batches: half the price, within 24 hours.")
]
SimulateOption = Annotated[
    bool, typer.Option("--simulate", help="Against a local simulator: no key, no money.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")
]
