"""The tree of beginnings: what is shared, that each job counts for one mark at most, and what is forgotten."""

from collections import Counter
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rules import prefix_tree
from rules.cache_plan import DOCUMENTED_HITS
from rules.prefix_tree import FEWEST_BYTES, CacheTerms, PrefixTree
from rules.prices import CacheRates
from schemas.outcome import Mode
from schemas.payload.prefix import PromptCut
from schemas.shared_prefix import HitRange

MODEL, OTHER = "claude-sonnet-5-5", "claude-opus-5-5"
RATES = CacheRates(Decimal(3), Decimal("0.3"), Decimal("3.75"), Decimal(6))


def terms(mode=Mode.MESSAGES, hits=DOCUMENTED_HITS, models=(MODEL,), shortest=512):
    return CacheTerms(
        mode,
        rates=dict.fromkeys(models, RATES),
        hits=dict.fromkeys(models, hits),
        shortest=dict.fromkeys(models, shortest),
    )


def cuts(*path, size=2_000):
    """The places of a job that goes down this path; what begins alike has the same digests."""
    return [
        PromptCut(f"messages/0/{depth}", "/".join(path[: depth + 1]), (depth + 1) * size)
        for depth in range(len(path))
    ]


def tree_of(jobs, tokens_a_byte=0.5):
    tree = PrefixTree()
    for model, path, size in jobs:
        tree.add(model, cuts(model, *path, size=size), tokens_a_byte)
    return tree


paths = st.lists(st.sampled_from("abc"), max_size=4).map(tuple)
job_lists = st.lists(st.tuples(st.sampled_from([MODEL, OTHER]), paths, st.just(2_000)), max_size=40)
all_terms = st.builds(
    terms,
    mode=st.sampled_from(list(Mode)),
    hits=st.integers(0, 1_000).map(lambda low: HitRange(low, 1_000)),
    models=st.sampled_from([(), (MODEL,), (MODEL, OTHER)]),
)


@given(job_lists)
def test_a_beginning_is_shared_by_as_many_jobs_as_begin_with_it(jobs):
    shared = tree_of(jobs).shared()
    expected = Counter(cut.digest for model, path, size in jobs for cut in cuts(model, *path, size=size))
    assert {key: one.jobs for key, one in shared.items()} == {
        key: number for key, number in expected.items() if number > 1
    }


@given(job_lists, all_terms)
def test_each_job_is_counted_for_one_mark_at_most(jobs, known):
    plans = tree_of(jobs).plans(known)
    assert sum(one.prefix.jobs for one in plans) <= len(jobs)
    assert len({one.prefix.key for one in plans}) == len(plans)
    for model in (MODEL, OTHER):
        own = [one for one in plans if one.prefix.model == model]
        assert sum(one.prefix.jobs for one in own) <= sum(goes_to == model for goes_to, _, _ in jobs)
        assert not own or model in known.rates


@given(job_lists, all_terms)
def test_a_plan_marks_no_more_jobs_than_share_it_and_saves_at_its_low_end(jobs, known):
    tree = tree_of(jobs)
    shared = tree.shared()
    for one in tree.plans(known):
        assert 2 <= one.prefix.jobs <= shared[one.prefix.key].jobs
        assert one.prefix.tokens == shared[one.prefix.key].tokens
        assert 0 < one.low_nano_usd <= one.high_nano_usd


@given(job_lists, all_terms)
def test_the_plans_are_those_of_jobs_that_each_choose_the_best_of_their_own_prefixes(jobs, known):
    tree = tree_of(jobs)
    shared = tree.shared()
    chosen = Counter()
    for model, path, size in jobs:
        own = [shared[cut.digest] for cut in cuts(model, *path, size=size) if cut.digest in shared]
        # the deepest first, as the tree reads them: of two that save alike the first is taken
        if (best := known.best(own[::-1])) is not None:
            chosen[best.key] += 1
    assert {one.prefix.key: one.prefix.jobs for one in tree.plans(known)}.items() <= chosen.items()


@given(job_lists, st.randoms())
def test_the_order_of_the_jobs_changes_nothing(jobs, random):
    other = list(jobs)
    random.shuffle(other)
    assert tree_of(jobs).shared() == tree_of(other).shared()
    one, two = (tree_of(order).plans(terms()) for order in (jobs, other))
    assert sorted(one, key=repr) == sorted(two, key=repr)


def test_a_beginning_of_few_bytes_is_not_remembered():
    tree = PrefixTree()
    for _ in range(3):
        tree.add(
            MODEL, [PromptCut("tools", "a", FEWEST_BYTES - 1), PromptCut("system/0", "b", FEWEST_BYTES)], 1.0
        )
    assert set(tree.shared()) == {"b"}


def test_a_beginning_weighs_its_share_of_the_first_jobs_tokens():
    tree = PrefixTree()
    tree.add(MODEL, [PromptCut("system/0", "a", 8_000)], 0.25)
    tree.add(MODEL, [PromptCut("system/0", "a", 8_000)], 0.5)
    [one] = tree.shared().values()
    assert (one.tokens, one.where, one.model, one.jobs) == (2_000, "system/0", MODEL, 2)


def test_what_one_job_alone_has_is_forgotten_first_and_the_counts_of_the_rest_stay(monkeypatch):
    monkeypatch.setattr(prefix_tree, "_MOST_NODES", 10)
    tree = PrefixTree()
    for number in range(100):
        tree.add(MODEL, cuts("same", str(number)), 0.5)
        assert len(tree._nodes) <= 10
    [one] = [one for key, one in tree.shared().items() if key == "same"]
    assert one.jobs == 100
    [plan] = tree.plans(terms())
    assert (plan.prefix.key, plan.prefix.jobs) == ("same", 100)


def test_a_prefix_that_is_too_short_for_its_model_is_not_planned():
    tree = tree_of([(MODEL, ("a",), 2_000)] * 5)
    assert tree.plans(terms(shortest=2_000))
    assert not tree.plans(terms(shortest=2_001))
