"""Turns that several processes share: leased from the ledger in blocks, and handed out to this process's callers.

A process alone leases some seconds ahead, so that a transaction comes every other second and no call waits for one.
Where several ask, each leases what its callers need within half a second, and what one leaves the next one takes.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from uuid import uuid4

from rules.lease_block import AHEAD, NO_TOKENS, SECOND, SHARED, SPAN, Block, BlockAsk, Tokens, late_for
from schemas.errors import RunFailed
from services.limiter import NO_WEIGHT, CallWeight, EndpointLimiter, QueuedCall
from services.turn_trains import DatabaseClock, TurnTrain

#: the longest sleep before another look, seconds
_LOOK_SECONDS = 0.5
#: between two looks after what is held and not used, seconds
_BEAT_SECONDS = 1.0
#: the shortest time between two blocks that no caller waits for, seconds
_REFILL_SECONDS = 0.25
#: for how long ahead callers are expected where several processes share, seconds
_EXPECTED_SECONDS = 0.5
#: for how long ahead turns are held there while callers wait, seconds: a lease that takes as long costs no turn
_STOCK_SECONDS = 1.5
#: of the turns that are held or expected: with fewer left it leases more
_LOW = 2 / 3


@dataclass(frozen=True, slots=True)
class _SharedCall(QueuedCall):
    """A call's turn, which takes tokens of a span."""

    source: "SharedTurns | None" = None
    span: int = 0
    tokens: list[int] | None = None

    def weighed(self, weight: CallWeight) -> None:
        if self.source is None or self.tokens is None:
            return
        now = (weight.input_tokens, weight.output_tokens)
        self.source.correct(self.span, (now[0] - self.tokens[0], now[1] - self.tokens[1]))
        self.tokens[:] = now


@dataclass(frozen=True, slots=True)
class _Caller:
    """One that waits for its turn."""

    tokens: Tokens
    call: asyncio.Future[QueuedCall]


class SharedTurns:
    """The turns of one limit of an account, for the callers of this process, in the order they come.

    Args:
        limiter: the limit; it knows the rates.
        lease: reports to the ledger and brings the next block.
    """

    def __init__(self, limiter: EndpointLimiter, lease: Callable[[BlockAsk], Awaitable[Block]]) -> None:
        self._limiter = limiter
        self._lease = lease
        self._holder = uuid4().hex[:16]
        self._clock = DatabaseClock()
        self._leasing = asyncio.Lock()
        self._callers: deque[_Caller] = deque()
        self._handing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        # what is held
        self._trains: deque[TurnTrain] = deque()
        self._tail = 0
        self._left = [0, 0]
        self._limits: list[int | None] = [None, None]
        self._until = 0
        self._others = 0
        self._ahead = 0
        # what is wanted
        self._head: Tokens = NO_TOKENS
        self._waiting, self._waiting_tokens = 0, [0, 0]
        self._turns, self._tokens = 0, [0, 0]
        self._per_second, self._each = 0.0, [0.0, 0.0]
        # what is to be reported
        self._beat = 0
        self._used: dict[int, Tokens] = {}
        self._unconfirmed: dict[int, Tokens] | None = None
        self._stated: dict[str, int | None] = {}
        self._seen_used: tuple[int | None, int | None] = (None, None)
        self._pause_told = 0
        # when
        self._paused_until = self._again = self._leased_at = self._taken_at = -math.inf

    async def turn(self, weight: CallWeight) -> QueuedCall:
        """Wait for the next turn, and take it.

        Raises:
            RunFailed: the ledger cannot be written, so that no turn can be had.
        """
        tokens = (weight.input_tokens, weight.output_tokens)
        if not self._callers and self._wait(tokens) == 0:
            return self._take(tokens)
        caller = _Caller(tokens, asyncio.get_running_loop().create_future())
        self._callers.append(caller)
        self._expect(1, tokens)
        if self._handing is None or self._handing.done():
            self._handing = self._in_background(self._hand_out())
        try:
            return await caller.call
        except asyncio.CancelledError:
            if caller.call.done() and not caller.call.cancelled():
                caller.call.result().weighed(NO_WEIGHT)
            raise
        finally:
            self._expect(-1, tokens)

    def hear(self, stated: Mapping[str, int | None], used_by_all: tuple[int | None, ...]) -> None:
        """Take note of limits that the API has stated, and of the tokens that everybody has used."""
        self._stated = {**self._stated, **stated}
        if used_by_all:
            self._seen_used = (used_by_all[0], used_by_all[1])
        if self._is_outdated() and not self._leasing.locked():
            self._in_background(self._block())

    def pause(self, seconds: float) -> None:
        """Hold every caller of every process back for this long."""
        now = asyncio.get_running_loop().time()
        if now + seconds > self._paused_until:
            self._paused_until = now + seconds
            self._pause_told = self._clock.latest(now + seconds)
            self._in_background(self._block())

    def correct(self, span: int, tokens: Tokens) -> None:
        """Count this many tokens more, or fewer, than were taken."""
        before = self._used.get(span, NO_TOKENS)
        self._used[span] = (before[0] + tokens[0], before[1] + tokens[1])

    async def close(self) -> None:
        """Report what was used, and give the rest back."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._beat:
            with contextlib.suppress(RunFailed):  # it ends by itself
                await self._block(idle=True)

    # ------------------------------------------------------------------------------------------- handing out

    async def _hand_out(self) -> None:
        """Give the callers their turns until none waits; all that is due at once, in the order in which they came."""
        try:
            while self._callers:
                caller = self._callers[0]
                wait = 0.0 if caller.call.done() else self._wait(caller.tokens)
                if wait is None:
                    self._head = caller.tokens
                    await self._next_block()
                elif wait > 0:
                    await asyncio.sleep(min(wait, _LOOK_SECONDS))
                else:
                    self._callers.popleft()
                    if not caller.call.done():  # who was cancelled needs none
                        caller.call.set_result(self._take(caller.tokens))
        except Exception as error:
            for caller in self._callers:
                if not caller.call.done():
                    caller.call.set_exception(error)
            self._callers.clear()
            raise

    def _wait(self, tokens: Tokens) -> float | None:
        """Seconds until the next turn of those that are held; None: there is none, or not enough tokens."""
        now = asyncio.get_running_loop().time()
        if self._paused_until > now:
            return self._paused_until - now
        moment = self._next_moment(now)
        if moment is None or not self._covers(tokens, now):
            return None
        return max(0.0, moment - now)

    def _next_moment(self, now: float) -> float | None:
        """When the first turn that is left may be used, seconds of the loop's clock; None: there is none."""
        while self._trains:
            train = self._trains[0]
            train.skip_before(self._clock.latest(now) - late_for(train.per_minute))
            if train.used < train.turns:
                return self._clock.reached(train.moment(train.used))
            self._trains.popleft()
        return None

    def _covers(self, tokens: Tokens, now: float) -> bool:
        _, *limits = self._limiter.per_minute
        wanted = [(left, need) for limit, left, need in zip(limits, self._left, tokens, strict=True) if limit]
        is_held = self._clock.latest(now) < self._until
        return all(need == 0 or (is_held and left >= need) for left, need in wanted)

    def _take(self, tokens: Tokens) -> QueuedCall:
        now = asyncio.get_running_loop().time()
        self._head = NO_TOKENS
        self._trains[0].used += 1
        self._turns += 1
        self._taken_at = now
        for kind in (0, 1):
            self._left[kind] = max(0, self._left[kind] - tokens[kind])
            self._tokens[kind] += tokens[kind]
        span = self._clock.latest(now) // SPAN
        self.correct(span, tokens)
        if now - self._leased_at > _REFILL_SECONDS and self._runs_low(now):
            self._in_background(self._block())
        return _SharedCall(source=self, span=span, tokens=list(tokens))

    def _runs_low(self, now: float) -> bool:
        """Whether the next callers would have to wait for a block."""
        if self._leasing.locked():
            return False
        left = sum(train.turns - train.used for train in self._trains)
        low = self._per_second * _EXPECTED_SECONDS * _LOW
        if self._others:
            low = max(low, min(self._waiting, self._per_second * _STOCK_SECONDS))
        else:
            low = max(low, _LOW * self._ahead)
        return left <= low or not self._covers((int(self._each[0]), int(self._each[1])), now)

    # ---------------------------------------------------------------------------------------------- leasing

    async def _next_block(self) -> None:
        """Lease the next block, unless there surely is none yet, or somebody else did so meanwhile."""
        beat, wait = self._beat, self._again - asyncio.get_running_loop().time()
        if wait > 0:
            look = _LOOK_SECONDS if self._others else _BEAT_SECONDS
            await asyncio.sleep(min(wait, look))
        if self._beat == beat:
            await self._block(beat=beat)

    async def _block(self, *, idle: bool = False, beat: int | None = None) -> None:
        """Report, and take up the next block; when `idle`, give back what is held instead."""
        loop = asyncio.get_running_loop()
        async with self._leasing:
            if beat is not None and beat != self._beat:
                return
            began = loop.time()
            ask = self._ask(began, idle=idle)
            block = await self._lease(ask)
            self._unconfirmed = None
            self._clock.saw(began, block.now, loop.time())
            self._take_up(block, ask)
        if not idle and (self._is_outdated() or self._reaches_far(block.now)):
            self._in_background(self._block())

    def _ask(self, now: float, *, idle: bool) -> BlockAsk:
        rates = self._limiter.per_minute
        tail = self._tail
        gives_all = idle or self._is_outdated()
        keep = self._trimmed(now, gives_all=gives_all)
        if self._unconfirmed is None:
            self._beat += 1
            self._unconfirmed, self._used = self._used, {}
        self._measure(now)
        expected = 0 if idle else self._per_second * _EXPECTED_SECONDS
        tokens = [int(self._waiting_tokens[kind] + expected * self._each[kind]) for kind in (0, 1)]
        if gives_all or self._clock.latest(now) >= self._until:
            self._left = [0, 0]
        elif self._others:
            self._left = [min(self._left[kind], tokens[kind]) for kind in (0, 1)]
        turns = 0 if idle else self._waiting + int(expected)
        return BlockAsk(
            holder=self._holder,
            beat=self._beat,
            per_minute=rates,
            turns=turns,
            need=self._head,
            tokens=(tokens[0], tokens[1]),
            held=(self._left[0], self._left[1]),
            used=self._unconfirmed,
            tail=tail,
            keep=keep,
            paused_until=self._pause_told,
            stated=self._stated,
            seen_used=self._seen_used,
        )

    def _trimmed(self, now: float, *, gives_all: bool) -> int:
        """Give up turns that others can use, or all of them; the end of what is kept."""
        if self._trains and (gives_all or self._reaches_far(self._clock.latest(now))):
            until = 0 if gives_all else self._clock.latest(now) + SHARED
            for train in reversed(self._trains):
                is_last = train.moment(train.turns) == self._tail
                train.cut_after(until)
                if is_last:  # what others have turns behind cannot be given back
                    self._tail = train.moment(train.turns)
        return self._tail

    def _is_outdated(self) -> bool:
        """Whether turns or tokens are held that are of other rates than the present ones."""
        rate, *limits = self._limiter.per_minute
        if any(self._left) and limits != self._limits:
            return True
        return any(train.per_minute != rate and train.used < train.turns for train in self._trains)

    def _reaches_far(self, now: int) -> bool:
        """Whether turns are held that other processes are kept waiting by."""
        if not self._others or not self._trains:
            return False
        last = self._trains[-1]
        return last.used < last.turns and last.moment(last.turns - 1) > now + AHEAD + 2 * SHARED

    def _take_up(self, block: Block, ask: BlockAsk) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if block.turns:
            self._trains.append(TurnTrain(block.start, block.turns, block.per_minute))
            self._tail = self._trains[-1].moment(block.turns)
        # tokens used since the report count against the new ones
        self._left = [block.tokens[kind] - (ask.held[kind] - self._left[kind]) for kind in (0, 1)]
        self._limits = list(ask.per_minute[1:])
        self._until, self._others, self._leased_at = block.until, block.others, now
        self._ahead = sum(train.turns - train.used for train in self._trains)
        if block.again > block.now:
            self._again = now + (block.again - block.now) / SECOND
        if block.paused_until > block.now:
            self._paused_until = max(self._paused_until, now + (block.paused_until - block.now) / SECOND)
        if self._stated is ask.stated:
            self._stated, self._seen_used = {}, (None, None)
            self._limiter.heed(block.stated)
        if self._keeper is None:
            self._keeper = self._in_background(self._keep())

    def _measure(self, now: float) -> None:
        """What callers take a second, and each of them, by what was seen of late."""
        span = max(now - self._leased_at, 0.05)
        self._per_second = (self._per_second + self._turns / span) / 2
        if self._turns:
            self._each = [(self._each[kind] + self._tokens[kind] / self._turns) / 2 for kind in (0, 1)]
        self._turns, self._tokens = 0, [0, 0]

    def _expect(self, callers: int, tokens: Tokens) -> None:
        self._waiting += callers
        for kind in (0, 1):
            self._waiting_tokens[kind] += callers * tokens[kind]

    # --------------------------------------------------------------------------------------------- background

    async def _keep(self) -> None:
        """Report what was used while no block was needed, notice others, and give back what nobody uses."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            now = loop.time()
            is_idle = not self._waiting and now - self._taken_at >= _BEAT_SECONDS
            has_something = self._used or self._next_moment(now) is not None or any(self._left)
            if now - self._leased_at >= _BEAT_SECONDS and (has_something or not is_idle):
                with contextlib.suppress(RunFailed):
                    await self._block(idle=is_idle)

    def _in_background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        async def whole() -> None:
            with contextlib.suppress(RunFailed):  # whoever needs a turn hears of it
                await work

        task = asyncio.create_task(whole())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
