"""A Message Batch: as it stands on record, and as the provider sees it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from schemas.job import RunId
from schemas.report import RunReport

#: how long the provider keeps the results of a batch, from its creation (source: Anthropic batch processing page)
RESULTS_KEPT = timedelta(days=29)


@dataclass(frozen=True, slots=True)
class BatchPlace:
    """Where a batch is made: nobody else can find it.

    Attributes:
        endpoint: the API's address; None: not on record.
        workspace: as the API names it; None: it was not named.
    """

    endpoint: str | None = None
    workspace: str | None = None

    def contradicts(self, other: "BatchPlace") -> bool:
        """Whether the two are surely not the same place."""
        return any(
            one is not None and another is not None and one != another
            for one, another in ((self.endpoint, other.endpoint), (self.workspace, other.workspace))
        )

    def is_shown_by(self, other: "BatchPlace") -> bool:
        """Whether what is not found at the other place is not to be found at this one: all that is known is equal."""
        return self.endpoint in (None, other.endpoint) and self.workspace in (None, other.workspace)

    def __str__(self) -> str:
        workspace = f", workspace {self.workspace}" if self.workspace else ""
        return f"{self.endpoint or 'an unknown endpoint'}{workspace}"


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch that is not settled yet.

    Attributes:
        batch_id: ours.
        provider_batch_id: the provider's, or None while it is not known whether the provider has it.
        requests: how many items it was made of.
        prepared_at: when it went on record, before its creation was asked for.
        doubtful_since: since when its creation is over without an answer; None while its run may be at it.
        missing_since: since when the provider has said that it has no such batch; None: it has it.
        given_up_at: when its items were left to a person; None: they were not.
        endpoint: where it was made.
        workspace: in which workspace.
    """

    batch_id: str
    run_id: RunId
    provider_batch_id: str | None
    requests: int
    prepared_at: datetime
    doubtful_since: datetime | None = None
    missing_since: datetime | None = None
    given_up_at: datetime | None = None
    endpoint: str | None = None
    workspace: str | None = None

    @property
    def place(self) -> BatchPlace:
        """Where it was made."""
        return BatchPlace(self.endpoint, self.workspace)


@dataclass(frozen=True, slots=True)
class ProviderBatch:
    """A Message Batch as the provider sees it.

    Attributes:
        ended: whether every item has its end; only then are there results.
        requests: how many items it has.
        counts: items by end; all but `processing` stay 0 until the batch has ended.
        results_url: where its results are; None: it names none, as before it has ended.
        ended_at: when it had its last answer; None: it does not say, as before it has ended.
    """

    provider_batch_id: str
    ended: bool
    requests: int
    counts: dict[str, int]
    created_at: datetime
    expires_at: datetime | None
    results_url: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One line of a batch's results.

    Attributes:
        raw: as it came, without the line's end.
        found: its JSON; None: it is not JSON, as when the stream was cut within it.
        custom_id: whose it is; None: that cannot be seen.
    """

    raw: str
    found: Any
    custom_id: str | None


@dataclass(frozen=True, slots=True)
class Collection:
    """What one round of collecting came to.

    Attributes:
        reports: of the runs that are finished now.
        still_out: batches that are not settled yet, those of other places included.
        elsewhere: those of them that belong to another endpoint or workspace, so that waiting does not help.
        nothing_left: nothing was there to be collected, and nobody was asked.
    """

    reports: list[RunReport] = field(default_factory=list)
    still_out: int = 0
    elsewhere: int = 0
    nothing_left: bool = False
