"""A quote under way: its policies, its file, and which rows of it are looked at."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rules.scale import Scale
from schemas.run import RunOptions
from services.gateway import Gateway
from services.job_file import JobFile
from services.ledger import Ledger
from tasks.draw_rows import DrawnRows
from tasks.run import Halt


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy that the jobs are quoted under.

    Attributes:
        name: what it is called in the quote.
        scale: what jobs are weighed and priced with under it.
        is_whole: its own limits decide too; if not, it prices the jobs that the first candidate would send.
    """

    name: str
    scale: Scale
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Quoting:
    """A quote under way.

    Attributes:
        candidates: the policies, the run's own first.
        limit: only the first rows, at most this many.
        folder: where its file of job quotes goes.
        drawn: the rows that are looked at; None: all.
        asked: what a person or a schedule asked of the run.
        abandoned: the runs that nobody worked on when it began: a run closes their books before it reads its rows.
    """

    quote_id: str
    ledger: Ledger
    gateway: Gateway
    candidates: Sequence[Candidate]
    file: JobFile
    limit: int | None
    folder: Path
    drawn: DrawnRows | None = None
    asked: RunOptions = field(default_factory=lambda: RunOptions(None))
    abandoned: Collection[str] = frozenset()
    halt: Halt = field(default_factory=Halt)

    @property
    def scale(self) -> Scale:
        """The scale of the run's own policy."""
        return self.candidates[0].scale

    def weight(self, row_number: int) -> int:
        """For how many rows of the file a row stands; 0: it is not looked at."""
        return 1 if self.drawn is None else self.drawn.weights.get(row_number, 0)

    @property
    def job_quotes(self) -> Path:
        """The file with a quote for each row."""
        return self.folder / "job-quotes.parquet"
