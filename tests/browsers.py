"""A real browser for the tests of the review page."""

import contextlib
import os
import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",  # as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def launched_chromium():
    """A browser, or a plain word that there is none; in CI that is a failure."""
    if CHROMIUM is None:
        word = "no chromium is installed, and tests/install_browser.sh could not install one"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(word)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only those who have a browser pay for it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(chromium, address, name="Anna Reviewer", **context_options):
    """A page of the browser, after its reviewer said who they are. Fails on what a browser complains about."""
    context = chromium.new_context(**{"viewport": {"width": 1500, "height": 950}} | context_options)
    page = context.new_page()
    page.set_default_timeout(60_000)
    complaints, elsewhere = [], []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on(
        "request",
        lambda asked: None if asked.url.startswith((address, "data:")) else elsewhere.append(asked.url),
    )
    page.goto(address)
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("heading", name="Reviews").wait_for()
    page.wait_for_load_state("load")
    yield page
    context.close()
    assert (complaints, elsewhere) == ([], [])
