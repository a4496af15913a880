"""Compare the ledger with the provider's reports, line by line, and say what does not match.

Plain functions; money is exact throughout.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal, localcontext

from schemas.bill import (
    BATCH_TIER,
    MISMATCHES,
    TOKENS,
    WEB_SEARCH,
    BillSide,
    Comparison,
    Difference,
    Finding,
    Held,
    LedgerBill,
    LineKind,
    ProviderBill,
    Use,
)
from schemas.errors import BadInput
from schemas.money import EXACT, NANO_PER_USD, usd_exact

#: tiers that the cost report leaves out (source: Anthropic docs, "Usage and Cost API", 2026-08)
_UNCOSTED = "priority"
_SENTENCES = {
    Finding.NOT_IN_LEDGER: "not in this ledger: other use of the same workspace, or attempts of unknown outcome",
    Finding.SHIFTED: "shifted between days: cancels out over the period",
    Finding.WITHIN_TOLERANCE: "within the tolerance",
    Finding.ROUNDED: "matches except for rounding: the ledger rounds each request up to a nano-USD",
    Finding.MATCHES: "matches",
}


def compare(
    ledger: LedgerBill,
    report: ProviderBill,
    first_day: date | None = None,
    last_day: date | None = None,
    tolerance: Decimal = Decimal(0),
) -> Comparison:
    """The ledger compared with the bill, over a period.

    Args:
        first_day: None: the first day that the reports cover.
        last_day: None: the last day that they cover; it is in the period.
        tolerance: how far a figure of the ledger may lie from the report's, in percent of that.

    Raises:
        BadInput: one is simulated and the other is not; or the reports do not cover the period.
    """
    _refuse_a_mix(ledger, report)
    first, last = _period(report, first_day, last_day)
    with localcontext(EXACT):
        lines = _judged(list(_sides(ledger, report, first, last)), tolerance)
        held = [
            found.model_copy(update={"surplus_usd": _surplus(lines, found)})
            for found in ledger.held
            if found.day <= last
        ]
        both = [line for line in lines if line.difference_usd is not None]
        ours = sum((line.ledger.usd or Decimal(0) for line in both), Decimal(0))
        theirs = sum((line.report.usd or Decimal(0) for line in both), Decimal(0))
        costed = report.cost is not None
        matches = not any(line.verdict in MISMATCHES for line in lines)
        compared = Comparison(
            matches=matches,
            simulated=ledger.simulated if report.simulated is None else report.simulated,
            ledger=ledger.url,
            report=report.source,
            first_day=first,
            last_day=last,
            tolerance_percent=tolerance,
            usage_compared=report.usage is not None,
            cost_compared=costed,
            ledger_usd=ours if costed else None,
            report_usd=theirs if costed else None,
            difference_usd=ours - theirs if costed else None,
            sentences=[],
            lines=lines,
            held=held,
        )
        compared.sentences = list(_sentences_of(compared, _outside(ledger, first, last)))
    return compared


def _refuse_a_mix(ledger: LedgerBill, report: ProviderBill) -> None:
    if None in (ledger.simulated, report.simulated) or ledger.simulated == report.simulated:
        return
    names = {True: "simulated", False: "real"}
    raise BadInput(
        f"The ledger {ledger.url} holds {names[bool(ledger.simulated)]} runs and the report ({report.source}) is "
        f"{names[bool(report.simulated)]}: the two cannot match. Name the other ledger with --ledger, or the other "
        "report with --cost-report. Nothing was compared."
    )


def _period(report: ProviderBill, first: date | None, last: date | None) -> tuple[date, date]:
    """The days to compare, all of which the reports must cover: a day left out must not pass for a match."""
    if not report.days:
        raise BadInput(f"The report ({report.source}) covers no whole UTC day. Nothing was compared.")
    start, end = first or min(report.days), last or max(report.days)
    missing = next((day for day in _days(start, end) if day not in report.days), None)
    if missing is not None or end < start:
        problem = f"has no bucket of {missing}" if missing is not None else "ends before the period begins"
        raise BadInput(
            f"The report ({report.source}) {problem}: it covers days from {min(report.days)} to {max(report.days)}. "
            "Choose the period with --from and --to. Nothing was compared."
        )
    return start, end


def _days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _sides(
    ledger: LedgerBill, report: ProviderBill, first: date, last: date
) -> Iterable[tuple[date, LineKind, BillSide, BillSide]]:
    """(day, kind, what the ledger says, what the report says) of every line that either has."""
    keys = {*ledger.lines, *(report.usage or ()), *(report.cost or ())}
    for day, kind in sorted(keys, key=lambda key: (key[0], *(part or "" for part in key[1]))):
        if not first <= day <= last:
            continue
        used = report.usage is not None and kind.what == TOKENS
        costed = report.cost is not None and not (kind.tier or "").startswith(_UNCOSTED)
        if not used and not costed:
            continue
        theirs = BillSide(
            use=(report.usage or {}).get((day, kind), Use()) if used else None,
            usd=(report.cost or {}).get((day, kind), Decimal(0)) if costed else None,
        )
        nothing = BillSide(use=Use() if kind.what == TOKENS else None, usd=Decimal(0))
        yield day, kind, ledger.lines.get((day, kind), nothing), theirs


def _judged(
    sides: Sequence[tuple[date, LineKind, BillSide, BillSide]], tolerance: Decimal
) -> list[Difference]:
    """Every line with its verdict, the worst first."""
    totals: dict[LineKind, tuple[BillSide, BillSide]] = {}
    for _, kind, ours, theirs in sides:
        before = totals.get(kind)
        totals[kind] = (before[0] + ours, before[1] + theirs) if before else (ours, theirs)
    cancelled = {kind for kind, pair in totals.items() if _verdict(*pair, tolerance) not in MISMATCHES}
    lines = []
    for day, kind, ours, theirs in sides:
        verdict = _verdict(ours, theirs, tolerance)
        if verdict in MISMATCHES and kind in cancelled:
            verdict = Finding.SHIFTED
        lines.append(_difference((day, kind), ours, theirs, verdict))
    order = list(Finding)
    return sorted(lines, key=lambda line: order.index(line.verdict))


def _difference(key: tuple[date, LineKind], ours: BillSide, theirs: BillSide, verdict: Finding) -> Difference:
    day, kind = key
    between = None if ours.usd is None or theirs.usd is None else ours.usd - theirs.usd
    if verdict == Finding.REPORT_LACKS:
        sentence = f"the report lacks {_lacking(ours, theirs, between)} that the ledger has as paid for"
    else:
        sentence = _SENTENCES[verdict]
    return Difference(
        day=day,
        what=kind.what,
        model=kind.model,
        tier=kind.tier,
        ledger=ours,
        report=theirs,
        difference_usd=between,
        verdict=verdict,
        sentence=sentence,
    )


def _lacking(ours: BillSide, theirs: BillSide, between: Decimal | None) -> str:
    """What the ledger has more."""
    parts = [f"{usd_exact(between)} USD"] if between is not None and between > 0 else []
    parts += [
        f"{mine - other:,} {name}"
        for name, mine, other in _compared_use(ours.use, theirs.use)
        if mine > other
    ]
    return " and ".join(parts)


def _verdict(ours: BillSide, theirs: BillSide, tolerance: Decimal) -> Finding:
    gaps = [(Decimal(mine - other), Decimal(other)) for _, mine, other in _compared_use(ours.use, theirs.use)]
    same_use = not any(gap for gap, _ in gaps)
    rounded = False
    if ours.usd is not None and theirs.usd is not None:
        between = ours.usd - theirs.usd
        rounded = same_use and 0 < between < Decimal(ours.attempts) / NANO_PER_USD
        gaps += [(between, theirs.usd)] if not rounded else []
    if not any(gap for gap, _ in gaps):
        return Finding.ROUNDED if rounded else Finding.MATCHES
    wide = [gap for gap, base in gaps if abs(gap) * 100 > tolerance * abs(base)]
    if not wide:
        return Finding.WITHIN_TOLERANCE
    return Finding.REPORT_LACKS if max(wide) > 0 else Finding.NOT_IN_LEDGER


def _compared_use(ours: Use | None, theirs: Use | None) -> list[tuple[str, int, int]]:
    """(name, the ledger's figure, the report's) of what both say was used; writes by life where both state them."""
    if ours is None or theirs is None:
        return []
    if ours.cache_writes_1h is None or theirs.cache_writes_1h is None:
        writes = [("cache write tokens", ours.cache_writes, theirs.cache_writes)]
    else:
        short, hour = ours.cache_writes - ours.cache_writes_1h, ours.cache_writes_1h
        their_short, their_hour = theirs.cache_writes - theirs.cache_writes_1h, theirs.cache_writes_1h
        writes = [
            ("5-minute cache write tokens", short, their_short),
            ("1-hour cache write tokens", hour, their_hour),
        ]
    return [
        ("input tokens", ours.input, theirs.input),
        *writes,
        ("cache read tokens", ours.cache_reads, theirs.cache_reads),
        ("output tokens", ours.output, theirs.output),
        ("web searches", ours.web_searches, theirs.web_searches),
    ]


def _surplus(lines: Iterable[Difference], held: Held) -> Decimal:
    """What the report has more, from the day on that an attempt was sent on, for its model and tier."""
    more = Decimal(0)
    for line in lines:
        same = (line.model, line.tier) == (held.model, held.tier) and line.day >= held.day
        if same and line.verdict == Finding.NOT_IN_LEDGER and line.difference_usd is not None:
            more -= line.difference_usd
    return more


def _outside(ledger: LedgerBill, first: date, last: date) -> Decimal:
    """What the ledger has as paid for on other days."""
    return sum(
        (figures.usd or Decimal(0) for (day, _), figures in ledger.lines.items() if not first <= day <= last),
        Decimal(0),
    )


def _sentences_of(compared: Comparison, outside: Decimal) -> Iterable[str]:
    """What to know, the worst first."""
    by_verdict = {
        verdict: [line for line in compared.lines if line.verdict == verdict] for verdict in Finding
    }
    if lacking := by_verdict[Finding.REPORT_LACKS]:
        edge = any(line.day == compared.first_day and line.tier == BATCH_TIER for line in lacking)
        yield (
            f"The report lacks what the ledger has as paid for, on {_lines(lacking)}{_sum_words(lacking)}. It usually "
            "follows within five minutes."
            + (
                " A batch that ended on the first day may have been billed before it (--from)."
                if edge
                else ""
            )
        )
    if surplus := by_verdict[Finding.NOT_IN_LEDGER]:
        yield (
            f"The report has more than this ledger, on {_lines(surplus)}{_sum_words(surplus)}: other use of the same "
            "workspace, or attempts of unknown outcome."
        )
    for held in compared.held:
        yield _held_sentence(held, costed=compared.cost_compared)
    if shifted := by_verdict[Finding.SHIFTED]:
        yield (
            f"Shifted between days on {_lines(shifted)}: what is worked on over midnight, such as a batch, is billed on "
            "one day and settled on the next; over the period the sums match."
        )
    if bounds := sum(line.ledger.bounds for line in compared.lines):
        yield (
            f"{bounds} attempt(s) are settled at a bound, because their usage did not say all that was billed: the "
            "ledger may lie above the bill there."
        )
    if outside:
        yield f"The ledger has {usd_exact(outside)} USD on other days, which were not compared."
    if compared.matches:
        yield _all_well(compared)


def _all_well(compared: Comparison) -> str:
    days = f"from {compared.first_day} to {compared.last_day}"
    if not compared.lines:
        return f"Neither the ledger nor the report has anything {days}."
    exact = {line.verdict for line in compared.lines} == {Finding.MATCHES}
    how = "exactly" if exact else "except as noted at the lines above"
    if compared.cost_compared and compared.ledger_usd is not None:
        sums = f": {usd_exact(compared.ledger_usd)} USD in the ledger, {usd_exact(compared.report_usd or Decimal(0))} in the report"
    else:
        sums = ""
    return f"Everything matches {how}, {days}{sums}."


def _lines(lines: Sequence[Difference]) -> str:
    return f"{len(lines)} line(s)"


def _sum_words(lines: Sequence[Difference]) -> str:
    known = [line.difference_usd for line in lines if line.difference_usd is not None]
    return f", {usd_exact(abs(sum(known, Decimal(0))))} USD in sum" if known else ""


def _held_sentence(held: Held, *, costed: bool) -> str:
    where = f"on {held.model} ({held.tier}), sent on {held.day}"
    if held.state == "open":
        words = f"{held.attempts} attempt(s) in flight hold {usd_exact(held.usd)} USD {where}"
    else:
        words = f"{held.attempts} attempt(s) of unknown outcome hold {usd_exact(held.usd)} USD {where}"
    if not costed:
        return f"{words}; they may be billed."
    if not held.surplus_usd:
        return f"{words}: the report shows no more than the ledger from that day on."
    return (
        f"{words}: the report shows {usd_exact(held.surplus_usd)} USD more than the ledger from that day on."
    )


def line_name(line: Difference) -> str:
    """What a line is for, in words."""
    if line.what == WEB_SEARCH:
        return "web searches"
    return line.model or line.what.replace("_", " ")
