"""The prompt cache of one workspace: its entries, their lives, and what a request writes and reads.

A request reads the longest earlier prefix that an entry is found for; what comes after it, up to the last marker, is
written. Each marker behind the hit makes an entry of its own. An entry lives for the lifetime of the marker that wrote
it, from the start of the request that wrote or read it last. The lifetime is not part of its key: a five-minute marker
reads a one-hour entry, which keeps its hour. Models do not share entries, as the model is part of the key, and
workspaces do not, as each has its own cache.

An entry can be read once the answer of the request that writes it has begun, not before: whoever asks looks up first
and publishes what is written when the answer begins. What is written twice has the longer of the two lives.

Source: Anthropic docs, "Prompt caching" (2026-09), "Choosing the TTL" in the `claude-api` skill of anthropics/skills
(0da71c3: lives are measured from the start of a request). Not confirmed, and so assumed: that a read refreshes the
entries of the request's earlier markers too; that a marker before the hit whose entry is gone does not write it again;
that a one-hour marker that reads a five-minute entry leaves it at five minutes.
"""

from dataclasses import dataclass

from simulator.billing.cache_prefix import LIFETIME_SECONDS, NOT_CACHED, CachedPart, CachePrefixes

#: entries from which on those that have expired are thrown away
SWEEP_AT = 4_096


@dataclass(frozen=True, slots=True)
class CacheWrite:
    """An entry that is to be made.

    Attributes:
        key: stands for the prefix.
        seconds: how long it lives without being read.
    """

    key: bytes
    seconds: int


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What one request does with the cache.

    Attributes:
        part: what it is billed for, by the count.
        reads: keys of the entries that it keeps alive.
        writes: the entries that there are once its answer begins.
    """

    part: CachedPart = NOT_CACHED
    reads: tuple[bytes, ...] = ()
    writes: tuple[CacheWrite, ...] = ()


NO_USE = CacheUse()


@dataclass(slots=True)
class _Entry:
    """When an entry expires, and how long it lives after it was read."""

    expires: float
    seconds: int


class PromptCache:
    """The entries of one workspace, in memory. All times are seconds of one clock, which the caller reads."""

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}
        self._sweep_at = SWEEP_AT

    def look_up(self, prefixes: CachePrefixes | None, at: float) -> CacheUse:
        """What a request that starts now reads and writes. Nothing changes.

        Args:
            prefixes: the request, cut at its markers; None if nothing of it is to be cached.
            at: when it starts.
        """
        if prefixes is None:
            return NO_USE
        for index in prefixes.looked_at():
            if self._lives(prefixes.ends[index].key, at):
                return use_of(prefixes, index)
        return use_of(prefixes, None)

    def refresh(self, use: CacheUse, at: float) -> None:
        """Keep alive what an accepted request reads.

        Args:
            use: as `look_up` found it.
            at: when the request started.
        """
        for key in use.reads:
            if self._lives(key, at):
                entry = self._entries[key]
                entry.expires = max(entry.expires, at + entry.seconds)

    def publish(self, writes: tuple[CacheWrite, ...], at: float) -> None:
        """Make the entries of a request whose answer begins.

        Args:
            writes: what it writes.
            at: when the request started, which is when the lives begin.
        """
        for write in writes:
            expires, seconds = at + write.seconds, write.seconds
            if self._lives(write.key, at):
                entry = self._entries[write.key]
                expires, seconds = max(expires, entry.expires), max(seconds, entry.seconds)
            self._entries[write.key] = _Entry(expires, seconds)
        if len(self._entries) >= self._sweep_at:
            self._entries = {key: entry for key, entry in self._entries.items() if entry.expires > at}
            self._sweep_at = max(SWEEP_AT, 2 * len(self._entries))

    def _lives(self, key: bytes, at: float) -> bool:
        entry = self._entries.get(key)
        return entry is not None and entry.expires > at


def use_of(prefixes: CachePrefixes, hit: int | None) -> CacheUse:
    """What a request does with the cache after a hit or a miss.

    Args:
        prefixes: the request, cut at its markers.
        hit: number of the end at which an entry was found, None if there was none.
    """
    missed = prefixes.missed(hit)
    reads = [] if hit is None else [hit, *(marker.end for marker in prefixes.markers if marker.end < hit)]
    return CacheUse(
        part=prefixes.part(hit),
        reads=tuple(prefixes.ends[index].key for index in reads),
        writes=tuple(
            CacheWrite(prefixes.ends[marker.end].key, LIFETIME_SECONDS[marker.ttl]) for marker in missed
        ),
    )
