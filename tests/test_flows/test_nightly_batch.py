"""The night: whichever commit of the ledger its process dies at, the next one pays nothing twice and loses no row."""

import json
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.failures import MayBeBilled, Transient
from schemas.ledger import AttemptRow, BudgetRow
from services.ledger.verify import verify
from tasks import send_queue
from tests.crashes import Lives, Provider
from tests.fake_batches import all_rows, assert_budgets_add_up
from tests.nights import KINDS, ended
from tests.strategies import examples, quick_ledger

BATCHES = {
    "mode": "batches",
    "batch": {"poll_seconds": "0.01", "absent_after_seconds": "1", "max_requests": 4},
}
FEW_USD = {"run": {"budget_usd": "0.0012"}, "day": {"budget_usd": "0.002"}}


def _result(**result):
    return lambda line: json.dumps({"custom_id": line["custom_id"], "result": result}).encode()


ERRORED = _result(type="errored", error={"type": "error", "error": {"type": "api_error", "message": "no"}})


@dataclass(frozen=True)
class Scene:
    """A night: its policy, the kinds of its rows, and what goes wrong at the provider.

    Attributes:
        unbilled: the items of each batch, by their place, whose lines say that they are not billed.
        extra: outcomes that any of its rows may have.
    """

    changes: dict
    kinds: tuple = (*["good"] * 7, "same", "same", "pinned", "heavy", "count:passing")
    lines: dict = field(default_factory=dict)
    unbilled: frozenset = frozenset()
    fail: dict = field(default_factory=dict)
    extra: frozenset = frozenset()

    def provider(self, seed):
        provider = Provider(seed)
        provider.lines, provider.unbilled = self.lines, self.unbilled
        provider.fail = {call: list(failures) for call, failures in self.fail.items()}
        return provider

    def rows(self):
        return [{"job_id": f"job-{n}"} | KINDS[kind][0](n) for n, kind in enumerate(self.kinds)]


SCENES = {
    "messages": Scene({}, (*Scene.kinds, "send:refused", "send:passing", "send:maybe"), extra=frozenset({"unknown"})),
    "sent again": Scene({"on_unknown": "resend"}, (*Scene.kinds, "send:maybe"), extra=frozenset({"unknown"})),
    "too little money": Scene(FEW_USD, extra=frozenset({"unknown", "deferred"})),
    "batches": Scene(BATCHES),
    "batches, too little money": Scene(BATCHES | FEW_USD, extra=frozenset({"deferred"})),
    "batches with bad lines": Scene(
        BATCHES,
        lines={1: ERRORED, 2: _result(type="expired"), 3: lambda _: b"{"},
        unbilled=frozenset({1, 2}),
        extra=frozenset({"failed", "unknown", "deferred"}),
    ),
    "batches made without an answer": Scene(BATCHES, fail={"create": [MayBeBilled("gone")] * 2}),
    "batches hard to read": Scene(BATCHES, fail={"batch": [Transient("cut")], "results": [Transient("cut")] * 2}),
}  # fmt: skip
#: where the process dies: at which commit of the some thirty of a night, and whether the database keeps that one
deaths = st.tuples(st.integers(0, 32), st.booleans())


@pytest.fixture(autouse=True)
def no_grace(monkeypatch):
    """Whoever is killed waits for nothing."""
    monkeypatch.setattr(send_queue, "GRACE_SECONDS", 0)


@pytest.mark.timeout(600)
@settings(max_examples=examples(4))
@given(
    scene=st.sampled_from(list(SCENES)),
    dies=st.lists(deaths, min_size=1, max_size=2),
    seed=st.integers(0, 999),
)
def test_a_night_that_dies_once_or_twice_pays_nothing_twice_and_loses_no_row(
    tmp_path_factory, scene, dies, seed
):
    lives(tmp_path_factory, SCENES[scene], dies, seed)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("scene", SCENES)
def test_no_commit_is_a_bad_one_to_die_at(tmp_path_factory, scene):
    for last in range(lives(tmp_path_factory, SCENES[scene], ())):
        # every other scene changes what is sent or what comes back, and not what a commit leaves undone
        for is_kept in (False, True) if scene in ("messages", "batches") else (bool(last % 2),):
            lives(tmp_path_factory, SCENES[scene], [(last, is_kept)])


def lives(tmp_path_factory, scene, dies, seed=1):
    """Lives of a scene with these deaths, and the last one in peace; how many commits that made."""
    folder, provider = tmp_path_factory.mktemp("night"), scene.provider(seed)
    night = Lives(folder, scene.rows(), provider, **scene.changes)
    for last, is_kept in dies:
        night.live(last, is_kept=is_kept)
    commits = night.live()
    ledger = quick_ledger(night.url)
    try:
        assert_true(ledger, night, provider, scene)
    finally:
        ledger.close()
    return commits


def assert_true(ledger, night, provider, scene):
    """The ledger says what the provider was paid for, and of every row what became of it."""
    found = verify(ledger)
    assert found.ok, [check for check in found.checks if not check.ok]
    assert_budgets_add_up(ledger)
    for window in all_rows(ledger, BudgetRow):
        taken = window.held_nano_usd + window.settled_nano_usd
        assert window.cap_nano_usd is None or taken <= window.cap_nano_usd
    attempts = Counter(row.state for row in all_rows(ledger, AttemptRow))
    assert attempts["open"] == 0
    # what was paid for is on record as paid for, or as money that is held until a person looks
    assert provider.paid.total() <= attempts["succeeded"] + attempts["unknown"]
    resends = attempts["unknown"] if scene.changes.get("on_unknown") == "resend" else 0
    assert sum(times - 1 for times in provider.paid.values()) <= resends
    outcomes = ended(ledger, f"run-{night.number}")
    assert sorted(outcomes) == list(range(len(scene.kinds)))
    for row, kind in enumerate(scene.kinds):
        assert outcomes[row] in KINDS[kind][1] | scene.extra, (row, kind)
