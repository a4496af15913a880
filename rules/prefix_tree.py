"""The beginnings that jobs share, as a tree: each place in a prompt hangs below the one before it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rules.cache_plan import best_prefix, plan
from rules.prices import CacheRates
from schemas.outcome import Mode
from schemas.payload.prefix import PromptCut
from schemas.shared_prefix import HitRange, PlannedPrefix, SharedPrefix

#: beginnings remembered at once; those that one job alone has are forgotten first
_MOST_NODES = 200_000
#: a prefix of fewer bytes of JSON is below every model's shortest (512 tokens), whatever its text
FEWEST_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class CacheTerms:
    """What marks cost and how often they are hit, by model; a model that is missing is never marked.

    Attributes:
        shortest: fewest tokens that a model caches.
    """

    mode: Mode
    rates: Mapping[str, CacheRates]
    hits: Mapping[str, HitRange]
    shortest: Mapping[str, int]

    def best(self, path: Sequence[SharedPrefix]) -> SharedPrefix | None:
        """Of the prefixes of one job the one to mark, or None."""
        if not path or path[0].model not in self.rates:
            return None
        model = path[0].model
        return best_prefix(path, self.rates[model], self.mode, self.hits[model])

    def plan(self, prefix: SharedPrefix) -> PlannedPrefix | None:
        """How a prefix is marked, or None."""
        model = prefix.model
        return plan(prefix, self.rates[model], self.mode, self.hits[model], self.shortest[model])


@dataclass(slots=True)
class _Node:
    """A beginning; `above`: the key of the one that it begins with; `tokens`: by its share of the first job's bytes."""

    model: str
    where: str
    tokens: int
    above: str | None
    jobs: int = 0


class PrefixTree:
    """The beginnings of the jobs that were added."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def add(self, model: str, cuts: Sequence[PromptCut], tokens_a_byte: float) -> None:
        """Add one job.

        Args:
            model: that it goes to.
            cuts: the places in its prompt.
            tokens_a_byte: its input tokens by bytes of its JSON.
        """
        above = None
        for cut in cuts:
            if cut.size < FEWEST_BYTES:
                continue
            node = self._nodes.get(cut.digest)
            if node is None:
                node = _Node(model, cut.where, int(cut.size * tokens_a_byte), above)
                self._nodes[cut.digest] = node
            node.jobs += 1
            above = cut.digest
        if len(self._nodes) > _MOST_NODES:
            self._nodes = {key: node for key, node in self._nodes.items() if node.jobs > 1}

    def shared(self) -> dict[str, SharedPrefix]:
        """The beginnings that two jobs or more have, by key."""
        return {
            key: SharedPrefix(key, node.model, node.where, node.tokens, node.jobs)
            for key, node in self._nodes.items()
            if node.jobs > 1
        }

    def plans(self, terms: CacheTerms) -> list[PlannedPrefix]:
        """How its prefixes would be marked, each job for the one that saves most for it; by weights that are not counted."""
        shared = self.shared()
        jobs: Counter[str] = Counter()
        for key, ending in self._ending(shared):
            best = terms.best(list(self._path(key, shared)))
            if best is not None:
                jobs[best.key] += ending
        plans = [terms.plan(replace(shared[key], jobs=number)) for key, number in jobs.items()]
        return [one for one in plans if one is not None]

    def _ending(self, shared: Mapping[str, SharedPrefix]) -> Iterator[tuple[str, int]]:
        """Each shared beginning with the jobs that share no longer one."""
        longer: Counter[str | None] = Counter()
        for key, one in shared.items():
            longer[self._nodes[key].above] += one.jobs
        for key, one in shared.items():
            if (ending := one.jobs - longer[key]) > 0:
                yield key, ending

    def _path(self, key: str | None, shared: Mapping[str, SharedPrefix]) -> Iterator[SharedPrefix]:
        while key is not None and key in shared:
            yield shared[key]
            key = self._nodes[key].above
