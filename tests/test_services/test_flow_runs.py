"""Prefect is the display: what it cannot be informed of stops nobody, and what has ended there stays as it is."""

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Running

from services import flow_runs
from services.flow_runs import add_tags, is_being_cancelled, show_crashed, show_page


class Server:
    """Prefect, as far as it is asked here."""

    def __init__(self, task_runs=(), **states):
        self.states, self.changed = states, {}
        self.task_runs, self.asked, self.order = dict(task_runs), [], []

    async def read_flow_run(self, flow_run_id):
        if str(flow_run_id) not in self.states:
            raise ObjectNotFound(http_exc=None)
        return SimpleNamespace(state=self.states[str(flow_run_id)])

    async def set_flow_run_state(self, flow_run_id, state, *, force):
        self.changed[flow_run_id] = (state.type, state.message, force)
        self.order.append("flow run")

    async def read_task_runs(self, *, task_run_filter, limit):
        [flow_run] = task_run_filter.flow_run_id.any_
        wanted = task_run_filter.state.type.any_
        self.asked.append((flow_run, limit))
        found = [
            SimpleNamespace(id=one)
            for one, (of_run, kind) in self.task_runs.items()
            if of_run == str(flow_run) and kind in wanted
        ]
        return found[:limit]

    async def set_task_run_state(self, task_run_id, state, *, force):
        assert force
        self.task_runs[task_run_id] = (self.task_runs[task_run_id][0], state.type)
        self.order.append("task run")


@pytest.fixture
def heard(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("weighbridge"), "propagate", True)
    return caplog


def reached(monkeypatch, server):
    @asynccontextmanager
    async def client():
        if isinstance(server, Exception):
            raise server
        if server is None:
            await asyncio.Event().wait()
        yield server

    monkeypatch.setattr(flow_runs, "get_client", client)


async def test_only_flow_runs_that_have_not_ended_are_set_crashed(monkeypatch):
    running, cancelling, ended, foreign = (str(uuid4()) for _ in range(4))
    server = Server(**{running: Running(), cancelling: Cancelling(), ended: Completed()})
    reached(monkeypatch, server)
    await show_crashed([foreign, ended, running, cancelling], "It died.")
    assert server.changed == dict.fromkeys((running, cancelling), ("CRASHED", "It died.", True))


async def test_a_flow_run_that_prefects_worker_saw_die_keeps_the_sentence_of_the_worker(monkeypatch):
    noticed = str(uuid4())
    server = Server(**{noticed: Crashed(message="Process exited with status code: -9.")})
    reached(monkeypatch, server)
    await show_crashed([noticed], "It died.")
    assert server.changed == {}


@pytest.mark.parametrize(
    ("state", "cancelled"), [(Running(), False), (Cancelling(), True), (Cancelled(), False), (None, False)]
)
async def test_a_flow_run_is_being_cancelled_until_prefect_has_seen_it_end(monkeypatch, state, cancelled):
    flow_run = str(uuid4())
    reached(monkeypatch, Server(**{flow_run: state}))
    assert await is_being_cancelled(flow_run) is cancelled


async def test_where_prefect_cannot_be_asked_a_run_ends_as_it_did(monkeypatch, heard):
    reached(monkeypatch, httpx.ConnectError("refused"))
    assert await is_being_cancelled(str(uuid4())) is False
    assert "whether this run was cancelled (ConnectError)" in heard.text
    reached(monkeypatch, AssertionError("asked"))
    assert await is_being_cancelled(None) is False


async def test_the_task_runs_of_a_dead_process_are_set_crashed_too_and_others_stay(monkeypatch):
    killed, noticed, alive = (str(uuid4()) for _ in range(3))
    kinds = [StateType.RUNNING, StateType.PENDING, StateType.COMPLETED]
    task_runs = {uuid4(): (of_run, kind) for of_run in (killed, noticed, alive) for kind in kinds}
    states = {killed: Running(), noticed: Crashed(), alive: Running()}
    server = Server(task_runs, **states)
    reached(monkeypatch, server)
    await show_crashed([killed, noticed], "It died.")
    assert Counter(server.task_runs.values()) == {
        **{(of_run, StateType.CRASHED): 2 for of_run in (killed, noticed)},
        **{(of_run, StateType.COMPLETED): 1 for of_run in (killed, noticed)},
        **{(alive, kind): 1 for kind in kinds},
    }
    # the flow runs first: there may be time for no more
    assert server.order == ["flow run"] + 4 * ["task run"]


async def test_task_runs_are_set_by_the_page_and_only_so_many_of_them(monkeypatch):
    flow_run = str(uuid4())
    server = Server({uuid4(): (flow_run, StateType.RUNNING) for _ in range(25)}, **{flow_run: Crashed()})
    reached(monkeypatch, server)
    monkeypatch.setattr(flow_runs, "_PAGE", 4)
    monkeypatch.setattr(flow_runs, "_MOST_TASK_RUNS", 10)
    await show_crashed([flow_run], "It died.")
    assert Counter(kind for _, kind in server.task_runs.values()) == {
        StateType.CRASHED: 10,
        StateType.RUNNING: 15,
    }
    assert [limit for _, limit in server.asked] == [4, 4, 2]


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        (httpx.ConnectError("refused"), "ConnectError"),
        (RuntimeError("Failed to reach API at http://x"), "RuntimeError"),
        (None, "TimeoutError"),
    ],
    ids=["refused", "not started", "silent"],
)
async def test_a_prefect_server_that_is_away_stops_nobody(monkeypatch, heard, server, kind):
    reached(monkeypatch, server)
    monkeypatch.setattr(flow_runs, "_PATIENCE_SECONDS", 0.05)
    await show_crashed([str(uuid4())], "It died.")
    assert f"1 flow run(s) died ({kind})" in heard.text


async def test_nobody_is_asked_where_nothing_died(monkeypatch):
    reached(monkeypatch, AssertionError("asked"))
    await show_crashed([], "It died.")


class Tagged:
    """Prefect, as far as it is asked for the tags of one flow run."""

    def __init__(self, *tags):
        self.tags = list(tags)

    async def read_flow_run(self, flow_run_id):
        return SimpleNamespace(id=flow_run_id, tags=self.tags)

    async def update_flow_run(self, flow_run_id, *, tags):
        self.tags = tags


async def test_tags_are_added_to_those_of_the_deployment_each_once(monkeypatch):
    server = Tagged("spends", "batches")
    reached(monkeypatch, server)
    await add_tags(str(uuid4()), ["batches", "simulated"])
    assert server.tags == ["spends", "batches", "simulated"]


async def test_tags_that_cannot_be_shown_stop_nobody(monkeypatch, heard):
    reached(monkeypatch, None)
    monkeypatch.setattr(flow_runs, "_PATIENCE_SECONDS", 0.05)
    await add_tags(str(uuid4()), ["batches"])
    assert "tags of this run (TimeoutError)" in heard.text
    await add_tags(None, ["batches"])


class Shelf:
    """Prefect, as far as it is given pages: of a flow run with this deployment, or with none."""

    def __init__(self, deployment=None, known=True):
        self.deployment, self.known, self.made = deployment, known, []

    async def read_flow_run(self, _flow_run_id):
        if not self.known:
            raise ObjectNotFound(http_exc=None)
        return SimpleNamespace(deployment_id=self.deployment and uuid4())

    async def read_deployment(self, _deployment_id):
        return SimpleNamespace(name=self.deployment)

    async def create_artifact(self, artifact):
        self.made.append(artifact)


@pytest.mark.parametrize(
    ("server", "key"),
    [
        (Shelf("nightly"), "weighbridge-report-nightly"),
        (Shelf(), "weighbridge-report"),
        (Shelf(known=False), "weighbridge-report"),
    ],
    ids=["deployment", "by hand", "another server"],
)
async def test_a_report_stands_on_its_flow_run_and_on_the_page_of_its_deployment(monkeypatch, server, key):
    reached(monkeypatch, server)
    flow_run = uuid4()
    await show_page(str(flow_run), "weighbridge-report", "# run-1", "Report of run-1")
    [made] = server.made
    assert (made.key, made.type, made.data, made.flow_run_id) == (key, "markdown", "# run-1", flow_run)


async def test_a_report_that_cannot_be_shown_stops_nobody(monkeypatch, heard):
    reached(monkeypatch, httpx.ConnectError("refused"))
    await show_page(str(uuid4()), "weighbridge-report", "# secret", "Report of run-1")
    assert "the report of this run (ConnectError)" in heard.text
    assert "secret" not in heard.text
