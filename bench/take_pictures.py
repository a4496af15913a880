"""Takes the pictures of the docs from the real thing: `make pictures`.

It starts `weighbridge up --simulate` in a folder of its own, runs the deployment `on-demand` over the sample jobs,
and photographs the form, the run, its report and the review page with a headless browser. It stands with the
measurements: it runs the program from outside and writes what it saw into the docs, as they do.
"""

import argparse
import contextlib
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
JOBS = ROOT / "data" / "samples" / "jobs.parquet"
MAX_BYTES = 150_000
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
_START_SECONDS, _RUN_SECONDS = 400, 400
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: where `weighbridge up` says its things are
_ADDRESSES = re.compile(r"(Prefect UI|review page) +(http://[\w.:]+)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "pictures")
    into = parser.parse_args().into
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="weighbridge-") as folder, started(Path(folder)) as addresses:
        prefect, review = addresses["Prefect UI"], addresses["review page"]
        deployment = asked(f"{prefect}/api/deployments/name/nightly-batch/on-demand")
        run = finished_run(prefect, deployment["id"])
        with browser() as chromium:
            take_prefect(chromium, prefect, deployment["id"], run, into)
            take_review(chromium, review, into)
    for picture in sorted(into.glob("*.png")):
        print(f"{picture.name}: {picture.stat().st_size / 1_000:,.0f} KB")


@contextlib.contextmanager
def started(folder: Path) -> Iterator[dict[str, str]]:
    """The addresses of everything, started in a folder and stopped afterwards."""
    (folder / "data" / "incoming").mkdir(parents=True)
    shutil.copy(JOBS, folder / "data" / "incoming" / "jobs.parquet")
    ports = [word for name in ("--port", "--review-port", "--simulator-port") for word in (name, "0")]
    command = [sys.executable, "-m", "cli.main", "up", "--simulate", *ports]
    log = folder / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        try:
            waited("everything to start", _START_SECONDS, lambda: _running(process, log))
            yield dict(_ADDRESSES.findall(log.read_text()))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(120)


def _running(process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        raise SystemExit(f"`weighbridge up` ended by itself:\n{log.read_text()}")
    return "Ctrl-C stops all of it" in log.read_text()


def waited(what: str, seconds: float, found: Callable[[], Any]) -> Any:
    """What is found in the end. Ends the program when it takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(1)
    raise SystemExit(f"Waited {seconds:.0f} seconds for {what}, in vain. No further pictures were taken.")


def asked(url: str, body: Any = None) -> Any:
    """What the Prefect server answers, over no proxy."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answered() -> Any:
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 503:  # its database is locked just now
                return None
            raise

    return waited(f"an answer of {url}", 120, answered)


def finished_run(prefect: str, deployment: str) -> str:
    """A flow run over the sample jobs, from its start to its end: its id."""
    parameters = {"jobs": "data/incoming/jobs.parquet"}
    body = {"parameters": parameters, "idempotency_key": "pictures"}
    run = asked(f"{prefect}/api/deployments/{deployment}/create_flow_run", body)["id"]
    ended = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
    waited(
        "the run to end",
        _RUN_SECONDS,
        lambda: asked(f"{prefect}/api/flow_runs/{run}")["state_type"] in ended,
    )
    return run


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise SystemExit("No chromium is installed here; tests/install_browser.sh installs one.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


def take_prefect(chromium: Browser, prefect: str, deployment: str, run: str, into: Path) -> None:
    """The form, the run and its report, as the Prefect UI shows them."""
    page = chromium.new_page(viewport=WIDE, color_scheme="light")
    page.set_default_timeout(90_000)
    page.goto(f"{prefect}/deployments/deployment/{deployment}/run")
    page.get_by_text("Parameters").first.wait_for()
    kept(page, into / "form.png")
    page.goto(f"{prefect}/runs/flow-run/{run}")
    page.get_by_text("Logs").first.wait_for()
    # its timeline draws itself for some seconds
    page.wait_for_timeout(8_000)
    kept(page, into / "run.png")
    artifacts = asked(
        f"{prefect}/api/artifacts/filter",
        {"artifacts": {"flow_run_id": {"any_": [run]}, "type": {"any_": ["markdown"]}}},
    )
    report = max(artifacts, key=lambda one: len(str(one["data"])))
    page.goto(f"{prefect}/artifacts/artifact/{report['id']}")
    page.get_by_role("heading").first.wait_for()
    kept(page, into / "report.png")
    page.close()


def take_review(chromium: Browser, review: str, into: Path) -> None:
    """The list and a review, light, dark and on a phone."""
    for name, look in (
        ("light", {"viewport": WIDE, "color_scheme": "light"}),
        ("dark", {"viewport": WIDE, "color_scheme": "dark"}),
        ("phone", {"viewport": PHONE, "color_scheme": "light"}),
    ):
        context = chromium.new_context(**look)
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.goto(review)
        page.get_by_label("Your name").fill("Ana")
        page.get_by_role("button", name="Go on").click()
        page.get_by_role("heading", name="Reviews").wait_for()
        if name == "light":
            kept(page, into / "review-list.png")
        page.locator("[data-review-open]").first.click()
        page.get_by_role("heading", name="Why it waits").wait_for()
        kept(page, into / f"review-{name}.png")
        context.close()


def kept(page: Page, path: Path) -> None:
    """Keep what a page shows, in as many colours as fit under the size that a page of the docs can bear."""
    page.wait_for_load_state("load")
    page.wait_for_timeout(2_000)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for colours in (256, 128, 64, 32, 16):
        shot.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < MAX_BYTES:
            return
    raise SystemExit(f"{path.name} is over {MAX_BYTES:,} bytes even with 16 colours.")


if __name__ == "__main__":
    main()
