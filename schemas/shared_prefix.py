"""Caching: a prefix that jobs of a run share, how it is marked, and what its marks came to."""

from dataclasses import dataclass

from schemas.payload.payload import CacheTtl


@dataclass(frozen=True, slots=True)
class SharedPrefix:
    """The beginning of a request that several jobs of a run have in common under one model.

    Attributes:
        key: of the prefix and its model.
        where: where it ends; see `schemas.payload.prefix.PromptCut`.
        tokens: its weight.
        jobs: how many begin with it.
    """

    key: str
    model: str
    where: str
    tokens: int
    jobs: int


@dataclass(frozen=True, slots=True)
class PlannedPrefix:
    """A prefix that is marked in a run: one job writes it, the others read it once that one is answered.

    Attributes:
        prime_ttl: how long the entry of the first job lives.
        ttl: how long an entry lives that another job has to write.
        low_nano_usd, high_nano_usd: what it is expected to save at the low and the high end of the share of hits.
        prime_nano_usd: by how much the first job is dearer than without its mark; the savings have it in them.
    """

    prefix: SharedPrefix
    prime_ttl: CacheTtl
    ttl: CacheTtl
    low_nano_usd: int
    high_nano_usd: int
    prime_nano_usd: int = 0


@dataclass(frozen=True, slots=True)
class CacheMark:
    """A cache marker that a job is sent with.

    Attributes:
        key: of its prefix.
        where: the block it stands on.
        is_prime: the job is the first of its prefix, so that others wait for its answer.
        tokens: weight of the prefix.
    """

    key: str
    where: str
    ttl: CacheTtl
    is_prime: bool
    tokens: int


@dataclass(frozen=True, slots=True)
class HitRange:
    """Between which shares of the marked tokens are read, in thousandths, and how many runs that was seen in."""

    low: int
    high: int
    runs: int = 0


@dataclass(frozen=True, slots=True)
class PrefixSums:
    """What the marks of one prefix came to in a run, in tokens.

    Attributes:
        jobs: marked jobs that were answered.
        written_1h: the part of `written` that lives an hour.
        follower_tokens, follower_read: of the jobs after the first: all that could have been read, and what was.
    """

    prefix: SharedPrefix
    batch: bool
    jobs: int
    written: int
    written_1h: int
    read: int
    follower_tokens: int
    follower_read: int
