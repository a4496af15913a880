"""Find prefixes: what jobs of a run begin with alike, how much it weighs, and whether caching it surely pays."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from rules.cache_plan import best_prefix, hit_range, plan
from rules.prices import CacheRates, Unpriced
from schemas.caching import HitRange, PlannedPrefix, SharedPrefix
from schemas.estimate import TokenCount
from schemas.failures import CallFailed
from schemas.outcome import Method, Mode
from schemas.payload.api_rules import limits_of
from schemas.payload.payload import InvalidPayload, Payload
from schemas.payload.prefix import cuts_of, up_to
from services.ledger import counts, prefixes
from services.ledger.prefixes import RoutedPayload
from services.whole_thread import on_whole_thread
from tasks.run import Run
from tasks.step import step

#: a prefix of fewer bytes of JSON is below every model's shortest (512 tokens), whatever its text
_FEWEST_BYTES = 1_024
#: prefixes that are counted for one run, those that save most; the others are not marked
_MOST_PREFIXES = 200
_ROWS_AT_ONCE = 1_000


@dataclass(slots=True)
class _Beginning:
    """A beginning that some job has, and the weight of it by its share of that job's bytes."""

    model: str
    where: str
    tokens: int
    jobs: int = 0


@dataclass(frozen=True, slots=True)
class _Terms:
    """What marks of each model cost, and how often they are hit."""

    mode: Mode
    rates: dict[str, CacheRates] = field(default_factory=dict)
    hits: dict[str, HitRange] = field(default_factory=dict)
    shortest: dict[str, int] = field(default_factory=dict)

    def plan(self, prefix: SharedPrefix) -> PlannedPrefix | None:
        """How a prefix is marked, or None."""
        model = prefix.model
        return plan(prefix, self.rates[model], self.mode, self.hits[model], self.shortest[model])


@dataclass(slots=True)
class _Chosen:
    """The prefix that jobs of a run are marked for, while they are counted; `row` is that of the first of them."""

    prefix: SharedPrefix
    row: int
    jobs: int = 0


@step
async def find_prefixes(run: Run) -> int:
    """Find the prefixes that are worth caching and plan their marks; how many there are.

    Counting them is free. A run whose policy does not cache, or whose jobs share nothing, has none.
    """
    if run.policy.cache.mode == "off" or run.halt.reason:
        return 0
    terms = await on_whole_thread(_terms, run)
    shared = await on_whole_thread(_shared, run, terms)
    if not shared:
        return 0
    promising = await on_whole_thread(_promising, run, terms, shared)
    planned = await _counted(run, terms, promising)
    await run.ledger.off_loop(prefixes.keep, run.run_id, planned)
    run.caching.follow(planned, terms.rates)
    return len(planned)


def _terms(run: Run) -> _Terms:
    """What is known of each model that has a price and a shortest prefix."""
    batch = run.policy.mode is Mode.BATCHES
    terms = _Terms(run.policy.mode)
    for model, facts in run.models.callable.items():
        shortest = limits_of(facts).cache_tokens
        if shortest is None:
            continue
        try:
            terms.rates[model] = run.models.price_card(model, run.scale.clock()).cache_rates
        except Unpriced:
            continue
        terms.shortest[model] = shortest
        measured = prefixes.hit_shares(run.ledger, model, run.reference.started_at, batch=batch)
        terms.hits[model] = hit_range(measured)
    return terms


def _beginnings(job: RoutedPayload) -> Iterator[tuple[str, str, int]]:
    """The key of each beginning of a job, where it ends, and its tokens by its share of the bytes."""
    for cut in cuts_of(Payload.restored(job.body).request, job.model):
        if cut.size >= _FEWEST_BYTES:
            yield cut.digest, cut.where, job.tokens * cut.size // len(job.body)


def _shared(run: Run, terms: _Terms) -> dict[str, SharedPrefix]:
    """The beginnings that two jobs or more have, by key."""
    found: dict[str, _Beginning] = {}
    for job in prefixes.routed_payloads(run.ledger, run.run_id, _FEWEST_BYTES):
        if job.model not in terms.rates:
            continue
        for key, where, tokens in _beginnings(job):
            found.setdefault(key, _Beginning(job.model, where, tokens)).jobs += 1
    return {
        key: SharedPrefix(key, one.model, one.where, one.tokens, one.jobs)
        for key, one in found.items()
        if one.jobs > 1
    }


def _promising(run: Run, terms: _Terms, shared: Mapping[str, SharedPrefix]) -> list[_Chosen]:
    """The prefixes that jobs are to be marked for by what they seem to weigh, written down with each job."""
    chosen: dict[str, _Chosen] = {}
    assigned: list[tuple[int, str]] = []
    for job in prefixes.routed_payloads(run.ledger, run.run_id, _FEWEST_BYTES):
        path = (
            [shared[key] for key, _, _ in _beginnings(job) if key in shared]
            if job.model in terms.rates
            else []
        )
        best = best_prefix(path, terms.rates[job.model], terms.mode, terms.hits[job.model]) if path else None
        if best is None:
            continue
        chosen.setdefault(best.key, _Chosen(best, job.row_number)).jobs += 1
        assigned.append((job.row_number, best.key))
        if len(assigned) == _ROWS_AT_ONCE:
            prefixes.assign(run.ledger, run.run_id, assigned)
            assigned = []
    prefixes.assign(run.ledger, run.run_id, assigned)
    planned = {
        key: plan.low_nano_usd
        for key, one in chosen.items()
        if (plan := terms.plan(replace(one.prefix, jobs=one.jobs)))
    }
    most = sorted(planned, key=lambda key: (-planned[key], key))[:_MOST_PREFIXES]
    return [chosen[key] for key in most]


async def _counted(run: Run, terms: _Terms, promising: list[_Chosen]) -> list[PlannedPrefix]:
    """The plans of prefixes by what the provider counts of them; one that cannot be counted has none."""
    samples = await run.ledger.off_loop(prefixes.bodies, run.run_id, [one.row for one in promising])
    weights = await asyncio.gather(*(_weight(run, one.prefix, samples[one.row]) for one in promising))
    counted = [
        replace(one.prefix, jobs=one.jobs, tokens=tokens)
        for one, tokens in zip(promising, weights, strict=True)
        if tokens is not None
    ]
    return [found for prefix in counted if (found := terms.plan(prefix)) is not None]


async def _weight(run: Run, prefix: SharedPrefix, sample: str) -> int | None:
    """Input tokens of a prefix, as the provider counts them; kept, so that the next night asks for none again."""
    try:
        alone = Payload.checked(up_to(Payload.restored(sample).request, prefix.where))
        known = await run.ledger.off_loop(counts.known, [alone.fingerprint])
        if (on_record := known.get(alone.fingerprint, {}).get(prefix.model)) is not None:
            return on_record
        tokens = await run.gateway.count(alone.count_body(prefix.model))
    except (InvalidPayload, CallFailed):
        # such as one that ends between two tool results: nothing is marked that was not counted
        return None
    counted = TokenCount(alone.fingerprint, prefix.model, tokens, Method.COUNTED)
    await run.ledger.off_loop(counts.add, [counted])
    return tokens
