"""A Message Batch: as it stands on record, and as the provider sees it."""

from dataclasses import dataclass
from datetime import datetime

from schemas.job import RunId


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch that is not settled yet.

    Attributes:
        batch_id: ours.
        provider_batch_id: the provider's, or None while it is not known whether the provider has it.
        requests: how many items it was made of.
        prepared_at: when it went on record, before its creation was asked for.
        doubtful_since: since when its creation is over without an answer; None while its run may be at it.
    """

    batch_id: str
    run_id: RunId
    provider_batch_id: str | None
    requests: int
    prepared_at: datetime
    doubtful_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProviderBatch:
    """A Message Batch as the provider sees it.

    Attributes:
        ended: whether every item has its end; only then are there results.
        requests: how many items it has.
        counts: items by end; all but `processing` stay 0 until the batch has ended.
    """

    provider_batch_id: str
    ended: bool
    requests: int
    counts: dict[str, int]
    created_at: datetime
    expires_at: datetime | None
