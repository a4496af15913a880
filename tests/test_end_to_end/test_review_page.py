"""A reviewer's evening with the review page: the real command, a real browser, jobs that a real run parked."""

import contextlib
import json
import re
import sqlite3
import struct
import urllib.error
import urllib.parse
import urllib.request
import zlib
from base64 import b64encode
from decimal import Decimal

import pytest

from tests.browsers import launched_chromium, opened
from tests.strategies import quick_ledger

LONG = "The goods were weighed twice, and both weights differ. "


def png(width, height):
    """A picture, as base64."""
    rows = b"".join(
        b"\0" + b"".join(bytes((x % 256, y % 256, 90)) for x in range(width)) for y in range(height)
    )

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b64encode(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    ).decode()


@pytest.fixture(scope="module")
def chromium():
    with launched_chromium() as browser:
        yield browser


@contextlib.contextmanager
def review_page(yard, *options, **environment):
    """The page's address, served by the real command."""
    serving = ("review", "serve", "--ledger", yard.ledger, "--port", 0, *options)
    with yard.start(*serving, **environment) as command:
        found = re.search(r"http://\S+", command.first_line())
        assert found, command.out
        yield found.group()


def case(number, **more):
    return {
        "job_id": f"case-{number:02}",
        "prompt": f"Case {number}. {LONG * 40}",
        "max_tokens": 8_000,
    } | more


def messages(*content):
    return json.dumps([{"role": "user", "content": list(content)}])


def text(words):
    return {"type": "text", "text": words}


def shown(page):
    """The jobs that the list shows."""
    return page.locator("tbody td.review-job").all_inner_texts()


class TestAnEvening:
    """Filter, search, read, approve ten, edit one, reject one; and what the ledger says afterwards."""

    @pytest.fixture
    def jobs(self, yard):
        """Twelve dear jobs, a heavy one, a picture, and three that are sent."""
        picture = {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": png(300, 120)},
        }
        tool = {"name": "look_up", "description": "Looks up a case.", "input_schema": {"type": "object"}}
        rows = [case(number, group="claims", max_cost_usd="0.001") for number in range(12)]
        rows += [
            case(20, group="letters", max_input_tokens=200, tools=json.dumps([tool]), max_tokens=4_000),
            {
                "job_id": "picture-1",
                "group": "pictures",
                "messages": messages(text("What does the scale say?"), picture),
                "max_tokens": 8_000,
                "max_cost_usd": "0.001",
            },
            *({"job_id": f"light-{number}", "prompt": "Hello", "max_tokens": 50} for number in range(3)),
        ]
        return yard.jobs(rows)

    @pytest.mark.prefect
    def test_from_the_first_look_to_the_ledger(self, yard, chromium, jobs):
        with yard.simulator() as simulator:
            report = yard.run(jobs, "--policy", yard.policy())
            assert report["jobs"]["review"] == 14
            paid_before = len(simulator.billed())
            with review_page(yard) as address, opened(chromium, address) as page:
                self.reads(page, yard)
                self.approves_ten(page, yard)
                self.rejects_one(page, yard)
                self.edits_one(page, yard)
                self.sees_what_was_sent(page, yard, simulator, paid_before)
        history = yard.rows("SELECT * FROM review_events ORDER BY id")
        assert [row["to_status"] for row in history if row["changed_by"] == "Anna Reviewer"] == [
            *["approved"] * 10,
            "claimed",
            "rejected",
            "edited",
        ]

    def reads(self, page, yard):
        page.get_by_label("Group").select_option("pictures")
        page.wait_for_url("**group=pictures**")
        assert shown(page) == ["picture-1"]
        page.get_by_role("link", name="Reset").click()
        page.get_by_label("Job, detail or note").fill("case-07")
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**q=case-07**")
        assert shown(page) == ["case-07"]
        page.get_by_role("link", name="Reset").click()
        page.get_by_label("Job, detail or note").fill("picture")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("link", name="picture-1").click()
        page.get_by_text("What does the scale say?").wait_for()
        with page.expect_popup() as opened:
            page.get_by_role("link", name="Open the picture").click()
        picture = opened.value.locator("img")
        assert picture.evaluate("it => [it.naturalWidth, it.naturalHeight]") == [300, 120]
        opened.value.close()
        [row] = yard.rows("SELECT * FROM reviews WHERE job_id = 'picture-1'")
        assert page.get_by_label("At most USD").input_value() == _decimal(row["worst_case_nano_usd"])
        assert page.get_by_label("At most input tokens").input_value() == str(row["input_tokens"])

    def approves_ten(self, page, yard):
        page.goto(page.url.split("/reviews/")[0] + "/reviews/list?group=claims&sort=job_id__asc&page_size=10")
        assert shown(page) == [f"case-{number:02}" for number in range(10)]
        page.get_by_label("Select the whole page").check()
        page.get_by_role("button", name="With selected").click()
        page.get_by_role("link", name="Approve …").click()
        wanted = yard.rows("SELECT * FROM reviews WHERE job_id < 'case-10' ORDER BY job_id")
        most = sum(row["worst_case_nano_usd"] for row in wanted)
        said = page.locator("[data-review=consequence]").inner_text()
        [shown_most] = re.fullmatch(r"10 jobs, at most ([0-9.]+) USD", said).groups()
        assert most <= Decimal(shown_most) * 10**9 < most + 10**7
        assert {row["status"] for row in wanted} == {"pending"}
        page.get_by_label("Note").fill("all of the claims")
        page.get_by_role("button", name="Approve 10").click()
        page.get_by_text("10 jobs approved.").wait_for()
        assert shown(page) == ["case-10", "case-11"]
        approved = yard.rows("SELECT * FROM reviews WHERE job_id < 'case-10' ORDER BY job_id")
        for row in approved:
            assert (row["status"], row["decided_by"], row["note"]) == (
                "approved",
                "Anna Reviewer",
                "all of the claims",
            )
            assert row["ceiling_nano_usd"] == row["worst_case_nano_usd"]
            assert row["ceiling_tokens"] == row["input_tokens"]

    def rejects_one(self, page, yard):
        page.get_by_role("link", name="case-11").click()
        page.get_by_role("button", name="Claim it").click()
        page.get_by_role("button", name="Give it back").wait_for()
        page.get_by_text("Reject", exact=True).first.click()
        page.locator("form", has=page.locator("[value=reject]")).get_by_label("Note").fill("a test of ours")
        page.get_by_role("button", name="Reject").click()
        page.get_by_text("1 job rejected.").wait_for()
        # the page went on to what still waits
        assert page.locator(".review-title").inner_text() in ("case-10", "case-20", "picture-1")
        [row] = yard.rows("SELECT id FROM reviews WHERE job_id = 'case-11'")
        page.goto(page.url.split("/reviews/")[0] + f"/reviews/detail?pk={row['id']}")
        told = page.locator(".review-history").inner_text()
        assert re.search(r"claimed\s+by Anna Reviewer", told), told
        assert re.search(r"rejected\s+by Anna Reviewer[\s\S]*a test of ours", told), told
        assert yard.one("SELECT status FROM reviews WHERE job_id = 'case-11'") == "rejected"

    def edits_one(self, page, yard):
        page.goto(page.url.split("/reviews/")[0] + "/reviews/list?q=case-20")
        page.get_by_role("link", name="case-20").click()
        page.get_by_role("link", name="Edit it …").click()
        page.get_by_label("Most output tokens").fill("300")
        page.get_by_label("Without tools").check()
        field = page.get_by_label("The request as JSON")
        request = json.loads(field.input_value())
        request["messages"] = [{"role": "user", "content": "Case 20, in short."}]
        field.fill(json.dumps(request))
        before = yard.one("SELECT input_tokens FROM reviews WHERE job_id = 'case-20'")
        page.get_by_role("button", name="Weigh it").click()
        weighed = page.locator("[data-review=weighed]")
        weighed.get_by_text("It is within its limits").wait_for()
        numbers = weighed.locator("tbody tr").first.locator("td").all_inner_texts()
        assert numbers[0] == f"{before:,}"
        assert 0 < int(numbers[2].replace(",", "")) <= 200
        assert yard.one("SELECT status FROM reviews WHERE job_id = 'case-20'") == "pending"
        page.get_by_role("button", name="Send this in its place").click()
        page.get_by_text("1 job edited.").wait_for()
        [row] = yard.rows(
            "SELECT * FROM reviews JOIN review_payloads ON review_id = reviews.id WHERE job_id = 'case-20'"
        )
        edited = json.loads(row["edited_payload"])
        assert edited == {
            "max_tokens": 300,
            "messages": [{"role": "user", "content": "Case 20, in short."}],
        }
        assert (row["status"], row["decided_by"], row["input_tokens"]) == (
            "edited",
            "Anna Reviewer",
            int(numbers[2].replace(",", "")),
        )

    def sees_what_was_sent(self, page, yard, simulator, paid_before):
        """The flow sends what was let pass, and nothing else; the page says so."""
        ended = yard.weighbridge("resubmit-approved", "--policy", "policy.toml", "--json")
        assert ended.code == 0, ended.told()
        report = ended.json
        assert (report["outcome"], report["jobs"]["read"], report["jobs"]["succeeded"]) == (
            "complete",
            11,
            11,
        )
        billed = simulator.billed()[paid_before:]
        yard.assert_agreement(report, billed)
        let_pass = [*(f"case-{number:02}" for number in range(10)), "case-20"]
        results = {row["job_id"]: row for row in yard.results(report)}
        assert sorted(results) == let_pass
        assert all(row["text"].startswith("[simulated] ") for row in results.values())
        page.goto(page.url.split("/reviews/")[0] + "/reviews/list?status=sent&sort=job_id__asc&page_size=25")
        assert shown(page) == let_pass
        page.goto(page.url.split("/reviews/")[0] + "/reviews/list?status=pending&page_size=25")
        assert sorted(shown(page)) == ["case-10", "picture-1"]
        again = yard.weighbridge("resubmit-approved", "--policy", "policy.toml", "--json")
        assert (again.code, again.json["jobs"]["read"]) == (0, 0)
        assert len(simulator.billed()) == paid_before + 11


def _decimal(nano):
    whole, places = divmod(nano, 10**9)
    return f"{whole}.{f'{places:09}'.rstrip('0').ljust(2, '0')}"


PWN = "window.__pwned=1"
ATTACKS = (
    f"<script>{PWN}</script>",
    f"</script><script>{PWN}</script>",
    f"<img src=x onerror='{PWN}'>",
    f"\"><svg onload='{PWN}'>",
    f"' onmouseover='{PWN}' autofocus onfocus='{PWN}' x='",
    f"javascript:{PWN}//",
    f"</textarea><script>{PWN}</script>",
    "{{ request.state.nonce }}{% raw %}",
    f"<iframe srcdoc='<script>parent.{PWN}</script>'>",
)


class TestHostileJobs:
    """Whatever a job says, in whatever field, it is shown and does not run."""

    @pytest.mark.prefect
    @pytest.mark.slow
    def test_nothing_of_a_job_runs(self, yard, chromium):
        svg = f"<svg xmlns='http://www.w3.org/2000/svg'><script>{PWN}</script></svg>"
        rows, payloads = [], []
        for number, attack in enumerate(ATTACKS):
            source = {
                "type": "base64",
                "media_type": "image/svg+xml",
                "data": b64encode(svg.encode()).decode(),
            }
            breaking = source | {"media_type": "image/png", "data": f"x\" onerror='{PWN}' y=\""}
            pictures = [{"type": "image", "source": one} for one in (source, breaking)]
            pictures.append({"type": attack, "text": attack, "source": {"type": "url", "url": attack}})
            document = {"type": "document", "title": attack, "source": {"type": "text", "data": attack}}
            tool = {"name": attack, "description": attack, "input_schema": {}}
            rows.append(
                {
                    "job_id": f"{number}{attack}",
                    "group": f"{number}{attack}"[:100],
                    "messages": messages(text(attack)),
                    "system": attack,
                    "tools": json.dumps([tool | {"name": "tool", "input_schema": {"type": "object"}}]),
                    "max_tokens": 8_000,
                    "max_cost_usd": "0.000001",
                    "max_input_tokens": 1,
                }
            )
            content = [text(attack), document, *pictures]
            payloads.append(
                {
                    "messages": [{"role": "user", "content": content}],
                    "system": attack,
                    "tools": [tool],
                    "max_tokens": 9,
                }
            )
        with yard.simulator():
            report = yard.run(yard.jobs(rows), "--policy", yard.policy())
        assert report["jobs"]["review"] == len(ATTACKS), report
        # worse than the reader lets pass: whoever can write into the ledger
        with contextlib.closing(sqlite3.connect(yard.ledger.removeprefix("sqlite:///"))) as ledger:
            for number, (attack, payload) in enumerate(zip(ATTACKS, payloads, strict=True)):
                said = (attack, attack + "\n" + attack, f"{number}%")
                ledger.execute("UPDATE reviews SET detail = ?, would_pass = ? WHERE job_id LIKE ?", said)
                ledger.execute(
                    "UPDATE review_payloads SET payload = ? "
                    "WHERE review_id = (SELECT id FROM reviews WHERE job_id LIKE ?)",
                    (json.dumps(payload), f"{number}%"),
                )
            ledger.commit()
        with (
            review_page(yard) as address,
            opened(chromium, address, f"Eve {ATTACKS[0]}") as page,
        ):
            for number, attack in enumerate(ATTACKS):
                page.goto(f"{address}/reviews/list?q={urllib.parse.quote(attack)}")
                self.is_harmless(page)
                page.goto(f"{address}/reviews/list?group={urllib.parse.quote(attack)}&over={attack[:3]}")
                page.goto(f"{address}/reviews/list?q={urllib.parse.quote(f'{number}{attack}')}")
                assert f"{number}{attack}" in shown(page)
                page.get_by_role("link", name=f"{number}{attack}", exact=True).first.click()
                page.locator(".review-turn").first.wait_for()
                for fold in page.locator("details").all():
                    fold.evaluate("it => it.open = true")
                body = page.locator("main").inner_text()
                assert attack in body
                assert "image of type image/svg+xml" in body
                assert page.locator("figure img").count() == 0
                page.mouse.move(300, 300)
                self.is_harmless(page)
                page.get_by_role("link", name="Edit it …").click()
                assert attack in json.loads(page.get_by_label("The request as JSON").input_value())["system"]
                self.is_harmless(page)
            page.goto(f"{address}/reviews/list")
            page.get_by_label("Select the whole page").check()
            page.get_by_role("button", name="With selected").click()
            page.get_by_role("link", name="Reject …").click()
            page.locator("[data-review=consequence]").wait_for()
            self.is_harmless(page)

    @staticmethod
    def is_harmless(page):
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.__pwned") is None
        assert page.locator("iframe, svg[onload], [onerror], [onmouseover], [onfocus]").count() == 0


class TestForgery:
    """What another site can make a reviewer's browser do."""

    @pytest.mark.prefect
    def test_a_form_on_another_site_decides_nothing(self, yard, chromium):
        with yard.simulator():
            yard.run(yard.jobs([case(1, max_cost_usd="0.001")]), "--policy", yard.policy())
        with review_page(yard) as address, opened(chromium, address) as page:
            token = page.locator("[name=csrftoken]").first.input_value()
            fields = {"verb": "approve", "id": "1", "version": "1", "csrftoken": token}
            inputs = "".join(f"<input name='{name}' value='{value}'>" for name, value in fields.items())
            evil = page.context.browser.contexts[-1].new_page()
            evil.route(
                "http://evil.test/",
                lambda route: route.fulfill(
                    content_type="text/html",
                    body=f"<form method=post action='{address}/decide/one'>{inputs}<button>go</button></form>",
                ),
            )
            evil.goto("http://evil.test/")
            with evil.expect_response("**/decide/one") as answered:
                evil.get_by_role("button").click()
            assert answered.value.status == 403
            assert "Nothing was changed" in evil.inner_text("body")
            evil.close()
            assert yard.one("SELECT status FROM reviews") == "pending"
            # and the same form, of the page itself, does decide
            page.get_by_role("link", name="case-01").click()
            page.get_by_role("button", name="Approve").click()
            page.get_by_text("1 job approved.").wait_for()


class TestStarting:
    """What the command says before it serves."""

    def test_off_this_machine_it_wants_a_log_in(self, yard):
        ended = yard.weighbridge("review", "serve", "--ledger", yard.ledger, "--host", "0.0.0.0")
        assert ended.code == 2
        assert "starts only with a log-in" in ended.sentence

    def test_users_that_cannot_be_read_are_refused(self, yard):
        ended = yard.weighbridge(
            "review", "serve", "--host", "0.0.0.0", WEIGHBRIDGE_REVIEW_USERS="anna:secret"
        )
        assert ended.code == 2
        assert "name:hash" in ended.sentence
        assert "secret" not in ended.err

    def test_another_host_name_is_refused(self, cold_yard):
        quick_ledger(cold_yard.ledger).close()
        with review_page(cold_yard) as address:
            request = urllib.request.Request(address, headers={"Host": "rebound.example"})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=30)
            assert refused.value.code == 400
