"""The page in a real browser: keys, without scripts, and on every screen."""

import pytest
from sqlalchemy import update

from schemas.money import usd_at_most
from schemas.review_tables import ReviewRow
from tests.browsers import launched_chromium, opened
from tests.strategies import quick_ledger
from tests.test_review_page.page import park, statuses
from tests.test_review_page.served_page import served

# one worker starts the browser, and once
pytestmark = pytest.mark.xdist_group("in-a-browser")


@pytest.fixture(scope="module")
def chromium():
    with launched_chromium() as browser:
        yield browser


@pytest.fixture
def ledger(tmp_path):
    opened_ledger = quick_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    park(opened_ledger, 4)
    yield opened_ledger
    opened_ledger.close()


@pytest.fixture
def address(ledger):
    with served(ledger) as found:
        yield found


@pytest.fixture
def page(chromium, address):
    with opened(chromium, address) as found:
        yield found


def at(page, review):
    page.wait_for_url(f"**/reviews/detail?pk={review}*")
    page.wait_for_load_state("load")


def text_focused(page):
    return page.evaluate("document.activeElement.textContent.trim()")


class TestKeys:
    """Letters lead, Enter decides, and a text is only a text."""

    def test_a_reviewer_goes_through_the_table_without_a_mouse(self, page, ledger):
        # dearest first: 4 and 2 at 2 USD, then 3 and 1
        page.keyboard.press("j")
        assert text_focused(page) == "job-3"
        page.keyboard.press("j")
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        at(page, 4)
        page.keyboard.press("j")
        at(page, 2)
        page.keyboard.press("k")
        at(page, 4)
        page.keyboard.press("a")
        assert text_focused(page) == "Approve"
        assert statuses(ledger)[4] == "pending"
        page.keyboard.press("Enter")
        at(page, 2)
        page.keyboard.press("r")
        assert text_focused(page) == "Reject"
        assert statuses(ledger)[2] == "pending"
        page.keyboard.press("Enter")
        at(page, 3)
        assert statuses(ledger) == {1: "pending", 2: "rejected", 3: "pending", 4: "approved"}
        page.keyboard.press("e")
        page.get_by_label("The request as JSON").wait_for()

    def test_in_a_field_a_letter_is_a_letter(self, page, ledger, address):
        page.goto(f"{address}/reviews/detail?pk=4")
        note = page.get_by_label("Note").first
        note.focus()
        page.keyboard.type("jkare?")
        assert note.input_value() == "jkare?"
        assert page.locator("dialog[open]").count() == 0
        page.keyboard.press("Control+a")
        assert note.evaluate("it => it === document.activeElement")
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        at(page, 2)
        assert set(statuses(ledger).values()) == {"pending"}

    def test_the_help_names_the_keys_and_holds_them_back(self, page, address):
        page.goto(f"{address}/reviews/detail?pk=4")
        page.keyboard.press("?")
        page.get_by_role("dialog", name="Keys").wait_for()
        page.keyboard.press("j")
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0
        assert page.url.endswith("pk=4")
        page.get_by_role("button", name="Keys").click()
        page.get_by_role("button", name="Close").click()
        assert page.locator("dialog[open]").count() == 0

    @pytest.mark.slow
    def test_where_there_is_nothing_to_do_a_key_does_nothing(self, page, address):
        page.goto(f"{address}/reviews/detail?pk=1")
        page.keyboard.press("j")
        page.keyboard.press("Control+a")
        page.wait_for_timeout(200)
        assert page.url.endswith("pk=1")
        assert text_focused(page) != "Approve"


def test_the_selection_says_what_it_comes_to_as_the_confirmation_does(chromium, address, ledger):
    costs = {1: 1_234_567_890_005_000_000, 2: 15_000_000, 3: None, 4: 20_000_000_000}
    with ledger.write() as connection:
        for review, cost in costs.items():
            connection.execute(
                update(ReviewRow).where(ReviewRow.id == review).values(worst_case_nano_usd=cost)
            )
    with opened(chromium, address) as page:
        shown = page.locator("[data-review=selection]")
        assert not shown.is_visible()
        page.get_by_label("Select review 4").check()
        page.get_by_text("Selected: 1 job, at most 20.00 USD").wait_for()
        page.get_by_label("Select review 4").uncheck()
        shown.wait_for(state="hidden")
        page.get_by_label("Select the whole page").check()
        said = (
            "4 jobs, at most 1,234,567,910.02 USD; 1 of them without a worst case, which cannot be approved"
        )
        page.get_by_text(f"Selected: {said}").wait_for()
        page.get_by_role("button", name="With selected").click()
        page.get_by_role("link", name="Approve …").click()
        assert page.locator("[data-review=consequence]").inner_text() == said


def test_the_page_writes_an_amount_in_the_browser_as_it_does_on_the_server(chromium, address):
    amounts = [digit * 10**place + rest for place in range(16) for digit in (1, 4, 9) for rest in (0, 1)]
    with opened(chromium, address) as page:
        shown = page.evaluate(
            "amounts => amounts.map((nano) => usd(BigInt(nano)))", list(map(str, [0, *amounts]))
        )
    assert shown == [usd_at_most(nano) for nano in (0, *amounts)]


def test_without_scripts_a_reviewer_decides_all_the_same(chromium, address, ledger):
    with opened(chromium, address, java_script_enabled=False) as page:
        page.get_by_role("link", name="job-3").click()
        page.get_by_role("link", name="Next").click()
        at(page, 2)
        assert not page.get_by_role("button", name="Keys").is_visible()
        assert not page.locator("dialog").is_visible()
        page.get_by_role("button", name="Approve").click()
        at(page, 3)
        assert statuses(ledger)[2] == "approved"


def test_the_list_shows_all_its_columns_in_the_window_of_a_laptop(chromium, address, ledger):
    long = {"model": "claude-sonnet-5-5", "reason": "over_input_limit", "group_name": "research"}
    with ledger.write() as connection:
        connection.execute(update(ReviewRow).values(worst_case_nano_usd=689_592_000, **long))
    with opened(chromium, address, viewport={"width": 1280, "height": 860}) as page:
        wide = page.locator("table").first.evaluate("one => one.parentElement.scrollWidth")
        assert wide <= page.locator("table").first.evaluate("one => one.parentElement.clientWidth")
