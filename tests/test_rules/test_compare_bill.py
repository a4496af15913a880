"""The comparison: what is the same matches, what is not is named, and no sum is lost."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rules.compare_bill import compare
from schemas.bill import TOKENS, WEB_SEARCH, BillSide, Finding, Held, LedgerBill, LineKind, ProviderBill, Use
from schemas.errors import BadInput
from schemas.money import usd_exact

DAY = date(2026, 11, 20)
DAYS = [DAY + timedelta(days=number) for number in range(4)]
KINDS = [
    LineKind(TOKENS, "claude-haiku-5-5", "batch"),
    LineKind(TOKENS, "claude-haiku-5-5", "standard"),
    LineKind(TOKENS, "claude-opus-5-5", "batch"),
]
FIELDS = ("input", "cache_writes", "cache_reads", "output", "web_searches")

numbers = st.integers(0, 10**9)
uses = st.builds(
    Use,
    input=numbers,
    cache_writes=st.integers(10**6, 10**9),
    cache_writes_1h=st.none() | st.integers(0, 10**6),
    cache_reads=numbers,
    output=numbers,
    web_searches=st.integers(0, 100),
)
amounts = st.integers(0, 10**15).map(lambda nano: Decimal(nano).scaleb(-9))
token_lines = st.dictionaries(
    st.tuples(st.sampled_from(DAYS), st.sampled_from(KINDS)),
    st.builds(BillSide, use=uses, usd=amounts, attempts=st.integers(1, 1_000)),
    max_size=10,
)
search_lines = st.dictionaries(
    st.tuples(st.sampled_from(DAYS), st.just(LineKind(WEB_SEARCH))),
    st.builds(BillSide, usd=amounts),
    max_size=3,
)
bills = st.builds(lambda tokens, searches: tokens | searches, token_lines, search_lines)


def ledger_of(lines, held=(), simulated=None):
    return LedgerBill("sqlite:///x", lines, tuple(held), simulated, min((d for d, _ in lines), default=None))


def report_of(lines, days=DAYS, simulated=None):
    """A report that has these lines; it tells writes apart by their life."""
    used = {key: f.use.model_copy(update={"cache_writes_1h": f.use.cache_writes_1h or 0})
            for key, f in lines.items() if f.use}  # fmt: skip
    return ProviderBill(
        used, {key: f.usd for key, f in lines.items()}, frozenset(days), simulated, "a report"
    )


def mismatched(compared):
    return [
        ((line.day, line.kind), line.verdict)
        for line in compared.lines
        if line.verdict in (Finding.REPORT_LACKS, Finding.NOT_IN_LEDGER)
    ]


@given(bills)
def test_a_ledger_and_a_report_of_the_same_lines_match(lines):
    compared = compare(ledger_of(lines), report_of(lines))
    assert compared.matches
    assert {line.verdict for line in compared.lines} <= {Finding.MATCHES}
    assert len(compared.lines) == len(lines)
    assert compared.difference_usd == 0
    assert compared.ledger_usd == sum(figures.usd for figures in lines.values())


@given(bills, st.data())
def test_the_one_line_that_was_changed_is_the_one_that_is_reported(lines, data):
    assume(lines)
    key = data.draw(st.sampled_from(sorted(lines, key=str)))
    before = lines[key]
    field = data.draw(st.sampled_from(("usd", *FIELDS) if before.use else ("usd",)))
    less = data.draw(st.booleans())
    if field == "usd":
        # more than rounding can explain, on this day and over all of them
        attempts = sum(side.attempts for (_, kind), side in lines.items() if kind == key[1])
        by = attempts + data.draw(st.integers(1, 10**12))
        changed = before.model_copy(update={"usd": before.usd + (-by if less else by) * Decimal("1e-9")})
    else:
        by = data.draw(st.integers(1, 10**6))
        new = getattr(before.use, field) + (-by if less else by)
        changed = before.model_copy(update={"use": before.use.model_copy(update={field: new})})
    compared = compare(ledger_of(lines), report_of(lines | {key: changed}))
    assert mismatched(compared) == [(key, Finding.REPORT_LACKS if less else Finding.NOT_IN_LEDGER)]
    assert not compared.matches
    assert compared.lines[0].kind == key[1]


@given(bills, bills)
def test_the_differences_add_up_to_the_difference_of_the_sums(ours, theirs):
    compared = compare(ledger_of(ours), report_of(theirs))
    total = sum((f.usd for f in ours.values()), Decimal(0)) - sum(
        (f.usd for f in theirs.values()), Decimal(0)
    )
    assert sum((line.difference_usd for line in compared.lines), Decimal(0)) == total
    assert compared.difference_usd == total
    assert {(line.day, line.kind) for line in compared.lines} == {*ours, *theirs}
    worst = [list(Finding).index(line.verdict) for line in compared.lines]
    assert worst == sorted(worst)


@given(token_lines, st.data())
def test_lines_moved_to_another_day_are_a_shift_and_not_a_mismatch(lines, data):
    assume(lines)
    lines = {key: f.model_copy(update={"use": _split(f.use)}) for key, f in lines.items()}
    moved = {}
    for (_, kind), figures in lines.items():
        key = data.draw(st.sampled_from(DAYS)), kind
        moved[key] = moved[key] + figures if key in moved else figures
    report = report_of(moved)
    compared = compare(ledger_of(lines), report)
    assert compared.matches
    assert {line.verdict for line in compared.lines} <= {Finding.MATCHES, Finding.SHIFTED, Finding.ROUNDED}
    stayed = report.usage == {key: f.use for key, f in lines.items()}
    assert stayed or any(line.verdict == Finding.SHIFTED for line in compared.lines)
    assert compared.difference_usd == 0


def _split(use):
    return use.model_copy(update={"cache_writes_1h": use.cache_writes_1h or 0})


@given(st.integers(1, 10**6), st.decimals("0.0001", "1000", places=13))
def test_rounding_up_is_told_from_a_difference(attempts, exact):
    key = DAY, KINDS[0]
    use = Use(input=5)
    for more, verdict in (
        (Decimal(attempts) * Decimal("1e-9") - Decimal("1e-13"), Finding.ROUNDED),
        (Decimal(attempts) * Decimal("1e-9"), Finding.REPORT_LACKS),
        (-Decimal("1e-13"), Finding.NOT_IN_LEDGER),
    ):
        ledger = {key: BillSide(use=use, usd=exact + more, attempts=attempts)}
        [line] = compare(ledger_of(ledger), report_of({key: BillSide(use=use, usd=exact)})).lines
        assert line.verdict == verdict
        assert line.difference_usd == more


@pytest.mark.parametrize(
    ("percent", "verdict"),
    [("0", Finding.NOT_IN_LEDGER), ("0.99", Finding.NOT_IN_LEDGER), ("1", Finding.WITHIN_TOLERANCE)],
)
def test_the_tolerance_is_in_percent_of_the_report(percent, verdict):
    key = DAY, KINDS[0]
    ledger = {key: BillSide(use=Use(input=99), usd=Decimal(1), attempts=1)}
    report = report_of({key: BillSide(use=Use(input=100), usd=Decimal(1))})
    compared = compare(ledger_of(ledger), report, tolerance=Decimal(percent))
    assert [line.verdict for line in compared.lines] == [verdict]
    assert compared.matches is (percent == "1")


def test_what_the_report_lacks_comes_first_and_a_surplus_says_what_it_may_be():
    lacking, surplus = (DAYS[0], KINDS[0]), (DAYS[1], KINDS[1])
    compared = compare(
        ledger_of({lacking: BillSide(use=Use(input=7), usd=Decimal("0.5"), attempts=1)}),
        report_of({surplus: BillSide(use=Use(output=3), usd=Decimal("0.25"))}),
    )
    assert [line.verdict for line in compared.lines] == [Finding.REPORT_LACKS, Finding.NOT_IN_LEDGER]
    assert compared.lines[0].sentence == (
        "the report lacks 0.500000000 USD and 7 input tokens that the ledger has as paid for"
    )
    assert "other use of the same workspace" in compared.lines[1].sentence
    assert "lacks" in compared.sentences[0]
    assert "--from" in compared.sentences[0]
    assert "0.250000000 USD in sum" in compared.sentences[1]


def test_attempts_of_unknown_outcome_are_set_beside_the_surplus_they_may_explain():
    key = DAYS[1], KINDS[1]
    held = [
        Held(day=day, model=KINDS[1].model, tier="standard", state=state, attempts=3, usd=Decimal("0.12"))
        for day, state in ((DAYS[0], "unknown"), (DAYS[2], "open"), (DAYS[3] + timedelta(days=1), "unknown"))
    ]
    compared = compare(ledger_of({}, held), report_of({key: BillSide(use=Use(), usd=Decimal("0.05"))}))
    assert [found.surplus_usd for found in compared.held] == [Decimal("0.05"), 0]
    assert not compared.matches
    assert (
        "3 attempt(s) of unknown outcome hold 0.120000000 USD on claude-haiku-5-5 (standard), sent on 2026-11-20: the "
        "report shows 0.050000000 USD more than the ledger from that day on." in compared.sentences
    )
    assert any("in flight" in sentence and "no more" in sentence for sentence in compared.sentences)


def test_only_what_the_reports_say_is_compared():
    key, search = (DAY, KINDS[0]), (DAY, LineKind(WEB_SEARCH))
    lines = {
        key: BillSide(use=Use(input=1), usd=Decimal(1), attempts=1, bounds=1),
        search: BillSide(usd=Decimal(9)),
    }
    both = report_of(lines)
    used = compare(ledger_of(lines), ProviderBill(both.usage, None, both.days, None, "usage"))
    assert used.matches
    assert (used.cost_compared, used.ledger_usd, len(used.lines)) == (False, None, 1)
    costed = compare(ledger_of(lines), ProviderBill(None, both.cost, both.days, None, "cost"))
    assert costed.matches
    assert (costed.usage_compared, costed.ledger_usd, len(costed.lines)) == (False, 10, 2)
    assert any("settled at a bound" in sentence for sentence in costed.sentences)
    # the cost report leaves Priority Tier out, so its money cannot be held against the ledger
    priority = DAY, LineKind(TOKENS, "claude-opus-5-5", "priority")
    mine = {priority: lines[key]}
    report = ProviderBill({priority: Use(input=1)}, {}, both.days, None, "both")
    [line] = compare(ledger_of(mine), report).lines
    assert (line.verdict, line.report.usd, line.difference_usd) == (Finding.MATCHES, None, None)
    report = ProviderBill({priority: Use(input=2)}, {}, both.days, None, "both")
    assert not compare(ledger_of(mine), report).matches


def test_days_that_a_report_does_not_cover_never_pass_for_a_match():
    key = DAYS[3], KINDS[0]
    lines = {key: BillSide(use=Use(input=1), usd=Decimal(2), attempts=1)}
    short = report_of({}, days=DAYS[:2])
    compared = compare(ledger_of(lines), short)
    assert (compared.matches, compared.last_day) == (True, DAYS[1])
    assert "The ledger has 2.000000000 USD on other days, which were not compared." in compared.sentences
    for first, last in ((None, DAYS[3]), (DAY - timedelta(days=1), None), (DAYS[2], None)):
        with pytest.raises(BadInput, match="covers days from 2026-11-20 to 2026-11-21"):
            compare(ledger_of(lines), short, first, last)
    with pytest.raises(BadInput, match="2026-11-21"):
        compare(ledger_of(lines), report_of({}, days=[DAYS[0], DAYS[2]]))
    with pytest.raises(BadInput, match="no whole UTC day"):
        compare(ledger_of(lines), report_of({}, days=[]))


@pytest.mark.parametrize("simulated", [True, False])
def test_a_simulated_ledger_and_a_real_bill_are_not_compared_nor_the_reverse(simulated):
    with pytest.raises(BadInput, match="simulated"):
        compare(ledger_of({}, simulated=simulated), report_of({}, simulated=not simulated))
    for known, told in ((simulated, simulated), (simulated, None), (None, simulated)):
        assert compare(ledger_of({}, simulated=known), report_of({}, simulated=told)).simulated is simulated


def test_amounts_are_decimal_strings_to_the_last_digit():
    key = DAY, KINDS[0]
    exact = Decimal("0.12345678901234567890123456789012345")
    compared = compare(
        ledger_of({key: BillSide(use=Use(), usd=Decimal("0E-9"), attempts=1)}),
        report_of({key: BillSide(use=Use(), usd=exact)}),
    )
    told = compared.model_dump(mode="json")
    assert told["lines"][0]["difference_usd"] == f"-{exact}"
    assert told["lines"][0]["ledger"]["usd"] == "0.000000000"
    assert (told["from"], told["to"]) == ("2026-11-20", "2026-11-23")
    assert usd_exact(exact) == str(exact)
    assert usd_exact(Decimal("1E+2")) == "100.000000000"
