"""What `weighbridge up` starts: the commands, their environments, and where all of it is kept."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.ledger_place import plain_sqlite_file, with_driver
from schemas.words import masked_url
from services.children import ChildCommand

_LOOPBACK = "127.0.0.1"
#: of whoever called: they lead to another server, or into it
_FOREIGN = (
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "PREFECT_API_URL",
    "PREFECT_CLIENT_CUSTOM_HEADERS",
    "PREFECT_PROFILE",
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_SERVER_API_BASE_PATH",
    "PREFECT_UI_API_URL",
)
#: of the server: its recorder writes one task run per transaction by default, falls behind and loses records; and its
#: leases are in memory by default, so that a restart would stop a run of a deployment with a limit
_SERVER_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}
#: of the worker and its flow runs: one log line a task run is noise, and what the pipeline logs belongs in the UI
_WORKER_SETTINGS = {
    "PREFECT_LOGGING_EXTRA_LOGGERS": "weighbridge",
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "ERROR",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "WARNING",
}


@dataclass(frozen=True, slots=True)
class UpPorts:
    """The ports on this machine."""

    prefect: int
    review: int
    simulator: int


@dataclass(frozen=True, slots=True)
class UpPlan:
    """All that is started, and where it is kept.

    Attributes:
        home: an absolute folder: Prefect's home, the ledger, results and logs, kept between starts.
        folder: the current folder of the runs.
        caller: the environment of the command.
        simulate: whether a simulator takes the place of the API.
    """

    home: Path
    folder: Path
    ports: UpPorts
    caller: Mapping[str, str]
    simulate: bool

    @property
    def prefect_ui(self) -> str:
        return f"http://{_LOOPBACK}:{self.ports.prefect}"

    @property
    def prefect_api(self) -> str:
        return f"{self.prefect_ui}/api"

    @property
    def review_page(self) -> str:
        return f"http://{_LOOPBACK}:{self.ports.review}"

    @property
    def simulator(self) -> str:
        return f"http://{_LOOPBACK}:{self.ports.simulator}"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def ledger_url(self) -> str:
        """The ledger that the caller's setting names, at an absolute place; else the one in the home."""
        named = with_driver(self.caller.get("WEIGHBRIDGE_LEDGER") or f"sqlite:///{self.home / 'ledger.db'}")
        file = plain_sqlite_file(named)
        return named if file is None else f"sqlite:///{self.folder / file}"

    @property
    def results(self) -> Path:
        return self.folder / (self.caller.get("WEIGHBRIDGE_RESULTS") or self.home / "results")

    @property
    def environment(self) -> dict[str, str]:
        """What all of them have: this server, this ledger, and nothing of another server."""
        own = {name: value for name, value in self.caller.items() if name not in _FOREIGN}
        own |= {
            "PREFECT_HOME": str(self.home / "prefect"),
            "PREFECT_API_URL": self.prefect_api,
            "WEIGHBRIDGE_LEDGER": self.ledger_url,
            "WEIGHBRIDGE_RESULTS": str(self.results),
            "WEIGHBRIDGE_REVIEW_URL": self.caller.get("WEIGHBRIDGE_REVIEW_URL") or self.review_page,
            "PYTHONUNBUFFERED": "1",
        }
        if policy := self.caller.get("WEIGHBRIDGE_POLICY"):
            own["WEIGHBRIDGE_POLICY"] = str(self.folder / policy)
        if self.simulate:
            own |= {"ANTHROPIC_BASE_URL": self.simulator, "ANTHROPIC_API_KEY": "simulated"}
        return own

    @property
    def shell_lines(self) -> list[str]:
        """What commands in another shell need to see and do what these processes do; no real key and no password."""
        names = ["PREFECT_API_URL", "WEIGHBRIDGE_LEDGER", "WEIGHBRIDGE_RESULTS"]
        if self.simulate:
            names += ["ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"]
        values = {name: self.environment[name] for name in names}
        if masked_url(self.ledger_url) != self.ledger_url:
            del values["WEIGHBRIDGE_LEDGER"]  # the caller has set it
        return [f"export {name}={shlex.quote(value)}" for name, value in values.items()]

    def simulator_process(self) -> ChildCommand:
        log = str(self.home / "billed.jsonl")
        return self._python("simulator", ["simulator", "--port", str(self.ports.simulator), "--log", log])

    def server_process(self) -> ChildCommand:
        words = ["prefect", "server", "start", "--host", _LOOPBACK, "--port", str(self.ports.prefect)]
        return self._python("server", words, _SERVER_SETTINGS)

    def review_process(self) -> ChildCommand:
        words = ["cli.main", "review", "serve", "--port", str(self.ports.review)]
        return self._python("review page", words)

    def worker_process(self, pool: str) -> ChildCommand:
        words = ["prefect", "worker", "start", "--pool", pool, "--type", "process"]
        return self._python("worker", words, _WORKER_SETTINGS)

    def _python(self, name: str, words: list[str], settings: Mapping[str, str] | None = None) -> ChildCommand:
        """A module of this Python, with its arguments."""
        environment = self.environment | dict(settings or {})
        return ChildCommand(name, [sys.executable, "-m", *words], environment, self.folder)
