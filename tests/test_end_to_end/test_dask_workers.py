"""A run whose calls are made by a Dask cluster, its ledger on PostgreSQL: what Dask delivers twice is paid once."""

import signal
import sys
from collections import Counter
from datetime import UTC, datetime

import pytest
from distributed import Client, wait

from schemas.delivery import Assignment, Work
from schemas.run import RunReference
from services.gateway import open_gateway
from services.ledger import open_ledger
from services.policy_file import read_policy
from tasks.admit import admit
from tasks.check_models import checked_models
from tasks.deliver import deliver
from tasks.read_jobs import read_jobs
from tasks.run import Run
from tests.clusters import address_of, dask_cluster
from tests.commands import Command
from tests.nights import Rows, weigh
from tests.processes import kill_when, until
from tests.strategies import begin, owner_of

pytestmark = [pytest.mark.prefect, pytest.mark.slow, pytest.mark.timeout(600)]

SLOW = "[latency]\nmessage_seconds = 1.0\n"
#: the command, which waits for workers for less than a minute
IMPATIENT = f"""#!{sys.executable}
import services.dask_workers
from cli.main import main
services.dask_workers._WITHOUT_WORKERS_SECONDS = 10
main()
"""


def rows_of(number):
    return [
        {"job_id": f"job-{n}", "prompt": f"number {n} [[output_tokens={5 + n % 40}]]"} for n in range(number)
    ]


def assert_nothing_is_billed_twice(billed):
    assert not [one for one, times in Counter(line["payload_sha256"] for line in billed).items() if times > 1]


async def paid_shard(yard, postgres_url, monkeypatch):
    """A run on record whose jobs are weighed and whose money is held; what its workers need, and its attempts."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", yard.environment["ANTHROPIC_BASE_URL"])
    policy = read_policy(yard.folder / yard.policy())
    ledger = open_ledger(postgres_url)
    reference = RunReference(
        run_id="run-1",
        policy=policy,
        ledger_url=postgres_url,
        results=str(yard.folder),
        started_at=datetime.now(UTC),
        owner=owner_of("run-1"),
    )
    async with open_gateway(policy.limits) as gateway:
        run = Run.of(reference, ledger, gateway, await checked_models(gateway, policy))
        begin(ledger, "run-1", rules=policy)
        await read_jobs(run, Rows(rows_of(30)), None)
        await weigh(run, 30)
        held = (await admit(run, 100, may_defer=True)).held
        assignment = Assignment(reference, gateway.endpoint, gateway.simulated, 2)
    ledger.close()
    return assignment, [attempt.attempt_id for attempt in held]


async def test_a_shard_that_dask_runs_again_because_its_worker_died_is_not_paid_again(
    yard, postgres_url, monkeypatch
):
    with yard.simulator():
        assignment, attempts = await paid_shard(yard, postgres_url, monkeypatch)
        with (
            dask_cluster(yard.folder, yard.environment) as cluster,
            Client(cluster.address, timeout=60) as client,
        ):
            where = address_of(client, "worker-0")
            work = (deliver, Work.SEND, assignment, attempts)
            sent = client.submit(*work, pure=False, workers=[where], allow_other_workers=True)
            wait(sent, timeout=120)
            # it is finished and paid for, and nobody has fetched the result
            assert len(yard.witness.billed()) == 30
            cluster.workers[0].send_signal(signal.SIGKILL)
            cluster.workers[0].wait()
            again = sent.result(timeout=120)
            assert address_of(client, "worker-1")
        assert (again.done, again.calls.message, again.error, again.halt) == (0, 0, None, None)
        assert len(yard.witness.billed()) == yard.called()[1] == 30
        assert_nothing_is_billed_twice(yard.witness.billed())
    yard.ledger = postgres_url
    states = Counter(row["state"] for row in yard.rows("SELECT state FROM attempts"))
    assert states == {"succeeded": 30}
    yard.assert_ledger_is_true()


def test_a_night_on_a_cluster_whose_worker_is_killed_pays_nothing_twice_and_loses_no_row(yard, postgres_url):
    rows = 200  # the second worker gets its first turn some seconds after the first one
    jobs = yard.jobs(rows_of(rows))
    policy = yard.policy(max_in_flight=20)
    yard.ledger = postgres_url
    with yard.simulator(SLOW), dask_cluster(yard.folder, yard.environment) as cluster:
        options = ("--ledger", postgres_url, "--runner", "dask", "--dask-address", cluster.address)
        with yard.start("run", jobs, "--json", "--policy", policy, *options) as command:
            command.until(lambda: yard.called()[1] >= 25, "requests")
            victim = cluster.workers[0].pid
            # each has at most 10 calls in flight: with more than that, the victim has some
            until(
                lambda: command.has_ended() or kill_when(victim, lambda: yard.in_flight() > 10),
                "calls of both workers in flight",
            )
            ended = command.finish()
        assert ended.code == 4, ended.told()
        assert_nothing_is_billed_twice(yard.witness.billed())
    report = ended.json
    yard.assert_accounted(report, rows)
    unknown = [row for row in yard.rows("SELECT * FROM attempts") if row["state"] == "unknown"]
    assert 1 <= len(unknown) <= 10
    assert report["jobs"]["succeeded"] == rows - len(unknown)
    yard.assert_ledger_is_true()


def impatient(yard, *words):
    """Start the command that waits less long."""

    class Impatient(Command):
        program = yard.folder / "impatient"

    Impatient.program.write_text(IMPATIENT)
    Impatient.program.chmod(0o755)
    return Impatient(words, yard.folder, yard.environment)


def test_a_cluster_that_is_gone_ends_the_run_with_its_books_closed(yard, postgres_url):
    jobs = yard.jobs(rows_of(60))
    policy = yard.policy(max_in_flight=10)
    yard.ledger = postgres_url
    with yard.simulator(SLOW), dask_cluster(yard.folder, yard.environment) as cluster:
        options = ("--ledger", postgres_url, "--runner", "dask", "--dask-address", cluster.address)
        with impatient(yard, "run", jobs, "--policy", policy, *options) as command:
            command.until(lambda: yard.called()[1] >= 15, "requests")
            for worker in cluster.workers:
                worker.send_signal(signal.SIGKILL)
            ended = command.finish()
    assert ended.code == 1, ended.told()
    assert "has had no workers for 10 seconds" in ended.err
    assert yard.one("SELECT count(*) FROM jobs WHERE outcome IS NULL") == 0
    assert_nothing_is_billed_twice(yard.witness.billed() if yard.witness.log.exists() else [])
    yard.assert_ledger_is_true()
