"""Caching, while a run sends: which prefixes are marked, which job is sent first, and whether the marks pay."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from rules.cache_plan import FEWEST_FOLLOWERS, break_even
from rules.prices import CacheRates
from schemas.attempt import Charge, HeldAttempt
from schemas.job import QueuedJob
from schemas.payload.payload import Payload
from schemas.payload.prefix import marked
from schemas.shared_prefix import CacheMark, PlannedPrefix

log = logging.getLogger("weighbridge")

#: how long after its last use an entry is taken to be there, seconds: less than its life, for the way to the provider
_WARM_SECONDS = {"5m": 270.0, "1h": 3_300.0}
#: jobs of one prefix that are sent first and bring no answer, before the others go without a mark
_MOST_PRIMES = 3


class _Warmth(StrEnum):
    COLD = "cold"
    PRIMING = "priming"
    WARM = "warm"


@dataclass(slots=True)
class _Prefix:
    """One planned prefix, and whether its entry can be read by now.

    Attributes:
        used_at: when it was last written or read, on the monotonic clock.
        in_vain: jobs that were sent first and brought no answer.
        is_written: the job that is sent first was answered.
    """

    plan: PlannedPrefix
    warmth: _Warmth = _Warmth.COLD
    used_at: float = 0.0
    in_vain: int = 0
    is_written: bool = False


@dataclass(slots=True)
class _Hits:
    """What marked jobs after the first ones of one model have read, of all that they could have."""

    jobs: int = 0
    read: int = 0
    could: int = 0


@dataclass(slots=True)
class Caching:
    """The shared prefixes of a run while it sends. Without a plan nothing is marked.

    Attributes:
        changed: set when a prefix can be read, or can no longer be, or marks have ended, so that jobs that were passed over
            get their turn.
        stopped: models whose marks did not pay, with the measured share of hits in thousandths.
    """

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: dict[str, int] = field(default_factory=dict)
    _prefixes: dict[str, _Prefix] = field(default_factory=dict)
    _break_even: dict[str, int] = field(default_factory=dict)
    _hits: dict[str, _Hits] = field(default_factory=dict)

    def follow(self, planned: Iterable[PlannedPrefix], rates: Mapping[str, CacheRates]) -> None:
        """Mark these prefixes from now on; `rates` by model."""
        self._prefixes = {one.prefix.key: _Prefix(one) for one in planned}
        self._break_even = {model: break_even(one) for model, one in rates.items()}

    @property
    def has_plan(self) -> bool:
        """Whether any prefix is marked."""
        return bool(self._prefixes)

    @property
    def being_primed(self) -> list[str]:
        """The prefixes whose first job is under way: the other jobs wait for its answer, unless marks have ended."""
        return [
            key
            for key, one in self._prefixes.items()
            if one.warmth is _Warmth.PRIMING and not self._is_over(one)
        ]

    def in_turn(self, queued: Sequence[QueuedJob]) -> list[QueuedJob]:
        """The jobs that may be sent now, with their marks; of a prefix that nobody has written, only the first."""
        turn: list[QueuedJob] = []
        first: set[str] = set()
        for job in queued:
            one = self._prefixes.get(job.prefix_key or "")
            if one is None or self._is_over(one) or job.model != one.plan.prefix.model:
                turn.append(job)
            elif self._is_warm(one):
                turn.append(_with_mark(job, one.plan, is_prime=False))
            elif one.warmth is _Warmth.COLD and one.plan.prefix.key not in first:
                first.add(one.plan.prefix.key)
                turn.append(_with_mark(job, one.plan, is_prime=True))
        return turn

    def held(self, attempts: Iterable[HeldAttempt]) -> None:
        """Take note of the jobs that are sent first."""
        for attempt in attempts:
            if attempt.mark and attempt.mark.is_prime:
                self._prefixes[attempt.mark.key].warmth = _Warmth.PRIMING

    def body_of(self, attempt: HeldAttempt) -> dict[str, Any]:
        """The body that an attempt is sent with, its mark included while marks pay."""
        if attempt.payload is None:
            raise AssertionError("the payload of an attempt is read before its body is made")
        payload = Payload.restored(attempt.payload)
        body = payload.message_body(attempt.model)
        if attempt.mark is None or self.has_ended(attempt.mark):
            return body
        return marked(body, attempt.mark.where, attempt.mark.ttl)

    def has_ended(self, mark: CacheMark) -> bool:
        """Whether what was marked so is sent without its mark by now."""
        one = self._prefixes.get(mark.key)
        return one is None or self._is_over(one)

    def measured(self, key: str | None, charge: Charge, *, is_prime: bool) -> None:
        """Take in what an answer read and wrote.

        Args:
            key: of the prefix that its attempt was marked for; None: of none.
            charge: what the answer came to.
            is_prime: others wait for it.
        """
        one = self._prefixes.get(key or "")
        if one is None:
            return
        one.used_at = time.monotonic()
        if is_prime:
            one.is_written = True
            return
        read, written = charge.cache_read_tokens or 0, charge.cache_write_tokens or 0
        self._seen(one.plan.prefix.model, read, read + written)

    def prime_ended(self, key: str) -> None:
        """The first job of a prefix has ended: with an answer the others may go, without one another is the first."""
        one = self._prefixes[key]
        one.warmth = _Warmth.WARM if one.is_written else _Warmth.COLD
        one.in_vain += not one.is_written
        one.is_written = False
        self.changed.set()

    def _seen(self, model: str, read: int, could: int) -> None:
        """Take in what a job after the first read; marks that do not pay end here."""
        if not could:
            return
        hits = self._hits.setdefault(model, _Hits())
        hits.jobs, hits.read, hits.could = hits.jobs + 1, hits.read + read, hits.could + could
        share = hits.read * 1000 // hits.could
        if hits.jobs < FEWEST_FOLLOWERS or share >= self._break_even.get(model, 0) or model in self.stopped:
            return
        self.stopped[model] = share
        self.changed.set()
        log.warning(
            "Caching of %s was stopped: %s of 1,000 marked tokens were read, and from %s on it pays. The other jobs go "
            "without marks, and the next night starts from that.",
            model,
            share,
            self._break_even[model],
        )

    def _is_over(self, one: _Prefix) -> bool:
        return one.plan.prefix.model in self.stopped or one.in_vain >= _MOST_PRIMES

    def _is_warm(self, one: _Prefix) -> bool:
        if one.warmth is _Warmth.WARM and time.monotonic() - one.used_at > _WARM_SECONDS[one.plan.prime_ttl]:
            one.warmth = _Warmth.COLD
        return one.warmth is _Warmth.WARM


def _with_mark(job: QueuedJob, plan: PlannedPrefix, *, is_prime: bool) -> QueuedJob:
    ttl = plan.prime_ttl if is_prime else plan.ttl
    mark = CacheMark(plan.prefix.key, plan.prefix.where, ttl, is_prime, plan.prefix.tokens)
    return replace(job, mark=mark, cache_ttl=ttl)


def without_mark(job: QueuedJob) -> QueuedJob:
    """The job as it is sent without a cache marker."""
    return replace(job, mark=None, cache_ttl=None)
