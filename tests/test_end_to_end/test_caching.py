"""Caching with the real command and the real simulator, whose log is the witness of what was written, read and billed."""

import signal
from collections import Counter
from datetime import UTC, datetime

import pytest

from rules.cache_plan import break_even
from rules.prices import PriceCard
from simulator.billing.catalogue import find_model
from tests.processes import until
from tests.yards import nano

pytestmark = pytest.mark.prefect

ROWS = 40
#: some 1,500 tokens, so that it is above the shortest prefix of every model of the policy
SYSTEM = " ".join(f"rule {n}: weigh what comes, and write down what it weighed." for n in range(120))


def jobs_of(yard, rows=ROWS, systems=1):
    return yard.jobs(
        [
            {
                "job_id": f"job-{n}",
                "system": f"{n % systems} {SYSTEM}",
                "prompt": f"number {n} [[output_tokens={5 + n % 9}]]",
                "max_tokens": 50,
            }
            for n in range(rows)
        ]
    )


def policy_of(yard, cache, name="policy.toml", **values):
    yard.policy(name, **values)
    rules = f'[cache]\nmode = "{cache}"\n[batch]\npoll_seconds = 0.3\nabsent_after_seconds = 3\n'
    (yard.folder / name).write_text((yard.folder / name).read_text() + rules)
    return name


def written(line):
    return line["usage"]["cache_creation_input_tokens"]


def read(line):
    return line["usage"]["cache_read_input_tokens"]


def plain_cost(lines):
    """What the same answers cost when every input token is billed as an ordinary one: the rates are the simulator's."""
    total = 0
    for line in lines:
        prices, usage = find_model(line["model"]).prices, line["usage"]
        tokens = usage["input_tokens"] + written(line) + read(line)
        cost = tokens * prices.input + usage["output_tokens"] * prices.output
        total += -(-cost // 2) if usage["service_tier"] == "batch" else cost
    return total


@pytest.mark.parametrize("mode", ["messages", "batches"])
def test_one_job_writes_what_all_begin_with_and_the_others_read_it(yard, mode):
    jobs = jobs_of(yard, systems=1)
    policy = policy_of(yard, "auto", small="claude-sonnet-5-5")
    with yard.simulator("[batches]\nprocessing_seconds = 0.3\n") as simulator:
        quote = yard.weighbridge("quote", jobs, "--policy", policy, "--mode", mode, "--json").json
        report = yard.run(jobs, "--policy", policy, "--mode", mode)
        billed = simulator.billed()
    yard.assert_agreement(report, billed)
    assert [bool(written(line)) for line in billed].count(True) == 1
    assert sum(bool(read(line)) for line in billed) == ROWS - 1
    cache = report["cache"]
    assert (cache["written_tokens"], cache["read_tokens"]) == (
        sum(map(written, billed)),
        sum(map(read, billed)),
    )
    assert cache["hit_share"] == "1.000"
    cost, plain = sum(line["cost_nano_usd"] for line in billed), plain_cost(billed)
    assert cost < 0.7 * plain
    # each line is rounded up once, so the two may differ by less than a nano-USD a line
    assert abs(nano(cache["saved_usd"]) - (plain - cost)) <= ROWS
    # what the quote said it would save, at its low and its high end
    [own, *_] = quote["policies"]
    saved = nano(cache["saved_usd"])
    low, high = (nano(own["expected_usd"]) - nano(own[f"cached_{end}_usd"]) for end in ("low", "high"))
    assert own["cached_prefixes"] == 1
    # by its bytes the beginning is weighed to some percent
    assert nano(own["primes_usd"]) == pytest.approx(sum(map(write_surplus, billed)), rel=0.1)
    assert low <= saved <= 1.1 * high


def test_nothing_is_marked_while_the_policy_does_not_say_so(yard):
    jobs = jobs_of(yard, rows=6)
    with yard.simulator() as simulator:
        report = yard.run(jobs, "--policy", policy_of(yard, "off"))
        assert not any(written(line) or read(line) for line in simulator.billed())
    assert report["cache"] == {
        "written_tokens": 0,
        "read_tokens": 0,
        "hit_share": None,
        "saved_usd": "0.000000000",
        "prefixes": [],
    }


def test_at_the_low_end_of_hits_in_batches_the_bill_is_no_higher_and_few_jobs_are_not_marked(yard):
    jobs = jobs_of(yard, rows=60)
    policy = policy_of(yard, "auto", small="claude-sonnet-5-5")
    plan = "[batches]\nprocessing_seconds = 0.3\n[cache]\nbatch_hit_rate = 0.3\n"
    with yard.simulator(plan) as simulator:
        report = yard.run(jobs, "--policy", policy, "--mode", "batches")
        billed = simulator.billed()
        few = yard.jobs(
            [{"job_id": f"few-{n}", "system": f"few {SYSTEM}", "prompt": f"{n}"} for n in range(5)],
            "few.parquet",
        )
        yard.run(few, "--policy", policy, "--mode", "batches")
        fresh = simulator.billed()[len(billed) :]
    assert sum(line["cost_nano_usd"] for line in billed) <= plain_cost(billed)
    assert 0 < float(report["cache"]["hit_share"]) < 0.6
    assert len(fresh) == 5
    assert not any(written(line) or read(line) for line in fresh)


@pytest.mark.parametrize("mode", ["messages", "batches"])
def test_a_kill_between_the_first_job_and_the_others_costs_nothing(yard, mode):
    jobs = jobs_of(yard, systems=3, rows=45)
    policy = policy_of(yard, "auto", small="claude-sonnet-5-5", max_in_flight=4)
    slow = "[latency]\nmessage_seconds = 1.0\n[batches]\nprocessing_seconds = 2\n"
    with yard.simulator(slow) as simulator:
        run = ("run", jobs, "--json", "--policy", policy, "--mode", mode)
        with yard.start(*run) as command:
            command.until(simulator.billed, "a bill")
            command.signal(signal.SIGKILL)
            command.finish()
        before = len(simulator.billed())
        assert before < 45
        quicker = policy_of(yard, "auto", "quicker.toml", small="claude-sonnet-5-5", max_in_flight=20)
        report = yard.weighbridge(*run, "--policy", quicker).json
        billed = simulator.billed()
    assert set(Counter(line["payload_sha256"] for line in billed).values()) == {1}
    # what was in flight as the run was killed waits for a person; a batch is found again
    assert report["jobs"]["succeeded"] + report["jobs"]["unknown"] == 45
    assert mode == "messages" or not report["jobs"]["unknown"]
    primes = sum(written(line) for line in billed)
    assert primes <= 6 * max(map(written, billed))
    assert sum(line["cost_nano_usd"] for line in billed) < plain_cost(billed)
    yard.assert_ledger_is_true()


def write_surplus(line):
    """Nano-USD by which what a line wrote is dearer than as ordinary input; rounded up."""
    prices, kinds = find_model(line["model"]).prices, line["usage"]["cache_creation"]
    surplus = kinds["ephemeral_5m_input_tokens"] * (prices.write_5m - prices.input)
    surplus += kinds["ephemeral_1h_input_tokens"] * (prices.write_1h - prices.input)
    return -(-surplus // 2) if line["usage"]["service_tier"] == "batch" else surplus


def killed_at(yard, run, simulator, more):
    """Kill a run once so many more lines are billed, or let it end before."""
    before = len(simulator.billed())
    with yard.start(*run) as command:
        until(lambda: len(simulator.billed()) >= before + more or command.has_ended(), "a bill")
        command.signal(signal.SIGKILL)
        command.finish()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "rate", "kills"),
    [
        ("messages", None, (1, 15)),
        ("messages", None, (20,)),
        ("batches", 0.3, (1, 1)),
        ("batches", 0.98, (3,)),
    ],
)
def test_whatever_is_killed_the_bill_is_at_most_that_without_marks_and_what_first_jobs_wrote(
    yard, mode, rate, kills
):
    jobs = jobs_of(yard, systems=2, rows=70)
    policy = policy_of(yard, "auto", small="claude-sonnet-5-5", max_in_flight=4)
    plan = "[latency]\nmessage_seconds = 0.3\n[batches]\nprocessing_seconds = 1\n"
    plan += f"[cache]\nbatch_hit_rate = {rate}\n" if rate else ""
    run = ("run", jobs, "--json", "--policy", policy, "--mode", mode)
    with yard.simulator(plan) as simulator:
        quote = yard.weighbridge("quote", jobs, "--policy", policy, "--mode", mode, "--json").json
        for more in kills:
            killed_at(yard, run, simulator, more)
        report = yard.weighbridge(*run).json
        billed = simulator.billed()
    assert report["jobs"]["succeeded"] + report["jobs"]["unknown"] == 70
    attempts = {
        one["attempt_id" if mode == "batches" else "request_id"]: one
        for one in yard.rows("SELECT * FROM attempts")
    }
    # a message that was in flight at a kill has no number on record: it may have been the first of its prefix
    found = [attempts.get(line["custom_id" if mode == "batches" else "request_id"]) for line in billed]
    first = [line for line, one in zip(billed, found, strict=True) if one is None or one["is_prime"]]
    followers = [
        line for line, one in zip(billed, found, strict=True) if one is not None and one["is_prime"] == 0
    ]
    could = sum(read(line) + written(line) for line in followers)
    least = break_even(PriceCard("claude-sonnet-5-5", datetime.now(UTC)).cache_rates)
    cost, plain = sum(line["cost_nano_usd"] for line in billed), plain_cost(billed)
    primes = sum(map(write_surplus, first))
    missed = 0
    if sum(map(read, followers)) * 1_000 < least * could:
        missed = sum(map(write_surplus, followers))
    assert cost <= plain + primes + missed + len(billed)
    # each first write was quoted, once; every kill may have it written once more
    [own, *_] = quote["policies"]
    assert (
        0
        < primes
        <= 1.1 * (1 + len(kills)) * nano(own["primes_usd"]) + 4 * len(kills) * max(map(write_surplus, first))
    )
    yard.assert_ledger_is_true()
