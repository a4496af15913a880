"""Find prefixes: what jobs of a run begin with alike, how much it weighs, and whether caching it surely pays."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from rules.cache_plan import hit_range
from rules.prefix_tree import FEWEST_BYTES, CacheTerms, PrefixTree
from rules.prices import Unpriced
from rules.scale import Scale
from schemas.estimate import TokenCount
from schemas.failures import CallFailed
from schemas.outcome import Method, Mode
from schemas.payload.api_rules import limits_of
from schemas.payload.payload import InvalidPayload, Payload
from schemas.payload.prefix import PromptCut, cuts_of, up_to
from schemas.shared_prefix import PlannedPrefix, SharedPrefix
from services.ledger import Ledger, counts, prefixes
from services.ledger.prefixes import RoutedPayload
from services.whole_thread import on_whole_thread
from tasks.run import Run
from tasks.step import step

#: prefixes that are counted for one run, those that save most; the others are not marked
_MOST_PREFIXES = 200
_ROWS_AT_ONCE = 1_000


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
    terms = await on_whole_thread(cache_terms, run.scale, run.ledger, run.reference.started_at)
    shared = await on_whole_thread(_shared, run, terms)
    if not shared:
        return 0
    promising = await on_whole_thread(_promising, run, terms, shared)
    planned = await _counted(run, terms, promising)
    await run.ledger.off_loop(prefixes.keep, run.run_id, planned)
    run.caching.follow(planned, terms.rates)
    return len(planned)


def cache_terms(scale: Scale, ledger: Ledger, before: datetime) -> CacheTerms:
    """What is known of each model that has a price and a shortest prefix, with the hits that were measured until then."""
    mode = scale.policy.mode
    rates, hits, shortest = {}, {}, {}
    for model, facts in scale.models.callable.items():
        least = limits_of(facts).cache_tokens
        if least is None:
            continue
        with suppress(Unpriced):
            rates[model] = scale.models.price_card(model, scale.clock()).cache_rates
            shortest[model] = least
            hits[model] = hit_range(prefixes.hit_shares(ledger, model, before, batch=mode is Mode.BATCHES))
    return CacheTerms(mode, rates, hits, shortest)


def _shared(run: Run, terms: CacheTerms) -> dict[str, SharedPrefix]:
    """The beginnings that two jobs or more have, by key."""
    tree = PrefixTree()
    for job in prefixes.routed_payloads(run.ledger, run.run_id, FEWEST_BYTES):
        if job.model in terms.rates:
            tree.add(job.model, _cuts(job), job.tokens / len(job.body.encode()))
    return tree.shared()


def _cuts(job: RoutedPayload) -> list[PromptCut]:
    return list(cuts_of(Payload.restored(job.body).request, job.model))


def _promising(run: Run, terms: CacheTerms, shared: Mapping[str, SharedPrefix]) -> list[_Chosen]:
    """The prefixes that jobs are to be marked for by what they seem to weigh, written down with each job."""
    chosen: dict[str, _Chosen] = {}
    assigned: list[tuple[int, str]] = []
    for job in prefixes.routed_payloads(run.ledger, run.run_id, FEWEST_BYTES):
        best = terms.best([shared[cut.digest] for cut in _cuts(job) if cut.digest in shared])
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


async def _counted(run: Run, terms: CacheTerms, promising: list[_Chosen]) -> list[PlannedPrefix]:
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
