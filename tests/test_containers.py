"""The image and the compose file, read and compared with the project: no container engine is needed, and none is used.

What a container would do at run time is not shown here.
"""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache

import prefect.settings
import pytest
import yaml
from sqlalchemy import make_url

from cli import up_plan
from review_page.people import ReviewSettings
from schemas.settings import DEFAULT_POLICY, Settings
from services.deployments import POOL, PREFECT_FILE
from tests.doc_checks import ROOT, options_of, resolved

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
#: they end by themselves
ONE_SHOT = {"deploy"}
OF_THE_API = {"ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"}
#: as the image of the database names them
OF_POSTGRES = {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"}
on_every_service = pytest.mark.parametrize("name", SERVICES)
on_every_own_service = pytest.mark.parametrize("name", [name for name in SERVICES if name != "postgres"])


def words(name):
    """What a service runs: the image's entry point where it names none."""
    service = SERVICES[name]
    entry = (
        service.get("entrypoint")
        or re.search(r'^ENTRYPOINT \["(\w+)"\]', DOCKERFILE, re.MULTILINE)[1].split()
    )
    return [*entry, *service["command"]]


@cache
def help_of(*command):
    """The help of a command that is not ours."""
    run = subprocess.run(
        [sys.executable, "-m", *command, "--help"], capture_output=True, text=True, check=True
    )
    return run.stdout


def named_options(line):
    return {word.split("=")[0] for word in line if word.startswith("--")}


def test_the_services_are_those_that_up_starts_and_the_database():
    assert set(SERVICES) == {"postgres", "prefect-server", "deploy", "worker", "review-page", "simulator"}
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["simulator"]


@on_every_own_service
def test_every_command_is_one_that_there_is_with_the_options_that_it_has(name):
    program, *line = words(name)
    if program == "weighbridge":
        path, rest = resolved(line)
        assert path[-1] is not None
        assert named_options(rest) <= options_of(path[-1])
        path[-1].make_context("weighbridge", rest)  # the parser takes the values too
        return
    module = line[:2] if program == "prefect" else line[1:2]
    assert program in ("prefect", "python")
    found = help_of("prefect", *module) if program == "prefect" else help_of(*module)
    assert named_options(line) <= set(re.findall(r"--[\w-]+", found))


def test_server_and_worker_are_as_up_starts_them():
    server, worker = (SERVICES[name]["environment"] for name in ("prefect-server", "worker"))
    assert up_plan._SERVER_SETTINGS.items() <= server.items()
    assert up_plan._WORKER_SETTINGS.items() <= worker.items()
    assert words("worker")[3:7] == ["--pool", POOL, "--type", "process"]


@on_every_service
def test_every_variable_is_read_by_somebody(name):
    ours = {"WEIGHBRIDGE_LEDGER"} | {f"WEIGHBRIDGE_{field.upper()}" for field in Settings.model_fields}
    ours |= {f"WEIGHBRIDGE_REVIEW_{field.upper()}" for field in ReviewSettings.model_fields}
    # the levels of loggers are read from the file logging.yml of Prefect's, and are no settings of it
    known = ours | OF_THE_API | {"PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL"}
    if name == "postgres":
        known = OF_POSTGRES
    for variable in SERVICES[name].get("environment", {}):
        assert variable in known or hasattr(prefect.settings, variable), variable


@on_every_service
def test_what_has_to_be_set_is_said_and_on_the_page(name):
    page = (ROOT / "docs/containers.md").read_text()
    for value in SERVICES[name].get("environment", {}).values():
        for variable in re.findall(r"\$\{(\w+)", value):
            assert f"`{variable}`" in page, variable


def test_every_part_that_needs_the_ledger_or_the_server_has_the_same_one():
    ledgers = {
        one["environment"].get("WEIGHBRIDGE_LEDGER") for one in SERVICES.values() if "environment" in one
    }
    [ledger] = ledgers - {None}
    url = make_url(re.sub(r"\$\{[^}]*\}", "secret", ledger))
    assert (url.drivername, url.host, url.port) == ("postgresql+psycopg", "postgres", 5432)
    postgres = SERVICES["postgres"]["environment"]
    assert (url.username, url.database) == (postgres["POSTGRES_USER"], postgres["POSTGRES_DB"])
    server = make_url(
        re.sub(
            r"\$\{[^}]*\}",
            "secret",
            SERVICES["prefect-server"]["environment"]["PREFECT_API_DATABASE_CONNECTION_URL"],
        )
    )
    assert (server.drivername, server.host, server.username) == (
        "postgresql+asyncpg",
        "postgres",
        url.username,
    )
    made = (ROOT / "containers/databases.sql").read_text()
    assert f"CREATE DATABASE {server.database};" in made
    port = words("prefect-server")[-1]
    for name in ("deploy", "worker", "review-page"):
        assert SERVICES[name]["environment"]["PREFECT_API_URL"] == f"http://prefect-server:{port}/api"


@on_every_service
def test_every_service_that_goes_on_is_checked_and_what_it_needs_is_waited_for(name):
    service = SERVICES[name]
    if name not in ONE_SHOT:
        kind, *check = service["healthcheck"]["test"]
        assert kind == "CMD"
        if check[:2] == ["python", "-c"]:
            ast.parse(check[2])
            port = re.search(r"127\.0\.0\.1:(\d+)/", check[2])[1]
            # the worker's own is fixed by Prefect
            assert port in words(name) or port == str(prefect.settings.PREFECT_WORKER_WEBSERVER_PORT.value())
    for needed, how in service.get("depends_on", {}).items():
        wanted = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        assert how["condition"] == wanted
        assert how.get("required", True) == ("profiles" not in SERVICES[needed])


@on_every_service
def test_ports_are_open_on_this_machine_alone_and_are_those_that_are_served(name):
    for port in SERVICES[name].get("ports", []):
        host, outside, inside = port.split(":")
        assert host == "127.0.0.1"
        assert outside == inside
        assert inside in words(name)


@on_every_service
def test_volumes_are_declared_and_their_folders_belong_to_the_user_of_the_image(name):
    for volume in SERVICES[name].get("volumes", []):
        source, target, *_ = volume.split(":")
        if source.startswith("./"):
            assert (ROOT / source).exists() or source == "./data/incoming"
        else:
            assert source in COMPOSE["volumes"]
        if name != "postgres":
            assert target in DOCKERFILE


def test_what_is_written_goes_to_a_volume():
    worker = SERVICES["worker"]
    targets = [volume.split(":")[1] for volume in worker["volumes"]]
    assert worker["environment"]["WEIGHBRIDGE_RESULTS"] in targets
    assert "/app/data/incoming" in targets  # the deployments read it below their current folder
    server = SERVICES["prefect-server"]
    assert server["environment"]["PREFECT_HOME"] in [volume.split(":")[1] for volume in server["volumes"]]
    default = SERVICES["worker"]["environment"]["WEIGHBRIDGE_POLICY"].partition(":-")[2].rstrip("}")
    assert default == f"/app/{DEFAULT_POLICY.relative_to(ROOT)}"


def test_versions_are_those_of_the_project():
    python = re.search(r"^FROM python:(\d+\.\d+)-slim$", DOCKERFILE, re.MULTILINE)[1]
    assert f">={python}," in PROJECT["project"]["requires-python"]
    assert f"python{python}" in (ROOT / "Makefile").read_text()
    assert "--no-deps --require-hashes -r requirements.txt" in DOCKERFILE
    locked = re.search(r"^prefect==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[1]
    assert yaml.safe_load(PREFECT_FILE.read_text())["prefect-version"] == locked
    version = PROJECT["project"]["version"]
    own = {service["image"] for name, service in SERVICES.items() if name != "postgres"}
    assert own == {f"weighbridge:{version}"}


def test_no_image_is_of_a_registry_that_is_named():
    images = [service["image"] for service in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert all("/" not in image for image in images)


def test_nothing_runs_as_root():
    users = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
    assert users == ["weighbridge"]
    assert "useradd --uid 10001" in DOCKERFILE
    after = DOCKERFILE.split("USER weighbridge")[1]
    assert "RUN" not in after
    assert not any("user" in service or "privileged" in service for service in SERVICES.values())


def test_the_image_has_what_the_package_needs_and_no_key():
    left_out = (ROOT / ".dockerignore").read_text().splitlines()
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {*packages, "pyproject.toml", "requirements.txt", "prefect.yaml", "README.md", "!data/policies"}
    assert not needed & set(left_out) - {"!data/policies"}
    assert {"data/*", "!data/policies", ".env", ".git", ".venv"} <= set(left_out)


def test_what_is_simulated_is_a_project_of_its_own_with_the_simulators_address():
    lines = (ROOT / "containers/simulate.env").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert found["COMPOSE_PROJECT_NAME"] != COMPOSE["name"]
    assert found["COMPOSE_PROFILES"] == SERVICES["simulator"]["profiles"][0]
    port = SERVICES["simulator"]["command"][3]
    assert found["ANTHROPIC_BASE_URL"] == f"http://simulator:{port}"
    assert found["ANTHROPIC_API_KEY"] == "simulated"
