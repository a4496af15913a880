"""Events go out from a thread: a server that is away neither stops nor slows who sends them."""

import os
import socket
import subprocess
import sys

import pytest

from schemas.alert import AlertEvent, AlertEventName
from services import send_events as module
from services.send_events import send_events
from tests.processes import ROOT, SECONDS, fetch, until

FLOW_RUN = "00000000-0000-0000-0000-000000000007"
SENDER = """
import sys
from schemas.alert import AlertEvent, AlertEventName
from services.send_events import send_events
send_events([AlertEvent(AlertEventName.DRIFT, "run-7: Drift of estimates.")], "run-7", sys.argv[1])
"""
EVENT = AlertEvent(AlertEventName.DRIFT, "run-7: Drift of estimates.")


def test_nobody_waits_for_a_server_that_does_not_answer():
    code = SENDER + "print('sent', flush=True)\nsys.stdin.read()"
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(SECONDS)
        environment = os.environ | {"PREFECT_API_URL": f"http://127.0.0.1:{deaf.getsockname()[1]}/api"}
        command = [sys.executable, "-c", code, FLOW_RUN]
        # in a process of its own: a process keeps the connection for events that it made first
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as sender:
            try:
                assert sender.stdout.readline() == "sent\n"
                asking, _ = deaf.accept()
                with asking:
                    asking.settimeout(SECONDS)
                    assert asking.recv(4_096)
                    asking.setblocking(False)
                    # whoever had waited would have given up by now, and hung up
                    with pytest.raises(BlockingIOError):
                        asking.recv(1)
            finally:
                sender.kill()


def test_a_run_that_no_flow_run_shows_sends_nothing(monkeypatch):
    monkeypatch.setattr(module, "emit_event", pytest.fail)
    send_events([EVENT], "run-7", None)


@pytest.mark.prefect
def test_an_event_is_about_its_flow_run_and_has_its_sentence(prefect_api):
    # in a process of its own: a process keeps the connection for events that it made first
    environment = os.environ | {"PREFECT_API_URL": prefect_api}
    subprocess.run(
        [sys.executable, "-c", SENDER, FLOW_RUN], cwd=ROOT, env=environment, check=True, timeout=120
    )

    def sent():
        wanted = {"filter": {"event": {"name": [EVENT.name]}}, "limit": 50}
        return [
            event
            for event in fetch(f"{prefect_api}/events/filter", wanted)["events"]
            if event["resource"]["prefect.resource.id"] == f"prefect.flow-run.{FLOW_RUN}"
        ]

    until(sent, "the event")
    # what is sent again after a lost connection may arrive twice
    for event in sent():
        assert event["payload"] == {"sentence": EVENT.sentence, "run_id": "run-7"}
