"""axe finds nothing on any page, light or dark, wide or on a phone; and a phone shows all of it without sideways scrolling."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from review_page.people import hashed_password
from tests.browsers import launched_chromium, opened
from tests.strategies import quick_ledger
from tests.test_ledger.test_reviews.table import unread_review
from tests.test_review_page.office import REASONS, STATUSES, open_office
from tests.test_review_page.served_page import served

# one worker starts the browser, and once
pytestmark = pytest.mark.xdist_group("accessibility")

WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
#: of WCAG 2.2, which axe leaves out unless it is asked
OPTIONS = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
#: the first is in the quick suite
LOOKS = [
    ("light", "wide"),
    pytest.param("dark", "phone", marks=pytest.mark.slow),
    pytest.param("light", "phone", marks=pytest.mark.slow),
    pytest.param("dark", "wide", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def chromium():
    with launched_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    opened_ledger = quick_ledger(f"sqlite:///{tmp_path_factory.mktemp('office') / 'ledger.db'}")
    open_office(opened_ledger)
    yield opened_ledger
    opened_ledger.close()


@pytest.fixture(scope="module")
def address(ledger):
    with served(ledger) as found:
        yield found


def looks_like(scheme, size):
    # the page's own policy lets no script of others run, and axe is one
    viewport = WIDE if size == "wide" else PHONE
    return {"color_scheme": scheme, "viewport": viewport, "bypass_csp": True}


def faults(page, name, within=None):
    """What axe finds on a page, or in the part of it that a selector means, and what a phone cannot show, a line each."""
    found = [
        f"{name}: {violation['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for violation in Axe().run(page, context=within, options=OPTIONS).response["violations"]
        for node in violation["nodes"]
    ]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found + ([f"{name}: {wide} pixels too wide"] if wide > 0 else [])


def detail(address, name):
    return f"{address}/reviews/detail?pk={(*REASONS, *STATUSES).index(name) + 1}"


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_axe_finds_nothing_on_the_lists(chromium, address, scheme, size):
    with opened(chromium, address, **looks_like(scheme, size)) as page:
        found = faults(page, "list")
        page.goto(f"{address}/reviews/list?status=all&page_size=10")
        found += faults(page, "all statuses, several pages")
        page.get_by_label("Select the whole page").check()
        found += faults(page, "selected")
        page.get_by_role("button", name="With selected").click()
        # an open menu lies over what is below it, until it is closed again: of that axe has just been asked
        found += faults(page, "menu", within=".dropdown-menu.show")
        page.get_by_role("link", name="Approve …").click()
        page.get_by_role("heading", name="Approve these jobs?").wait_for()
        found += faults(page, "confirmation")
        page.goto(f"{address}/reviews/list?q=nothing-like-that")
        found += faults(page, "empty list")
        page.keyboard.press("?")
        found += faults(page, "keys")
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_axe_finds_nothing_on_a_review_of_each_reason_and_status(chromium, address, scheme, size):
    found = []
    with opened(chromium, address, **looks_like(scheme, size)) as page:
        # the markup of the others differs in words only, so that once is enough for them
        all_of_them = (scheme, size) == ("light", "wide")
        for name in (*REASONS, *STATUSES) if all_of_them else ("over_cost_limit", "unpriced", *STATUSES[:2]):
            page.goto(detail(address, name))
            page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
            found += faults(page, name)
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_axe_finds_nothing_where_a_payload_is_edited_and_where_a_decision_is_answered(
    chromium, address, scheme, size
):
    with opened(chromium, address, **looks_like(scheme, size)) as page:
        page.goto(f"{address}/edit?pk=2")
        found = faults(page, "edit")
        page.get_by_label("Only the last turns").fill("many")
        page.get_by_role("button", name="Weigh it").click()
        page.get_by_role("alert").wait_for()
        found += faults(page, "edit, refused")
        page.get_by_label("Only the last turns").fill("")
        page.get_by_role("button", name="Weigh it").click()
        page.get_by_role("button", name="Send this").wait_for()
        found += faults(page, "edit, weighed")
        page.goto(detail(address, "over_cost_limit"))
        page.get_by_label("At most USD").fill("nothing")
        page.get_by_role("button", name="Approve").click()
        page.get_by_role("alert").wait_for()
        found += faults(page, "an error's message")
        page.get_by_role("button", name="Claim it").click()
        page.get_by_text("1 job claimed").wait_for()
        found += faults(page, "a success's message")
        page.get_by_role("button", name="Give it back").click()
    assert found == []


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_axe_finds_nothing_on_a_review_that_shows_what_came_and_cannot_be_read(
    chromium, tmp_path, scheme, size
):
    raw = quick_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    # without a blank to break it at, and more than is shown
    review, _ = unread_review(raw, body="<p>" + "unbreakable" * 900)
    with served(raw) as address, opened(chromium, address, **looks_like(scheme, size)) as page:
        page.goto(f"{address}/reviews/detail?pk={review.id}")
        page.get_by_text("more bytes are not shown").wait_for()
        found = faults(page, "raw answer")
        page.get_by_text("Accept what came").click()
        page.get_by_label("It was billed, in USD").fill("much")
        found += faults(page, "accepting")
        if size == "phone":
            found += page.evaluate(TOO_SMALL)
        page.get_by_role("button", name="Accept", exact=True).click()
        page.get_by_role("alert").wait_for()
        found += faults(page, "accepting, refused")
        page.get_by_text("Accept what came").click()
        page.get_by_label("It was billed, in USD").fill("0.00000003")
        page.get_by_role("button", name="Accept", exact=True).click()
        page.get_by_text("is the answer of its job").wait_for()
        found += faults(page, "accepted")
    raw.close()
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_axe_finds_nothing_at_the_doors(chromium, ledger, scheme, size):
    users = f"Anna:{hashed_password('a long pass word')}"
    found = []
    with served(ledger, users=users) as address:
        context = chromium.new_context(**looks_like(scheme, size))
        page = context.new_page()
        page.goto(address)
        found += faults(page, "log-in")
        page.get_by_label("Your name").fill("Anna")
        page.get_by_label("Password").fill("something else")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("alert").first.wait_for()
        found += faults(page, "log-in, refused")
        page.get_by_label("Your name").fill("Anna")
        page.get_by_label("Password").fill("a long pass word")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Reviews").wait_for()
        for path in ("/reviews/detail?pk=99", "/nowhere", "/edit?pk=99"):
            page.goto(address + path)
            found += faults(page, path)
        context.close()
    assert found == []


TOO_SMALL = """() => [...document.querySelectorAll("button, a.btn, select, summary, input:not([type=hidden])")]
    .filter((it) => it.checkVisibility() && it.type !== "checkbox")
    .map((it) => [it.textContent.trim().slice(0, 30) || it.name, it.getBoundingClientRect().height])
    .filter(([, height]) => height < 44)"""


@pytest.mark.parametrize(
    "path",
    [
        "/reviews/detail?pk=2",
        *(pytest.param(p, marks=pytest.mark.slow) for p in ("/reviews/list", "/edit?pk=2")),
    ],
)
def test_on_a_phone_a_thumb_hits_everything_and_deciding_comes_first(chromium, address, path):
    with opened(chromium, address, viewport=PHONE) as page:
        page.goto(address + path)
        assert page.evaluate(TOO_SMALL) == []
        if "detail" in path:
            approve = page.get_by_role("button", name="Approve").bounding_box()
            matter = page.get_by_role("heading", name="What would be sent").bounding_box()
            assert approve["y"] < matter["y"]


def test_the_colours_follow_the_system_until_a_person_chooses_and_the_choice_is_kept(chromium, address):
    def colours():
        return page.evaluate("document.documentElement.dataset.bsTheme")

    with opened(chromium, address, color_scheme="dark") as page:
        assert colours() == "dark"
        page.emulate_media(color_scheme="light")
        # the page's own rules forbid the evaluating with which Playwright waits for a function
        page.locator("html[data-bs-theme='light']").wait_for(state="attached")
        page.get_by_label("Colours").select_option("dark")
        assert colours() == "dark"
        page.goto(f"{address}/reviews/detail?pk=2")
        assert colours() == "dark"
        assert page.get_by_label("Colours").input_value() == "dark"
        page.get_by_label("Colours").select_option("as the system")
        assert colours() == "light"


def test_a_title_says_what_is_open_and_whether_it_is_simulated(chromium, address):
    with opened(chromium, address) as page:
        assert page.title() == "Reviews: pending, 9 (simulated) - Weighbridge"
        page.goto(f"{address}/reviews/detail?pk=2")
        assert page.title() == "job-1: over cost limit, pending, review 2 (simulated) - Weighbridge"
        page.goto(f"{address}/edit?pk=2")
        assert page.title() == "Edit job-1: over cost limit (simulated) - Weighbridge"
        assert page.locator("html").get_attribute("lang") == "en"
