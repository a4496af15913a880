"""The review page without a browser: what it refuses, how a payload reads, and what an edit keeps."""

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import insert, select
from starlette.testclient import TestClient
from starlette_admin.exceptions import LoginFailed

from review_page.app import make_app
from review_page.conversation import SHOWN_IMAGES, Part, conversation
from review_page.edit_views import marked, unmarked
from review_page.people import ReviewSettings, Tries, clean_name, hashed_password, is_password
from schemas.errors import BadInput
from schemas.ledger import ReviewPayloadRow, ReviewRow, RunRow
from schemas.outcome import Method
from schemas.payload.payload import Payload
from schemas.review import EditEstimate
from services.ledger import reviews

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OWN = {"Origin": "http://127.0.0.1"}
HASH = hashed_password("a long pass word")


def park(ledger, count):
    """So many pending reviews; the even ones of team-0 at 1 USD, the odd ones of team-1 at 2 USD."""
    run = {"run_id": "run-1", "jobs_path": "", "results_path": "", "policy_name": "", "policy": {}, "pid": 1}
    run |= {"mode": "messages", "endpoint": "", "simulated": True, "host": "", "process_started": 0}
    rows, payloads = [], []
    for number in range(count):
        payload = Payload.checked({"max_tokens": 9, "messages": [{"role": "user", "content": f"n {number}"}]})
        rows.append(
            {
                "id": number + 1,
                "job_id": f"job-{number}",
                "run_id": "run-1",
                "reason": "over_cost_limit",
                "detail": "worst case",
                "model": "claude-haiku-5-5",
                "input_tokens": 100,
                "worst_case_nano_usd": (1 + number % 2) * 10**9,
                "group_name": f"team-{number % 2}",
                "created_at": NOW,
                "row_number": number,
                "fingerprint": payload.fingerprint,
            }
        )
        payloads.append({"review_id": number + 1, "payload": payload.text.decode()})
    with ledger.write() as connection:
        connection.execute(insert(RunRow), [run | {"started_at": NOW, "heartbeat_at": NOW}])
        connection.execute(insert(ReviewRow), rows)
        connection.execute(insert(ReviewPayloadRow), payloads)


def statuses(ledger):
    with ledger.read() as connection:
        return dict(connection.execute(select(ReviewRow.id, ReviewRow.status)).tuples().all())


def browser_of(ledger, **settings):
    app = make_app(ledger, ReviewSettings(**settings), ["127.0.0.1"])
    return TestClient(app, base_url="http://127.0.0.1", headers=OWN, follow_redirects=False)


def token_of(page):
    return re.search(r'name="csrftoken" value="([^"]+)"', page.text).group(1)


def log_in(browser, name="Anna", password=""):
    token = token_of(browser.get("/login"))
    return browser.post("/login", data={"csrftoken": token, "username": name, "password": password})


@pytest.fixture
def ledger_url(request, tmp_path):
    """On SQLite, but where a test asks for both."""
    if getattr(request, "param", "sqlite") == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'ledger.db'}"


BOTH = pytest.mark.parametrize("ledger_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def browser(ledger):
    """A browser whose reviewer has said who they are, over four pending reviews."""
    park(ledger, 4)
    with browser_of(ledger) as client:
        assert log_in(client).status_code == 303
        client.token = token_of(client.get("/reviews/list"))
        yield client


def decide(browser, path="/decide/one", headers=None, **fields):
    return browser.post(path, data={"csrftoken": browser.token} | fields, headers=headers)


class TestDecisions:
    @BOTH
    def test_one_is_approved_by_whom_the_session_names(self, browser, ledger):
        answer = decide(
            browser, verb="approve", id="1", version="1", ceiling_usd="1.50", ceiling_tokens="120", by="Eve"
        )
        assert answer.status_code == 303
        with ledger.read() as connection:
            row = connection.execute(select(ReviewRow.__table__).where(ReviewRow.id == 1)).one()
        assert (row.status, row.decided_by, row.ceiling_nano_usd, row.ceiling_tokens) == (
            "approved",
            "Anna",
            1_500_000_000,
            120,
        )

    def test_who_read_an_older_version_is_told_so_and_overwrites_nothing(self, browser, ledger):
        decide(browser, verb="claim", id="1", version="1")
        answer = decide(browser, verb="reject", id="1", version="1")
        assert "changed since you read it" in browser.get(answer.headers["location"]).text
        assert statuses(ledger)[1] == "claimed"

    def test_what_somebody_else_claimed_is_left_to_them(self, browser, ledger):
        with browser_of(ledger) as other:
            log_in(other, "Ben")
            other.token = token_of(other.get("/reviews/list"))
            decide(other, verb="claim", id="2", version="1")
        answer = decide(browser, verb="approve", id="2", version="2", ceiling_usd="9")
        assert "claimed by Ben" in browser.get(answer.headers["location"]).text
        assert statuses(ledger)[2] == "claimed"

    @BOTH
    def test_all_that_match_are_decided_only_as_they_were_confirmed(self, browser, ledger):
        action = "/_api/reviews/action?name=approve&all=1&_list_query=%3Fgroup%3Dteam-1%26status%3Dpending%26q%3Djob"
        page = browser.post(action, data={"csrftoken": browser.token})
        assert "2 jobs, at most 4.00 USD" in page.text
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        form["back"] = form["back"].replace("&amp;", "&")
        decide(browser, verb="claim", id="2", version="1")
        stale = browser.post("/decide/many", data=form)
        assert "has changed since it was confirmed" in browser.get(stale.headers["location"]).text
        assert set(statuses(ledger).values()) == {"pending", "claimed"}
        decide(browser, verb="release", id="2", version="2")
        page = browser.post(action, data={"csrftoken": browser.token})
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        form["back"] = form["back"].replace("&amp;", "&")
        browser.post("/decide/many", data=form)
        assert statuses(ledger) == {1: "pending", 2: "approved", 3: "pending", 4: "approved"}

    @pytest.mark.parametrize(
        "fields",
        [
            {"verb": "approve", "ceiling_usd": "much"},
            {"verb": "approve", "ceiling_usd": "-1"},
            {"verb": "approve", "ceiling_usd": "NaN"},
            {"verb": "approve", "ceiling_tokens": "1.5"},
            {"verb": "approve", "days": "-1"},
            {"verb": "publish"},
            {},
        ],
    )
    def test_what_cannot_be_read_decides_nothing(self, browser, ledger, fields):
        answer = decide(browser, id="1", version="1", **fields)
        assert "nothing was decided" in browser.get(answer.headers["location"]).text
        assert set(statuses(ledger).values()) == {"pending"}

    @pytest.mark.parametrize(
        "path", ["/decide/one", "/decide/many", "/_api/reviews/action?name=reject&pks=1"]
    )
    def test_a_get_decides_nothing(self, browser, ledger, path):
        assert browser.get(path).status_code in (404, 405)
        assert set(statuses(ledger).values()) == {"pending"}

    @pytest.mark.parametrize(
        "path",
        ["/_api/reviews/action?name=delete&pks=1", "/_api/reviews/row-action?name=delete&pk=1"],
    )
    def test_the_library_s_own_ways_to_change_rows_are_closed(self, browser, ledger, path):
        assert browser.post(path, headers={"X-CSRFToken": browser.token}, data={"x": "y"}).status_code == 400
        for page in ("create", "edit?pk=1"):
            answer = browser.post(f"/reviews/{page}", data={"csrftoken": browser.token, "status": "approved"})
            assert answer.status_code == 403
        assert len(statuses(ledger)) == 4
        assert set(statuses(ledger).values()) == {"pending"}


class TestLists:
    @BOTH
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("", {"job-0", "job-1", "job-2", "job-3"}),
            ("?group=team-1", {"job-1", "job-3"}),
            ("?over=1.5", {"job-1", "job-3"}),
            ("?q=JOB-2", {"job-2"}),
            ("?q=job%25", set()),
            ("?status=approved", set()),
            (
                "?status=all&reason=over_cost_limit&model=claude-haiku-5-5",
                {"job-0", "job-1", "job-2", "job-3"},
            ),
            ("?page=9", set()),
        ],
    )
    def test_a_list_shows_what_its_address_asks(self, browser, query, found):
        page = browser.get(f"/reviews/list{query}")
        assert page.status_code == 200
        assert set(re.findall(r">(job-\d)<", page.text)) == found

    @pytest.mark.parametrize(
        "query", ["?sort=payload__asc", "?page=x", "?page_size=99999999", "?status=%00&over=1e999"]
    )
    def test_an_address_that_makes_no_sense_does_no_harm(self, browser, query):
        page = browser.get(f"/reviews/list{query}")
        assert page.status_code in (200, 400)
        assert len(re.findall(r">(job-\d)<", page.text)) in (0, 4)

    @pytest.mark.parametrize("pk", ["0", "x", "99999999999999999999", "", "1 OR 1=1"])
    def test_a_review_that_is_not_there_is_a_404(self, browser, pk):
        assert browser.get("/reviews/detail", params={"pk": pk}).status_code == 404


class TestForeignRequests:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:9"},
            {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-site"},
        ],
    )
    def test_another_origin_changes_nothing_even_with_the_token(self, browser, ledger, headers):
        answer = decide(browser, headers=headers, verb="reject", id="1", version="1")
        assert answer.status_code == 403
        assert set(statuses(ledger).values()) == {"pending"}

    def test_without_an_origin_the_browser_must_vouch_for_it(self, browser, ledger):
        del browser.headers["Origin"]
        assert decide(browser, verb="reject", id="1", version="1").status_code == 403
        site = {"Sec-Fetch-Site": "same-origin"}
        assert decide(browser, headers=site, verb="reject", id="1", version="1").status_code == 303
        assert statuses(ledger)[1] == "rejected"

    @pytest.mark.parametrize("token", ["", "forged"])
    def test_without_the_session_s_token_nothing_is_changed(self, browser, ledger, token):
        browser.token = token
        assert decide(browser, verb="reject", id="1", version="1").status_code == 403
        assert set(statuses(ledger).values()) == {"pending"}

    def test_another_host_is_refused(self, browser):
        assert browser.get("/reviews/list", headers={"Host": "rebound.example"}).status_code == 400

    def test_a_huge_form_is_refused_unread(self, browser):
        assert decide(browser, headers={"Content-Length": "2000001"}, verb="reject").status_code == 413

    def test_every_answer_says_what_may_run_in_it(self, browser):
        first, second = browser.get("/reviews/list"), browser.get("/reviews/list")
        policies = [answer.headers["Content-Security-Policy"] for answer in (first, second)]
        assert policies[0] != policies[1]
        nonce = re.search(r"script-src 'nonce-([^']+)'", policies[0]).group(1)
        scripts = re.findall(r"<script[^>]*>", first.text)
        assert scripts
        assert all(f'nonce="{nonce}"' in script for script in scripts)
        assert "http" not in re.sub(r"http://127\.0\.0\.1|http://www\.w3\.org", "", " ".join(scripts))
        for answer in (first, browser.get("/static/review.css"), browser.get("/nowhere")):
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "same-origin"
        assert first.headers["Cache-Control"] == "no-store"

    def test_the_session_is_out_of_reach_of_scripts_and_other_sites(self, ledger):
        with browser_of(ledger) as browser:
            said = log_in(browser).headers.get_list("set-cookie")
        [cookie] = [one for one in said if one.startswith("weighbridge_review=")]
        assert {"httponly", "samesite=strict"} <= {part.strip().lower() for part in cookie.split(";")}


class TestPeople:
    def test_who_is_not_logged_in_sees_nothing(self, ledger):
        park(ledger, 1)
        with browser_of(ledger, users=SecretStr(f"anna:{HASH}")) as browser:
            for path in ("/", "/reviews/list", "/reviews/detail?pk=1", "/decide"):
                answer = browser.get(path)
                assert answer.status_code == 303
                assert "/login" in answer.headers["location"]

    def test_a_name_needs_its_password(self, ledger):
        with browser_of(ledger, users=SecretStr(f"anna:{HASH} ben:{HASH}")) as browser:
            assert log_in(browser, "anna", "another").status_code == 400
            assert log_in(browser, "eve", "a long pass word").status_code == 400
            assert browser.get("/reviews/list").status_code == 303
            assert log_in(browser, "anna", "a long pass word").status_code == 303
            assert browser.get("/reviews/list").status_code == 200

    def test_a_session_ends_with_its_password_or_its_name(self, ledger):
        secret = SecretStr("s" * 40)
        with browser_of(ledger, users=SecretStr(f"anna:{HASH}"), secret=secret) as browser:
            log_in(browser, "anna", "a long pass word")
            cookies = dict(browser.cookies)
        for users, code in (
            (f"anna:{HASH}", 200),
            (f"anna:{hashed_password('x' * 12)}", 303),
            (f"ben:{HASH}", 303),
        ):
            with browser_of(ledger, users=SecretStr(users), secret=secret) as browser:
                browser.cookies.update(cookies)
                assert browser.get("/reviews/list").status_code == code

    def test_guessing_is_slowed_down_and_a_success_is_no_guess(self):
        now = [0.0]
        tries = Tries(clock=lambda: now[0])
        for _ in range(50):
            tries.begin("anna", "10.0.0.1")
            tries.succeeded("anna", "10.0.0.1")
        for _ in range(5):
            tries.begin("anna", "10.0.0.1")
        with pytest.raises(LoginFailed):
            tries.begin("anna", "10.0.0.1")
        tries.begin("anna", "10.0.0.2")
        for number in range(15):
            tries.begin(f"name-{number}", "10.0.0.1")
        with pytest.raises(LoginFailed):
            tries.begin("ben", "10.0.0.1")
        now[0] = tries.WINDOW_SECONDS + 1
        tries.begin("anna", "10.0.0.1")

    def test_passwords_are_kept_as_salted_hashes(self):
        other = hashed_password("a long pass word")
        assert other != HASH
        assert "pass" not in HASH
        assert is_password("a long pass word", HASH)
        assert is_password("a long pass word", other)
        assert not is_password("a long pass word ", HASH)
        assert not is_password("", "")

    @pytest.mark.parametrize(
        "users",
        ["anna", "anna:", ":x", "anna:scrypt.a.b", f"anna;{HASH}", f"anna:{HASH[:-9]}"],
        ids=[
            "no hash",
            "empty hash",
            "no name",
            "no salt",
            "semicolon",
            "cut off",
        ],  # the salt differs by process
    )
    def test_users_that_cannot_be_read_are_refused_without_being_quoted(self, users):
        with pytest.raises(BadInput) as refused:
            _ = ReviewSettings(users=SecretStr(users)).hashes
        assert users not in str(refused.value)

    def test_a_secret_that_can_be_guessed_is_refused(self):
        with pytest.raises(BadInput):
            _ = ReviewSettings(secret=SecretStr("hunter2")).signing_secret
        assert ReviewSettings().signing_secret != ReviewSettings().signing_secret

    @given(st.text(max_size=150))
    def test_a_clean_name_is_one_line_that_can_be_printed(self, text):
        name = clean_name(text)
        assert name is None or (name.isprintable() and 0 < len(name) <= 100 and name == name.strip())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class TestConversation:
    def test_each_kind_of_block_reads_as_what_it_is(self):
        blocks = [
            {"type": "text", "text": "Hello"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/svg+xml", "data": "QUJD"}},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": 'x" onerror="'},
            },
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "A" * 400},
            },
            {"type": "thinking", "thinking": "Hm."},
            {"type": "tool_use", "name": "look_up", "input": {"case": 1}},
            {"type": "tool_result", "content": [{"type": "text", "text": "found"}]},
            {"type": "hologram", "beam": 1},
        ]
        told = conversation(
            json.dumps({"system": "Be brief.", "messages": [{"role": "user", "content": blocks}]})
        )
        assert [turn.role for turn in told.turns] == ["system", "user"]
        kinds = [(part.kind, part.heading or part.text) for part in told.turns[1].parts]
        assert kinds == [
            ("text", "Hello"),
            ("image", "image/png, 3 bytes"),
            ("note", "image of type image/svg+xml, 3 bytes, not shown"),
            ("note", "image of type image/png, 9 bytes, not shown"),
            ("note", "document: application/pdf, 300 bytes, not shown"),
            ("fold", "thinking (3 characters)"),
            ("fold", "calls the tool look_up"),
            ("group", "the tool's result"),
            ("fold", "block of type hologram"),
        ]

    @given(
        JSON
        | st.fixed_dictionaries(
            {"messages": st.lists(st.fixed_dictionaries({"role": JSON, "content": JSON}))}
        )
    )
    def test_whatever_is_stored_can_be_shown_and_pictures_are_of_four_kinds(self, stored):
        def pictures(parts):
            for part in parts:
                assert isinstance(part, Part)
                yield from ([part] if part.kind == "image" else [])
                yield from pictures(part.parts)

        told = conversation(json.dumps(stored))
        for turn in told.turns:
            for picture in pictures(turn.parts):
                assert picture.text.startswith(tuple(f"data:{kind};base64," for kind in SHOWN_IMAGES))

    def test_no_payload_and_no_json_are_shown_as_they_are(self):
        assert conversation("not JSON").unread == "not JSON"
        deep = '{"messages":[{"role":"user","content":' + "[" * 3_000 + "]" * 3_000 + "}]}"
        assert conversation(deep)


TOOL = {"name": "look_up", "input_schema": {"type": "object"}}


class TestEdits:
    DATA = "QUJD" * 1_000

    def payload(self):
        tool = {"type": "tool_use", "id": "t", "name": "look_up", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "t", "content": "found"}
        source = {"type": "base64", "media_type": "image/png", "data": self.DATA}
        messages = [
            {
                "role": "user",
                "content": [{"type": "text", "text": "One"}, {"type": "image", "source": source}],
            },
            {"role": "assistant", "content": [tool]},
            {"role": "user", "content": [result]},
            {"role": "assistant", "content": "Two"},
            {"role": "user", "content": "Three"},
        ]
        request = {"max_tokens": 9, "tools": [TOOL], "messages": messages}
        return Payload.checked(request).text.decode()

    def test_a_text_left_as_it_is_is_the_same_payload_and_carries_no_data(self):
        text = marked(self.payload())
        assert self.DATA not in text
        assert Payload.checked(unmarked(text, self.payload())).text.decode() == self.payload()

    @given(
        st.recursive(
            st.text() | st.just("QUJD" * 600), lambda inner: st.lists(inner, max_size=3), max_leaves=5
        )
    )
    def test_marks_stand_for_what_they_replaced(self, value):
        stored = json.dumps({"value": value})
        assert unmarked(marked(stored), stored) == {"value": value}

    def test_a_text_too_long_for_a_form_is_not_offered(self):
        assert marked(json.dumps({"text": "two words " * 30_000})) is None

    @pytest.fixture
    def editor(self, ledger):
        """A browser that may edit, and what was weighed for it."""
        park(ledger, 1)
        weighed = []

        async def weigh(review, payload):
            weighed.append((review.id, payload))
            return EditEstimate("claude-haiku-5-5", 7, Method.COUNTED, 1_000, limit_tokens=10, limit=2_000)

        app = make_app(ledger, ReviewSettings(), ["127.0.0.1"], weigh)
        with TestClient(app, base_url="http://127.0.0.1", headers=OWN, follow_redirects=False) as browser:
            log_in(browser)
            browser.token = token_of(browser.get("/edit?pk=1"))
            browser.weighed = weighed
            yield browser

    @pytest.mark.parametrize(
        "fields",
        [
            {"text": "{"},
            {"text": "[]"},
            {"text": "1"},
            {"text": '{"messages": []}'},
            {"text": '{"max_tokens": 5, "keep": 1}', "keep_turns": "1"},
            {"text": "[" * 100_000},
            {"max_tokens": "0"},
            {"max_tokens": "many"},
            {"keep_turns": "9"},
        ],
    )
    def test_what_is_no_request_is_neither_weighed_nor_decided(self, editor, ledger, fields):
        for verb in ("weigh", "save"):
            page = decide(editor, "/edit", id="1", version="1", verb=verb, **fields)
            assert page.status_code == 200
            assert 'role="alert"' in page.text
        assert editor.weighed == []
        assert statuses(ledger) == {1: "pending"}

    def test_weighing_shows_both_and_decides_nothing_until_it_is_saved(self, editor, ledger):
        page = decide(editor, "/edit", id="1", version="1", verb="weigh", max_tokens="5")
        assert "It is within its limits" in page.text
        assert statuses(ledger) == {1: "pending"}
        assert decide(editor, "/edit", id="1", version="1", verb="save", max_tokens="5").status_code == 303
        row = reviews.one_review(ledger, 1)
        assert (row.status, row.decided_by, row.input_tokens, row.ceiling_nano_usd) == (
            "edited",
            "Anna",
            7,
            1_000,
        )
        assert json.loads(row.edited_payload) == json.loads(row.payload) | {"max_tokens": 5}
        assert [payload.max_tokens for _, payload in editor.weighed] == [5, 5]

    def test_who_edits_an_older_version_overwrites_nothing(self, editor, ledger):
        decide(editor, verb="claim", id="1", version="1")
        answer = decide(editor, "/edit", id="1", version="1", verb="save", max_tokens="5")
        assert "changed since you read it" in editor.get(answer.headers["location"]).text
        assert statuses(ledger) == {1: "claimed"}
