"""The review page without a browser: parked reviews, and somebody who has logged in."""

import re
from datetime import UTC, datetime

from sqlalchemy import insert, select
from starlette.testclient import TestClient

from review_page.app import make_app
from review_page.people import ReviewSettings
from schemas.ledger import RunRow
from schemas.payload.payload import Payload
from schemas.review_tables import ReviewPayloadRow, ReviewRow

NOW = datetime(2026, 11, 1, tzinfo=UTC)
#: of "a long pass word"; one that was given to people once is theirs for good
HASH = "scrypt.gy3Ny_H7L3Fen_qrrHvx2Q.wvc-3AYzfVBV23e3qPV3KUw7EAk1_FKgdpNF_enq-e8"


def park(ledger, count, *, simulated=True):
    """Pending reviews; the even ones of team-0 at 1 USD, the odd ones of team-1 at 2 USD."""
    run = {"run_id": "run-1", "jobs_path": "", "results_path": "", "policy_name": "", "policy": {}, "pid": 1}
    run |= {"mode": "messages", "endpoint": "", "simulated": simulated, "host": "", "process_started": 0}
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


def browser_of(ledger, base_url="http://127.0.0.1", weigh=None, prune=None, **settings):
    """A browser of the page, as its user knows it by this address."""
    app = make_app(ledger, ReviewSettings(**settings), ["127.0.0.1", "reviews.example"], weigh, prune)
    return TestClient(app, base_url=base_url, headers={"Origin": base_url}, follow_redirects=False)


def token_of(page):
    return re.search(r'name="csrftoken" value="([^"]+)"', page.text).group(1)


def log_in(browser, name="Anna", password=""):
    token = token_of(browser.get("/login"))
    return browser.post("/login", data={"csrftoken": token, "username": name, "password": password})


def decide(browser, path="/decide/one", headers=None, **fields):
    return browser.post(path, data={"csrftoken": browser.token} | fields, headers=headers)
