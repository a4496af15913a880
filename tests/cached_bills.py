"""Runs that cache, over a provider that is not there and bills as the simulator does; what their bill may come to."""

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import orjson
from sqlalchemy import select

from rules.cache_plan import FEWEST_FOLLOWERS, break_even
from schemas.batch import ProviderBatch
from schemas.ledger import AttemptRow
from schemas.payload.payload import Payload
from schemas.usage import Answer
from services.gateway import Reply
from services.ledger import jobs, runs
from services.result_lines import result_line
from simulator.answers.usage_meter import payload_hash, usage_of
from simulator.billing.billed_usage import SHARES_PER_NANO_USD, BilledUsage, cost_nano_usd, token_costs
from simulator.billing.cache_prefix import cut_prefixes
from simulator.billing.catalogue import find_model
from simulator.billing.counting import count_tokens
from simulator.billing.prompt_cache import PromptCache, use_of
from tasks.caching import Caching
from tasks.find_prefixes import find_prefixes
from tasks.send_queue import SendQueue
from tests.fakes import FakeGateway
from tests.marked_runs import AUTO, is_marked
from tests.nights import a_run_on_record
from tests.strategies import abandon, job, job_update

#: what a job's text begins with when its payload has markers of its own
OWN = "own"
#: seconds that polls of batches are apart
_POLL = "0.001"


@dataclass(frozen=True)
class BilledLine:
    """A request that was billed.

    Attributes:
        name: of its job.
        usage: as the simulator bills it.
        is_marked: it left with a marker that the run had added.
        after_stop: marks of its model had been stopped when it left.
    """

    name: str
    model: str
    usage: BilledUsage
    is_marked: bool
    after_stop: bool

    @property
    def cost(self):
        """Nano-USD."""
        return cost_nano_usd(self.usage, find_model(self.model))

    @property
    def plain_cost(self):
        """Nano-USD of the same request when each token of its input is an ordinary one."""
        plain = replace(self.usage, input_tokens=self.usage.total_input, write_5m=0, write_1h=0, read=0)
        return cost_nano_usd(plain, find_model(self.model))

    @property
    def surplus(self):
        """Parts of a nano-USD by which what it wrote is dearer than as ordinary input; what it read is left aside."""
        wrote = replace(self.usage, input_tokens=0, output_tokens=0, read=0)
        plain = replace(wrote, input_tokens=wrote.total_input, write_5m=0, write_1h=0)
        return sum(self._parts(wrote)) - sum(self._parts(plain))

    def _parts(self, usage):
        return token_costs(usage, find_model(self.model)).values()


class SeenHits(Caching):
    """Caching that remembers the answers of jobs after the first, in the order in which they were taken in.

    Attributes:
        answers: by model: tokens read, tokens written, and whether marks had been stopped before.
    """

    def __init__(self):
        super().__init__()
        self.answers = defaultdict(list)

    def measured(self, key, charge, *, is_prime):
        one = self._prefixes.get(key or "")
        read, written = charge.cache_read_tokens or 0, charge.cache_write_tokens or 0
        if one is not None and not is_prime and read + written:
            model = one.plan.prefix.model
            self.answers[model].append((read, written, model in self.stopped))
        super().measured(key, charge, is_prime=is_prime)


class CacheBiller:
    """The simulator's prompt cache and prices; of what could be read, a share is.

    Args:
        hits: the share, in hundredths.
        seed: which requests.

    Attributes:
        caching: of the run that sends now.
        lines: what was billed, in order.
        own: the bodies that came with markers of their own, by name.
        seconds: its clock.
    """

    def __init__(self, hits=100, seed=0):
        self.hits, self.seed = hits, seed
        self.caching = Caching()
        self.lines: list[BilledLine] = []
        self.own: dict[str, dict] = {}
        self.seconds = 0.0
        self._cache = PromptCache()

    def billed(self, body, tier="standard"):
        """The line of a request that leaves now, and what it writes to the cache."""
        model, name = find_model(body["model"]), name_of(body)
        prefixes = cut_prefixes(body, model)
        use = self._cache.look_up(prefixes, self.seconds)
        if use.reads and random.Random(f"{self.seed} {name}").randrange(100) >= self.hits:
            use = use_of(prefixes, None)
        self._cache.refresh(use, self.seconds)
        # by what it asks for alone, so that a marker changes nothing but what the cache is billed for
        usage = replace(usage_of(body, model, use.part, payload_hash({"name": name})), tier=tier)
        line = BilledLine(
            name=name,
            model=model.id,
            usage=usage,
            is_marked=is_marked(body) and not name.startswith(OWN),
            after_stop=model.id in self.caching.stopped,
        )
        self.lines.append(line)
        if name.startswith(OWN):
            self.own[name] = body
        return line, use.writes

    def begun(self, writes):
        """An answer has begun, or a batch has ended: what it writes can be read."""
        self._cache.publish(writes, self.seconds)


class CachingProvider(FakeGateway):
    """Messages and batches that are billed so.

    Args:
        biller: that bills them.
        slots: messages at once.

    Attributes:
        calls: paid calls and looks at batches until it answers nothing any more, as to a process that is killed.
    """

    def __init__(self, biller, slots=4):
        super().__init__()
        self.biller, self.calls = biller, None
        self.is_dead = asyncio.Event()
        self._slots = asyncio.Semaphore(slots)
        self._batches: dict[str, dict[str, str]] = {}

    async def count(self, body, *, leaving=lambda: None):
        leaving()
        self.tally.count += 1
        return count_tokens(body, find_model(body["model"]))

    async def send(self, body, *, leaving, weight=None, came_back=None):
        async with self._slots:
            await self._alive()
            await leaving()
            self.tally.message += 1
            self._fail("send", body)
            line, writes = self.biller.billed(body)
            await asyncio.sleep(0)
            self.biller.begun(writes)
            await self._alive()
        text = orjson.dumps(_message(line))
        return Reply(Answer.model_validate_json(text), text.decode(), "req", 1)

    async def create_batch(self, requests):
        await self._alive()
        made = f"msgbatch_{len(self._batches)}"
        billed = [(item["custom_id"], *self.biller.billed(item["params"], "batch")) for item in requests]
        # items of one batch do not read what another of them writes
        for _, _, writes in billed:
            self.biller.begun(writes)
        self._batches[made] = {custom_id: _message(line) for custom_id, line, _ in billed}
        await self._alive()
        return self._seen(made)

    async def batch(self, provider_batch_id):
        await self._alive()
        return self._seen(provider_batch_id)

    async def batches_since(self, moment):
        return [self._seen(made) for made in self._batches]

    async def batch_results(self, batch):
        for custom_id, message in self._batches[batch.provider_batch_id].items():
            result = {"type": "succeeded", "message": message}
            yield result_line(orjson.dumps({"custom_id": custom_id, "result": result}))

    def _seen(self, made):
        now, count = datetime.now(UTC), len(self._batches[made])
        return ProviderBatch(made, True, count, {"succeeded": count}, now, now + timedelta(days=1))

    async def _alive(self):
        if self.calls is not None:
            self.calls -= 1
            if self.calls < 0:
                self.is_dead.set()
                await asyncio.Event().wait()
        self.biller.seconds += 0.001


def name_of(body):
    return body["messages"][-1]["content"]


def _message(line):
    content = [{"type": "text", "text": "answer"}]
    whole = {"id": "msg", "type": "message", "model": line.model, "content": content}
    usage = {name: value for name, value in line.usage.as_reply().items() if value is not None}
    return whole | {"stop_reason": "end_turn", "usage": usage}


@dataclass
class CachedNights:
    """Runs over the same jobs, each but the last killed.

    Attributes:
        bodies: model and request of each job.
        seen: of each run, what it saw of hits.
    """

    ledger: object
    folder: object
    bodies: list
    provider: CachingProvider
    changes: dict
    seen: list[SeenHits] = field(default_factory=list)
    run: object = None

    async def night(self, calls=None, size=20):
        """One run, killed after some calls or not at all; whether it came to its end."""
        run_id, self.provider.calls = f"run-{len(self.seen) + 1}", calls
        self.provider.is_dead = asyncio.Event()
        run = await a_run_on_record(
            self.ledger, self.provider, self.folder, run_id, **{"cache": AUTO} | self.changes
        )
        run = self.run = replace(run, caching=SeenHits())
        self.provider.biller.caching = run.caching
        self.seen.append(run.caching)
        payloads = [Payload.checked(body) for _, body in self.bodies]
        jobs.add(self.ledger, run_id, [job(row, payload=one) for row, one in enumerate(payloads)], [])
        weights = [count_tokens(body, find_model(model)) for model, body in self.bodies]
        jobs.record(
            self.ledger,
            run_id,
            [job_update(row, model, weights[row], "counted") for row, (model, _) in enumerate(self.bodies)],
        )
        others = asyncio.all_tasks()
        await find_prefixes(run)
        draining = asyncio.create_task(SendQueue(run, size).drain())
        dying = asyncio.create_task(self.provider.is_dead.wait())
        await asyncio.wait({draining, dying}, return_when=asyncio.FIRST_COMPLETED)
        if draining.done():
            dying.cancel()
            draining.result()
            return True
        killed = asyncio.all_tasks() - others
        for task in killed:
            task.cancel()
        await asyncio.gather(*killed, return_exceptions=True)
        abandon(self.ledger, run_id)
        runs.close_dead_runs(self.ledger)
        return False

    def primes(self):
        """The names of the jobs whose attempt was the first of a prefix."""
        query = select(AttemptRow.row_number).where(AttemptRow.is_prime.is_(True))
        with self.ledger.read() as connection:
            return {name_of(self.bodies[row][1]) for row in connection.scalars(query)}


def batch_of(mode):
    """The policy's sections of a mode, for a provider that ends batches at once."""
    return {"mode": mode, "batch": {"poll_seconds": _POLL, "absent_after_seconds": "60"}}


def share_of(lines, model):
    """Of the tokens that marked jobs of a model could have read those that they did, in thousandths; None: no tokens."""
    read = sum(line.usage.read for line in lines if line.model == model)
    could = read + sum(line.usage.write_5m + line.usage.write_1h for line in lines if line.model == model)
    return read * 1000 // could if could else None


def allowed_loss(followers, all_seen, rates):
    """What marked jobs after the first may cost more than without marks: parts of a nano-USD.

    Nothing for a model whose share of hits pays. Else what was missed among the first answers that the stop rule waits
    for, by the answer that stopped it, and by what was in flight then or when the run was killed.
    """
    total = 0
    for model in {line.model for line in followers}:
        if (share_of(followers, model) or 0) >= break_even(rates[model]):
            continue
        own = [line for line in followers if line.model == model]
        per_token = _surplus_per_token(own)
        taken_in = [answer for seen in all_seen for answer in seen.answers[model]]
        never_seen = sum(line.usage.write_5m for line in own) - sum(written for _, written, _ in taken_in)
        missed = never_seen + sum(_missed(seen.answers[model]) for seen in all_seen)
        total += missed * per_token
    return total


def _surplus_per_token(lines):
    found = {line.surplus // line.usage.write_5m for line in lines if line.usage.write_5m}
    assert len(found) <= 1
    return found.pop() if found else 0


def _missed(answers):
    """Tokens that a run's answers wrote and that need not have paid."""
    before = [(read, written) for read, written, was_stopped in answers if not was_stopped]
    late = sum(written for _, written, was_stopped in answers if was_stopped)
    if len(before) <= FEWEST_FOLLOWERS:
        return late + sum(written for _, written in before)
    # those before the last one had paid together, else marks had ended there
    return late + before[-1][1]


def assert_bounded(lines, primes, all_seen, rates):
    """That a bill is what docs/caching.md says; whether its hits paid, under every model.

    Args:
        lines: all that was billed.
        primes: the names of the jobs that went first.
        all_seen: what each run saw of hits.
        rates: by model.
    """
    assert max(Counter(line.name for line in lines).values(), default=0) <= 1
    lines = [line for line in lines if not line.name.startswith(OWN)]
    marked = [line for line in lines if line.is_marked]
    followers = [line for line in marked if line.name not in primes]
    assert all(line.cost == line.plain_cost for line in lines if not line.is_marked)
    assert not [line for line in marked if line.after_stop], "a mark left after they had been stopped"
    first = sum(line.surplus for line in marked if line.name in primes)
    loss = allowed_loss(followers, all_seen, rates)
    bill, plain = sum(line.cost for line in lines), sum(line.plain_cost for line in lines)
    # each line is rounded up once
    assert bill <= plain + -(-(first + loss) // SHARES_PER_NANO_USD) + len(lines)
    return not loss
