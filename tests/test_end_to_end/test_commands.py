"""The other commands, what Prefect shows, and where a run's endpoint comes from."""

import json
import re
import signal
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.processes import fetch, until

pytestmark = pytest.mark.prefect


def jobs_of(yard, number, text="hello"):
    return yard.jobs(
        [{"job_id": f"job-{n}", "prompt": f"{text} {n} [[output_tokens=7]]"} for n in range(number)]
    )


def test_report_and_review_show_what_a_run_left_and_say_what_they_do_not_find(yard):
    jobs = jobs_of(yard, 3, "x" * 8000 + " [bold]not markup[/bold]")
    with yard.simulator():
        table = yard.weighbridge("run", jobs, "--limit", 1)
        assert table.code == 0, table.told()
        first = yard.weighbridge("report", "--json").json
        last = yard.run(jobs, "--max-input-tokens", 500)
    yard.assert_accounted(first, 1)
    assert first["run_id"] in table.out
    assert table.err == ""
    yard.assert_accounted(last, 3)
    assert (last["jobs"]["succeeded"], last["jobs"]["review"]) == (1, 2)

    shown = yard.weighbridge("report", first["run_id"])
    assert (shown.code, shown.err) == (0, "")
    assert first["run_id"] in shown.out
    assert "simulated" in shown.out
    assert yard.weighbridge("report", "--json").json == last

    listed = yard.weighbridge("review", "list")
    assert listed.code == 0
    assert "job-1" in listed.out
    assert "job-2" in listed.out
    assert "over_input_limit" in listed.out
    rows = yard.weighbridge("review", "list", "--json").json
    assert [row["job_id"] for row in rows] == ["job-2", "job-1"]
    assert yard.weighbridge("review", "list", "--status", "approved", "--json").json == []
    shown = yard.weighbridge("review", "show", rows[0]["id"])
    assert shown.code == 0
    assert "[bold]not markup[/bold] 2" in shown.out
    one = yard.weighbridge("review", "show", rows[0]["id"], "--json").json
    assert json.loads(one["payload"])["messages"][0]["role"] == "user"

    for arguments, word in (
        (["report", "run-nowhere"], "run-nowhere"),
        (["review", "show", "999"], "999"),
        (["review", "list", "--status", "lost"], "lost"),
        (["report", "--ledger", "nowhere"], "ledger URL"),
    ):
        end = yard.weighbridge(*arguments)
        assert end.code == 2, end.told()
        assert word in end.sentence
    assert yard.weighbridge("review", "show", "first").code == 2
    assert yard.weighbridge().code == 2


def test_simulate_serves_on_a_free_port_writes_the_log_and_stops_on_ctrl_c(yard):
    with yard.start("simulate", "--port", 0, "--log", "deep/billed.jsonl") as command:
        ready = json.loads(command.first_line())
        body = {"model": "claude-haiku-5-5", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
        request = urllib.request.Request(
            f"{ready['base_url']}/v1/messages", json.dumps(body).encode(), {"x-api-key": "any"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            message = json.load(answer)
            assert answer.headers["weighbridge-simulated"] == "true"
        command.signal(signal.SIGINT)
        ended = command.finish()
    assert (ended.code, ended.err) == (0, "")
    [line] = (yard.folder / "deep/billed.jsonl").read_text().splitlines()
    assert json.loads(line)["message_id"] == message["id"]
    bad = yard.weighbridge("simulate", "--port", 0, "--plan", "missing.toml")
    assert bad.code == 2
    assert "missing.toml" in bad.sentence


#: what every run with a job does, as its task runs begin
STEPS = {"read_jobs", "admit", "send", "park_for_review", "publish", "report_run"}


def rows_of(name):
    """How many rows the name of a task run that sends says that it has."""
    if found := re.search(r"(\d+) of rows", name):
        return int(found[1])
    first, *last = map(int, re.findall(r"\d+", name))
    return (last or [first])[0] - first + 1


def test_prefect_shows_a_task_run_for_each_item_and_the_report(yard):
    jobs = jobs_of(yard, 30)
    with yard.simulator():
        # as a worker logs
        ended = yard.start_from_file("run", jobs, "--json", PREFECT_LOGGING_LEVEL="INFO").finish()
    assert ended.code == 0, ended.told()
    report = json.loads(ended.out.splitlines()[-1])
    flow_run_id = report["prefect_flow_run_id"]
    flow_run = fetch(f"{yard.api}/flow_runs/{flow_run_id}")
    assert (flow_run["state"]["type"], flow_run["state"]["name"]) == ("COMPLETED", "Completed")
    assert report["run_id"] in flow_run["state"]["message"]

    def completed():
        filters = {"flow_runs": {"id": {"any_": [flow_run_id]}}, "limit": 200}
        runs = fetch(f"{yard.api}/task_runs/filter", filters)
        states = {run["state_type"] for run in runs}
        names = {run["name"].partition(" ")[0].rsplit("-", 1)[0] for run in runs}
        return runs if states == {"COMPLETED"} and names >= STEPS and len(runs) > 30 else None

    runs = until(completed, "the task runs on record")
    counted = [run["name"] for run in runs if run["name"].startswith("count ")]
    assert sorted(counted) == sorted(f"count row {number}" for number in range(30))
    sent = [run["name"] for run in runs if run["name"].startswith("send ")]
    assert sum(rows_of(name) for name in sent) == 30, sent
    made = fetch(f"{yard.api}/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}}})
    artifacts = {artifact["type"]: artifact for artifact in made}
    assert set(artifacts) == {"markdown", "progress", "table"}
    assert artifacts["markdown"]["key"] == "weighbridge-report"
    assert report["run_id"] in artifacts["markdown"]["data"]
    bars = {bar["description"]: float(bar["data"]) for bar in made if bar["type"] == "progress"}
    assert bars == {f"Rows {what}: {report['run_id']}": 100 for what in ("weighed", "done")}
    so_far = {row["outcome"]: row["rows"] for row in json.loads(artifacts["table"]["data"])}
    assert (so_far["succeeded"], so_far["not yet"], so_far["all"]) == (30, 0, 30)
    lines = fetch(f"{yard.api}/logs/filter", {"logs": {"flow_run_id": {"any_": [flow_run_id]}}, "limit": 200})
    assert len(lines) < 30
    assert not [line for line in lines if line["task_run_id"] and "Finished in state" in line["message"]]


def test_without_a_key_a_base_url_is_enough_and_the_server_says_that_it_is_simulated(yard):
    jobs = jobs_of(yard, 3)
    del yard.environment["ANTHROPIC_API_KEY"]
    with yard.simulator() as simulator:
        report = yard.run(jobs)
        yard.assert_agreement(report, simulator.billed())
    assert report["simulated"] is True
    assert {row["simulated"] for row in yard.results(report)} == {True}


class _Disguise(BaseHTTPRequestHandler):
    """Hands requests on to the simulator and takes the header off that says what it is."""

    target = ""

    def do_GET(self):
        self.hand_on(None)

    def do_POST(self):
        self.hand_on(self.rfile.read(int(self.headers["content-length"])))

    def hand_on(self, body):
        headers = {"x-api-key": "test", "content-type": "application/json"}
        request = urllib.request.Request(self.target + self.path, body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.startswith(("anthropic-", "request-id")):
                    self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


def test_a_ledger_of_simulated_runs_refuses_a_real_endpoint_and_the_other_way_round(yard):
    jobs = jobs_of(yard, 2)
    with yard.simulator() as simulator:
        handler = type("Disguise", (_Disguise,), {"target": simulator.base_url})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            real = {"ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}"}
            simulated = {"ANTHROPIC_BASE_URL": simulator.base_url}
            for first, then in ((simulated, real), (real, simulated)):
                ledger = ("--ledger", f"sqlite:///{yard.folder}/{first is real}.db")
                report = yard.run(jobs, *ledger, **first)
                assert report["simulated"] is (first is simulated)
                calls = yard.called()
                end = yard.weighbridge("run", jobs, *ledger, "--json", **then)
                assert end.code == 2, end.told()
                assert "another ledger" in end.json["error"]
                assert "another ledger" in end.err
                assert yard.called() == calls
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
