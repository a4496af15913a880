"""Runs without a ledger: jobs are dealt out, leave and are answered in an order drawn at random, through the run's caching."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

from rules.cache_plan import FEWEST_FOLLOWERS, hit_range
from rules.prefix_tree import CacheTerms, PrefixTree
from rules.prices import PriceCard
from schemas.attempt import Charge, HeldAttempt
from schemas.job import QueuedJob
from schemas.money import NanoUsd
from schemas.outcome import Mode
from schemas.payload.payload import Payload
from schemas.payload.prefix import cuts_of, up_to
from schemas.policy_sections import BatchLimits
from simulator.billing.catalogue import find_model
from simulator.billing.counting import count_tokens
from tasks.send_batch import packed
from tests.cached_bills import SeenHits, name_of

MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")
NOW = datetime(2026, 11, 27, tzinfo=UTC)
RATES = {model: PriceCard(model, NOW).cache_rates for model in MODELS}
#: shortest prefix, tokens
_SHORTEST = dict.fromkeys(MODELS, 512)
LIMITS = BatchLimits(max_requests=20, max_bytes=10**7)


class DealtJob:
    """A job of a file: its model, and its request with its payload and its beginnings."""

    def __init__(self, row, model, body):
        self.row, self.model, self.body, self.name = row, model, body, name_of(body)
        self.payload = Payload.checked(body)
        self.cuts = [] if self.payload.cache_ttl else list(cuts_of(body, model))
        self.tokens = count_tokens(body, find_model(model))

    def queued(self, key):
        """As the queue has it, with the prefix that it begins with."""
        payload = self.payload
        return QueuedJob(self.row, f"job-{self.row}", f"f{self.row}", None, None, 100, None, None, payload.cache_ttl,
                         self.model, self.tokens, "counted", len(payload.text), prefix_key=key)  # fmt: skip

    def held(self, queued, run):
        """As an attempt of a run whose money is held."""
        payload = self.payload
        return HeldAttempt(f"att_{run}_{self.row}", self.row, queued.job_id, self.model, payload.text.decode(),
                           payload.traits, queued.cache_ttl, mark=queued.mark)  # fmt: skip


def terms_of(mode, all_seen):
    """What a run knows when it begins: prices, and the hits that runs before it have measured."""
    measured = defaultdict(list)
    for seen in all_seen:
        for model, answers in seen.answers.items():
            if len(answers) >= FEWEST_FOLLOWERS:
                read = sum(one for one, _, _ in answers)
                measured[model].append(read * 1000 // sum(one + wrote for one, wrote, _ in answers))
    hits = {model: hit_range(measured[model]) for model in MODELS}
    return CacheTerms(mode, RATES, hits, _SHORTEST)


class DealtRun:
    """One run over jobs that are left.

    Args:
        number: of the run.
        jobs: that nobody has answered; what is in `batches` is among them.
        biller: that bills what leaves.
        dice: the order of all that happens.
        batches: those that an earlier run left with the provider; None: messages are sent.
        all_seen: what earlier runs saw of hits; its own is added.

    Attributes:
        primes: the names of the jobs that left first.
    """

    def __init__(self, number, jobs, biller, dice, batches, all_seen):
        self.number, self.biller, self.dice, self.batches = number, biller, dice, batches
        self.mode = Mode.MESSAGES if batches is None else Mode.BATCHES
        self.jobs = {job.row: job for job in jobs}
        self.caching = biller.caching = SeenHits()
        self.primes = set()
        self.keys, planned = self._plans(terms_of(self.mode, all_seen))
        all_seen.append(self.caching)
        self.caching.follow(planned, RATES)
        with_provider = {one.row_number for batch in batches or () for one, _, _ in batch}
        self.queue = [job.row for job in jobs if job.row not in with_provider]
        self.waiting, self.flying = [], list(batches or ())

    def _plans(self, terms):
        """The prefix of each job, and the plans of prefixes, as `find_prefixes` makes them."""
        tree, chosen = PrefixTree(), defaultdict(list)
        for job in self.jobs.values():
            tree.add(job.model, job.cuts, job.tokens / len(job.payload.text))
        shared = tree.shared()
        for job in self.jobs.values():
            best = terms.best([shared[cut.digest] for cut in job.cuts if cut.digest in shared])
            if best is not None:
                chosen[best.key].append(job)
        planned = []
        for key, jobs in chosen.items():
            alone = up_to(jobs[0].body, shared[key].where)
            tokens = count_tokens(alone, find_model(jobs[0].model))
            planned.append(terms.plan(replace(shared[key], jobs=len(jobs), tokens=tokens)))
        planned = [one for one in planned if one is not None]
        known = {one.prefix.key for one in planned}
        return {job.row: key for key in known for job in chosen[key]}, planned

    def goes_on(self, steps, slots):
        """Let things happen until all is answered, or, killed, for so many steps; whether all is answered."""
        while self.queue or self.waiting or self.flying:
            if not steps:
                return False
            steps -= 1
            self.biller.seconds += self.dice.choice([0.1, 0.1, 0.1, 1, 1, 30, 200])
            self.dice.choice([self._admit, self._leave, self._leave, self._answer, self._answer])(slots)
        return True

    def left(self):
        """The jobs that the next run finds, and the batches with the provider; messages in flight wait for a person."""
        flying = set()
        if self.mode is Mode.MESSAGES:
            flying = {one.row_number for one, _, _ in self.flying}
        rows = self.queue + [one.row_number for one in self.waiting]
        if self.mode is Mode.BATCHES:
            rows += [one.row_number for batch in self.flying for one, _, _ in batch]
        return [self.jobs[row] for row in sorted(set(rows) - flying)], self.flying

    def _admit(self, slots):
        primed = set(self.caching.being_primed)
        page = [row for row in self.queue if self.keys.get(row) not in primed][: self.dice.choice([1, 5, 40])]
        turn = self.caching.in_turn([self.jobs[row].queued(self.keys.get(row)) for row in page])
        held = [self.jobs[one.row_number].held(one, self.number) for one in turn]
        self.caching.held(held)
        admitted = {one.row_number for one in held}
        self.queue = [row for row in self.queue if row not in admitted]
        self.waiting += held

    def _leave(self, slots):
        if len(self.flying) >= slots or not self.waiting:
            return
        if self.mode is Mode.MESSAGES:
            attempt = self.waiting.pop(0)
            self.flying.append(self._left(attempt, self.caching.body_of(attempt), "standard"))
            return
        self.waiting.sort(key=lambda one: not _is_prime(one))
        items = list(next(packed(self.waiting, LIMITS, self.caching)))
        gone, self.waiting = self.waiting[: len(items)], self.waiting[len(items) :]
        self.flying.append(
            [self._left(one, item["params"], "batch") for one, item in zip(gone, items, strict=True)]
        )

    def _left(self, attempt, body, tier):
        line, writes = self.biller.billed(body, tier)
        if _is_prime(attempt):
            self.primes.add(line.name)
        return attempt, line, writes

    def _answer(self, slots):
        if not self.flying:
            return
        one = self.flying.pop(self.dice.randrange(len(self.flying)))
        answers = [one] if self.mode is Mode.MESSAGES else one
        for _, _, writes in answers:
            self.biller.begun(writes)
        for attempt, line, _ in answers:
            if attempt.mark:
                charge = Charge(
                    cost=NanoUsd(line.cost),
                    billing=None,
                    cache_read_tokens=line.usage.read,
                    cache_write_tokens=line.usage.write_5m + line.usage.write_1h,
                )
                self.caching.measured(attempt.mark.key, charge, is_prime=_is_prime(attempt))
        for attempt, _, _ in answers:
            # an earlier run's batch is nobody's to wait for
            if _is_prime(attempt) and attempt.attempt_id.startswith(f"att_{self.number}_"):
                self.caching.prime_ended(attempt.mark.key)


def _is_prime(attempt):
    return bool(attempt.mark and attempt.mark.is_prime)


def all_runs(bodies, biller, dice, kills, slots, mode):
    """Runs over the same jobs until all are answered, each of the first ones killed after some steps.

    Returns:
        the names of the jobs that went first, and what each run saw of hits.
    """
    jobs = [DealtJob(row, model, body) for row, (model, body) in enumerate(bodies)]
    batches = None if mode == "messages" else []
    primes, all_seen = set(), []
    for number, steps in enumerate([*kills, -1]):
        run = DealtRun(number, jobs, biller, dice, batches, all_seen)
        is_done = run.goes_on(steps, slots)
        primes |= run.primes
        if is_done:
            break
        jobs, flying = run.left()
        batches = batches if batches is None else flying
    return primes, all_seen
