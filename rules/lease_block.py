"""Which part of an account's rate a process may use next: a block of turns and tokens, so that no two blocks overlap.

Turns are moments on one line, a rate apart, and every turn is given away once: whoever has it may use it up to
`late_for` later and never before, so that no minute and no second sees more than the rate. Tokens are kept by the
quarter of a second in which they were used. What a process holds counts as used until it reports less, and for a minute
after the last moment at which it may use it, so that the tokens of a process that died are never given away twice.

Moments and spans are whole microseconds by the database's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SECOND = 1_000_000
MINUTE = 60 * SECOND
#: how far ahead turns go to the only process
ALONE = 6 * SECOND
#: how far ahead they go to several: no turn is lost when a lease takes this long, or nobody asks for one meanwhile
AHEAD = 3 * SECOND
#: how much of that a process gets at a time, at least, and its part of what nobody has where that is more
SHARED = SECOND // 2
#: the tokens used within this long are kept as one figure
SPAN = SECOND // 4
#: how long after it last asked for turns a process counts as one of those that share
LIVE = 8 * SECOND
#: how long the tokens of a block may be used
HELD = 10 * SECOND
#: a rate of a minute with this many seconds leaves room for turns that are used late
PACED_MINUTE = 61 * SECOND
#: how late turns are used at most and at least, and what is kept of the API's second for delays on the way to it
_LATEST = 3 * SECOND // 4
_LEAST_LATE = SECOND // 4
_ON_THE_WAY = SECOND // 5
#: no turn is given away so far ahead: the database's clock was put back
_TOO_FAR = 180 * SECOND
#: what the API rounds remaining tokens to
ROUNDED_TO = 1_000
#: the part of the free tokens that a process alone holds in advance
_IN_ADVANCE = 4
#: how soon to ask again for what another process may give back
_AGAIN = SECOND // 4

#: input and output tokens
Tokens = tuple[int, int]
NO_TOKENS: Tokens = (0, 0)


@dataclass(slots=True)
class Holding:
    """What one process has of an allowance.

    Attributes:
        beat: the number of its last report.
        asked: when it last asked for turns; 0: it has left.
        until: to when it may use `tokens`.
        tokens: that it holds and has not reported as used.
        since: since when its first caller waits for tokens; 0: none does.
        need: what that caller needs.
    """

    beat: int = 0
    asked: int = 0
    until: int = 0
    tokens: Tokens = NO_TOKENS
    since: int = 0
    need: Tokens = NO_TOKENS


@dataclass(slots=True)
class Allowance:
    """The state of one rate of one account.

    Attributes:
        next_turn: the first turn that nobody has.
        paused_until: no turn before it is given away.
        stated: what the API's headers last stated, by the name of the limit; None: that there is no such limit.
        taken: tokens used, by the number of the span.
        holdings: by process.
    """

    next_turn: int = 0
    paused_until: int = 0
    stated: dict[str, int | None] = field(default_factory=dict)
    taken: dict[int, Tokens] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlockAsk:
    """What a process reports and asks for.

    Attributes:
        holder: the process.
        beat: counts its reports, from 1: one that arrives twice is booked once.
        per_minute: the rates by its policy and the account: requests, input and output tokens; None: no such limit.
        turns: callers that wait or are expected; 0: nothing is asked for.
        need: tokens of the first of them.
        tokens: of all of them.
        held: what it keeps of the tokens that it holds.
        used: tokens used or corrected since the last report, by span.
        tail: the end of its last turns as it got them.
        keep: the end of those that it keeps.
        paused_until: as the API said to it.
        stated: limits that the API has stated since the last report.
        seen_used: tokens that the API counts as used by everybody; None: unknown, or not to be heeded.
    """

    holder: str
    beat: int
    per_minute: tuple[int, int | None, int | None]
    turns: int = 0
    need: Tokens = NO_TOKENS
    tokens: Tokens = NO_TOKENS
    held: Tokens = NO_TOKENS
    used: Mapping[int, Tokens] = field(default_factory=dict)
    tail: int = 0
    keep: int = 0
    paused_until: int = 0
    stated: Mapping[str, int | None] = field(default_factory=dict)
    seen_used: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Block:
    """What a process got.

    Attributes:
        now: when it was given.
        start: the moment of the first turn.
        turns: how many, one after the other at `per_minute`.
        tokens: that it holds now in all.
        until: to when it may use them.
        again: when to ask again, if there were no turns.
        others: processes that share.
        paused_until: the latest moment that any of them was asked to wait for.
        stated: what the API's headers last stated.
    """

    now: int
    start: int
    turns: int
    per_minute: int
    tokens: Tokens
    until: int
    again: int
    others: int
    paused_until: int
    stated: Mapping[str, int | None]


def late_for(per_minute: int) -> int:
    """How long after its moment a turn may still be used.

    The API may enforce a rate by the second: what was left over comes back for a second, and no longer. Turns at a rate r
    that are used up to L seconds late never pass a second's worth if L <= 1 - 60 / r, and never a minute's if L <= 1.
    A turn that is later than that is one that the API has lost, too.
    """
    return min(_LATEST, max(_LEAST_LATE, SECOND - MINUTE // per_minute - _ON_THE_WAY))


def turn_moment(start: int, number: int, per_minute: int) -> int:
    """The moment of a turn of a block, counted from 0."""
    return start - (-number * PACED_MINUTE // per_minute)


def lease_block(allowance: Allowance, ask: BlockAsk, now: int) -> Block:
    """Book what a process reports, and give it its next block; the allowance is changed."""
    _forget(allowance, now)
    _book(allowance, ask, now)
    mine = allowance.holdings[ask.holder]
    others = [
        one for name, one in allowance.holdings.items() if name != ask.holder and one.asked + LIVE > now
    ]
    mine.tokens, mine.until = ask.held, now + HELD
    again = now
    start = turns = 0
    if ask.turns:
        mine.asked = now
        again = _lease_tokens(allowance, ask, others, now)
    elif ask.held == NO_TOKENS:
        mine.asked = mine.since = 0
    if ask.turns and again <= now:
        start, turns, again = _lease_turns(allowance, ask, len(others), now)
    return Block(
        now=now,
        start=start,
        turns=turns,
        per_minute=ask.per_minute[0],
        tokens=mine.tokens,
        until=mine.until,
        again=again,
        others=len(others),
        paused_until=allowance.paused_until,
        stated=dict(allowance.stated),
    )


def _forget(allowance: Allowance, now: int) -> None:
    """Drop what counts no more; what is dated ahead, because the clock was put back, counts from now."""
    if allowance.next_turn > max(now, allowance.paused_until) + _TOO_FAR:
        allowance.next_turn = now
    here, taken = now // SPAN, allowance.taken
    for span in list(taken):
        if (span + 1) * SPAN + MINUTE <= now:
            del taken[span]
        elif span > here + HELD // SPAN:
            _add(taken, here, taken.pop(span))
    for name, one in list(allowance.holdings.items()):
        one.asked, one.until = min(one.asked, now), min(one.until, now + HELD)
        if max(one.asked, one.until) + MINUTE <= now:
            del allowance.holdings[name]


def _book(allowance: Allowance, ask: BlockAsk, now: int) -> None:
    """Book a report: tokens used, turns given back, and what the API said."""
    mine = allowance.holdings.setdefault(ask.holder, Holding())
    if ask.beat > mine.beat:
        mine.beat = ask.beat
        for span, tokens in ask.used.items():
            if (span + 1) * SPAN + MINUTE > now:
                _add(allowance.taken, span, tokens)
    if ask.keep < ask.tail == allowance.next_turn:
        allowance.next_turn = ask.keep
    allowance.paused_until = max(allowance.paused_until, ask.paused_until)
    allowance.stated.update(ask.stated)
    sums = _sums(allowance, ask.holder)
    unseen = [0, 0]
    for kind, seen in enumerate(ask.seen_used):
        if seen is not None and seen - sums[kind] - ask.held[kind] > ROUNDED_TO:
            unseen[kind] = seen - sums[kind] - ask.held[kind]
    _add(allowance.taken, now // SPAN, (unseen[0], unseen[1]))


def _lease_tokens(allowance: Allowance, ask: BlockAsk, others: list[Holding], now: int) -> int:
    """Give a process tokens for its callers; when to ask again, now if its first caller has enough."""
    mine = allowance.holdings[ask.holder]
    since = mine.since or now
    older = [one for one in others if 0 < one.since < since]
    sums, got, again = _sums(allowance, ask.holder), [0, 0], now
    for kind in (0, 1):
        limit = ask.per_minute[1 + kind]
        if limit is None:
            continue
        need, held = ask.need[kind], ask.held[kind]
        promised = sums[kind] + sum(one.need[kind] for one in older)
        free = max(0, limit - promised - held)
        goes_alone = need > limit and promised == 0
        if need > held + free and not goes_alone:
            again = max(again, _freed(allowance, kind, need - held - limit + promised, now))
            continue
        wanted = max(ask.tokens[kind], (held + free) // _IN_ADVANCE)
        if others:
            wanted = min(ask.tokens[kind], held + free // (len(others) + 1))
        got[kind] = max(need, min(wanted, held + free)) - held
    if again > now:
        mine.since, mine.need = since, ask.need
        return again
    mine.since, mine.need = 0, NO_TOKENS
    mine.tokens = (ask.held[0] + max(0, got[0]), ask.held[1] + max(0, got[1]))
    return now


def _lease_turns(allowance: Allowance, ask: BlockAsk, others: int, now: int) -> tuple[int, int, int]:
    """Give a process turns: the moment of the first, how many, and when to ask again."""
    per_minute = ask.per_minute[0]
    # turns that nobody has taken are given away later, as long as who gets them can still use them
    start = max(allowance.next_turn, allowance.paused_until, now - late_for(per_minute) // 2)
    ahead = ALONE
    if others:
        ahead = AHEAD
    if start > now + ahead:
        return 0, 0, start - ahead
    last = now + ahead
    if others:
        last = start + max(SHARED, (last - start) // (others + 1))
    turns = 1 + (last - start) * per_minute // PACED_MINUTE
    if others:
        turns = min(turns, ask.turns)
    allowance.next_turn = turn_moment(start, turns, per_minute)
    return start, turns, now


def _sums(allowance: Allowance, holder: str) -> Tokens:
    """Tokens that count as used, without what one process holds."""
    held = [one.tokens for name, one in allowance.holdings.items() if name != holder]
    counted = [*allowance.taken.values(), *held]
    return sum(tokens[0] for tokens in counted), sum(tokens[1] for tokens in counted)


def _freed(allowance: Allowance, kind: int, tokens: int, now: int) -> int:
    """When this many tokens will no longer count as used."""
    for span in sorted(allowance.taken):
        tokens -= allowance.taken[span][kind]
        if tokens <= 0:
            return max(now + 1, (span + 1) * SPAN + MINUTE)
    return now + _AGAIN


def _add(taken: dict[int, Tokens], span: int, tokens: Tokens) -> None:
    if tokens != NO_TOKENS:
        before = taken.get(span, NO_TOKENS)
        taken[span] = (before[0] + tokens[0], before[1] + tokens[1])
