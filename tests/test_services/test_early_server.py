"""Which Prefect server a command uses: one that is configured, one of `weighbridge up`, or one of its own, early."""

import http.server
import os
import signal
import ssl
import subprocess
import sys
import threading
import time

import pytest

from schemas.errors import RunFailed
from services import early_server
from services.early_server import (
    ADDRESS_FILE,
    EarlyServer,
    start_early,
    trust_nobody_here,
    wait_for_early_server,
)
from tests.processes import ROOT, clean_environment, fetch, until

OWN = "http://127.0.0.1:1/api"


@pytest.fixture
def started(tmp_path, monkeypatch):
    """The environments that a server was started in; none is, and Prefect is not imported yet."""
    found = []

    class Stub:
        api = OWN

        def __init__(self, environment):
            found.append(dict(environment))

        def wait_until_ready(self):
            pass

    monkeypatch.setattr(early_server, "EarlyServer", Stub)
    monkeypatch.setattr(early_server, "_started", [])
    monkeypatch.delitem(sys.modules, "prefect", raising=False)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def well():
    """The address of an API that is well."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/api/health" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()


def test_where_none_is_configured_one_is_started_and_named(started, tmp_path):
    environment = {"PREFECT_HOME": str(tmp_path)}
    start_early(environment)
    assert environment["PREFECT_API_URL"] == OWN
    assert started == [{"PREFECT_HOME": str(tmp_path)}]
    wait_for_early_server()


@pytest.mark.parametrize(
    "named",
    [
        {"PREFECT_API_URL": "http://127.0.0.1:4200/api"},
        {"PREFECT_API_URL": ""},
        {"PREFECT_PROFILE": "work"},
        {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"},
    ],
    ids=str,
)
def test_a_setting_of_the_environment_is_left_to_prefect(started, tmp_path, named):
    environment = {"PREFECT_HOME": str(tmp_path), **named}
    before = dict(environment)
    start_early(environment)
    assert (environment, started) == (before, [])


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("home/profiles.toml", '[profiles.work]\nPREFECT_API_URL = "https://elsewhere/api"\n'),
        ("prefect.toml", '[api]\nurl = "https://elsewhere/api"\n'),
        (".env", "PREFECT_API_URL=https://elsewhere/api\n"),
        ("pyproject.toml", '[project]\nname = "x"\n[tool.prefect]\napi.url = "https://elsewhere/api"\n'),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "https://elsewhere/api"\n'),
    ],
)
def test_a_file_that_may_name_a_server_is_left_to_prefect(started, tmp_path, file, text):
    (tmp_path / "home").mkdir()
    (tmp_path / file).write_text(text)
    environment = {"PREFECT_HOME": str(tmp_path / "home")}
    start_early(environment)
    assert "PREFECT_API_URL" not in environment
    assert started == []


def test_a_file_about_something_else_changes_nothing(started, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "api"\n')
    (tmp_path / "prefect.toml").write_text("[results]\npersist_by_default = true\n")
    start_early({"PREFECT_HOME": str(tmp_path)})
    assert len(started) == 1


def test_the_server_of_up_is_used_while_it_answers(started, tmp_path, well):
    home = tmp_path / "data/up-simulated"
    home.mkdir(parents=True)
    (home / ADDRESS_FILE).write_text(f"{well}\n")
    environment = {"PREFECT_HOME": str(tmp_path)}
    start_early(environment)
    assert (environment["PREFECT_API_URL"], started) == (well, [])


@pytest.mark.parametrize("address", [OWN, "https://elsewhere.example/api", "", "not an address"])
def test_an_address_of_up_that_nobody_answers_at_is_not_used(started, tmp_path, address):
    home = tmp_path / "data/up"
    home.mkdir(parents=True)
    (home / ADDRESS_FILE).write_text(address)
    environment = {"PREFECT_HOME": str(tmp_path)}
    start_early(environment)
    assert len(started) == 1


def test_where_prefect_is_imported_already_it_is_too_late(started, monkeypatch):
    monkeypatch.setitem(sys.modules, "prefect", sys)
    start_early({})
    assert started == []


def test_a_server_that_ends_by_itself_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    server = EarlyServer({**os.environ, "PREFECT_HOME": str(tmp_path)})
    with pytest.raises(RunFailed, match="did not start"):
        server.wait_until_ready()
    server.stop()


#: starts a server, says where it is, and waits to be killed
PARENT = """
import os, sys, time
from services.early_server import EarlyServer
server = EarlyServer(os.environ)
server.wait_until_ready()
print(server.api, server._process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.prefect
def test_a_server_answers_and_does_not_outlive_a_command_that_is_killed(tmp_path):
    command = [sys.executable, "-c", PARENT]
    environment = clean_environment(tmp_path, PREFECT_SERVER_ANALYTICS_ENABLED="false", PYTHONPATH=str(ROOT))
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as parent:
        api, pid = parent.stdout.readline().split()
        assert fetch(f"{api}/health") is True
        assert (tmp_path / ".prefect/prefect.db").exists()
        parent.send_signal(signal.SIGKILL)

    def gone():
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
        return False

    until(gone, "the end of the server")


@pytest.mark.parametrize("api", ["http://127.0.0.1:4200/api", "http://localhost:4200/api"])
def test_with_a_server_on_this_machine_prefect_reads_one_authority_and_no_more(api):
    environment = {"PREFECT_API_URL": api}
    trust_nobody_here(environment)
    trusted = ssl.create_default_context(cafile=environment["PREFECT_API_SSL_CERT_FILE"])
    assert trusted.cert_store_stats()["x509"] == 1


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"PREFECT_API_URL": "https://127.0.0.1:4200/api"},
        {"PREFECT_API_URL": "http://prefect.example:4200/api"},
        {"PREFECT_API_URL": "http://127.0.0.1:4200/api", "PREFECT_API_SSL_CERT_FILE": "own.pem"},
    ],
    ids=str,
)
def test_with_any_other_server_prefect_trusts_whom_it_trusts(named):
    environment = dict(named)
    trust_nobody_here(environment)
    assert environment == named
