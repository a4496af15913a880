"""How long the review page takes over many waiting jobs: the real command, a real ledger on disk, over HTTP.

    python bench/review_page.py [--reviews 100000] [--payload-bytes 3000]

Prints one JSON line, of each request its wall and its CPU milliseconds (the server process, user and system); the
slowest of five of what only reads. The bulk decisions are made once: about the tenth of the reviews that are one
group's, then about all of them.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from sqlalchemy import insert, update

from schemas.ledger import RunRow
from schemas.outcome import ReviewStatus
from schemas.payload.payload import Payload
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from services.ledger import Ledger, open_ledger

ROOT = Path(__file__).resolve().parents[1]
MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")
REASONS = ("over_cost_limit", "over_input_limit", "uncountable")
GROUPS = 10
PART = 5_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviews", type=int, default=100_000)
    parser.add_argument("--payload-bytes", type=int, default=3_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="review-page-") as folder:
        url = f"sqlite:///{folder}/ledger.db"
        ledger = open_ledger(url)
        fill(ledger, chosen.reviews, chosen.payload_bytes)
        figures = {
            "reviews": chosen.reviews,
            "payload_bytes": chosen.payload_bytes,
            "ledger_megabytes": round(Path(folder, "ledger.db").stat().st_size / 1e6),
        }
        with subprocess.Popen(
            [sys.executable, "-m", "cli.main", "review", "serve", "--ledger", url, "--port", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            try:
                base = re.search(r"http://\S+", server.stdout.readline()).group()
                with httpx.Client(base_url=base, headers={"Origin": base}, timeout=120) as browser:
                    figures |= measured(Clock(browser, server.pid), ledger, chosen.reviews)
            finally:
                server.terminate()
        ledger.close()
    print(json.dumps(figures))


def fill(ledger: Ledger, reviews: int, payload_bytes: int) -> None:
    """Put this many pending reviews into a ledger."""
    now = datetime.now(UTC)
    run = {"run_id": "run-bench", "jobs_path": "", "results_path": "", "policy_name": "", "policy": {}}
    run |= {"mode": "messages", "endpoint": "", "simulated": True, "host": "", "pid": 1, "process_started": 0}
    with ledger.write() as connection:
        connection.execute(insert(RunRow), [run | {"started_at": now, "heartbeat_at": now}])
    for start in range(0, reviews, PART):
        numbers = range(start, min(start + PART, reviews))
        payloads = [payload(number, payload_bytes) for number in numbers]
        rows = [review(number, made.fingerprint, now) for number, made in zip(numbers, payloads, strict=True)]
        texts = [
            {"review_id": number + 1, "payload": made.text.decode()}
            for number, made in zip(numbers, payloads, strict=True)
        ]
        with ledger.write() as connection:
            connection.execute(insert(ReviewRow), rows)
            connection.execute(insert(ReviewPayloadRow), texts)


def payload(number: int, payload_bytes: int) -> Payload:
    text = f"Case {number}. " + "The goods were weighed twice, and both weights differ. " * (
        payload_bytes // 55
    )
    return Payload.checked({"max_tokens": 32_000, "messages": [{"role": "user", "content": text}]})


def review(number: int, fingerprint: str, now: datetime) -> dict[str, object]:
    tokens = 12_000 + number % 40_000
    return {
        "id": number + 1,
        "job_id": f"case-{number:06}",
        "run_id": "run-bench",
        "reason": REASONS[number % 2],
        "detail": f"worst case 0.689592000 USD ({tokens:,} input and 32,000 output tokens), limit 0.500000000 USD",
        "model": MODELS[number % 3],
        "payload_class": "text",
        "method": "counted",
        "input_tokens": tokens,
        "limit_tokens": 32_000,
        "max_tokens": 32_000,
        "limit_nano_usd": 500_000_000,
        "worst_case_nano_usd": 600_000_000 + tokens * 1_000,
        "group_name": f"team-{number // 2 % GROUPS}",
        "created_at": now,
        "row_number": number,
        "fingerprint": fingerprint,
    }


class Clock:
    """Times what a browser asks.

    Args:
        browser: the browser.
        pid: the server's process.
    """

    def __init__(self, browser: httpx.Client, pid: int) -> None:
        self.browser = browser
        self.server = psutil.Process(pid)

    def timed(
        self, method: str, url: str, data: dict[str, str] | None = None
    ) -> tuple[tuple[int, int], httpx.Response]:
        """Milliseconds of one request, wall and CPU; and its answer."""
        started, worked = time.perf_counter(), self._cpu()
        answer = self.browser.request(method, url, data=data)
        taken = time.perf_counter() - started, self._cpu() - worked
        assert answer.status_code < 400, answer.text
        return (round(taken[0] * 1_000), round(taken[1] * 1_000)), answer

    def _cpu(self) -> float:
        times = self.server.cpu_times()
        return float(times.user + times.system)


def measured(clock: Clock, ledger: Ledger, reviews: int) -> dict[str, tuple[int, int]]:
    """Wall and CPU milliseconds by what was asked."""
    token = re.search(r'name="csrftoken" value="([^"]+)"', clock.browser.get("/login").text).group(1)
    clock.timed("POST", "/login", {"csrftoken": token, "username": "Bench"})
    asked = {
        "list": "list",
        "last_page": f"list?page={reviews // 25}",
        "by_money": "list?sort=worst_case_nano_usd__desc",
        "filtered": "list?reason=over_input_limit&model=claude-opus-5-5&over=0.62",
        "searched": "list?q=case-0999",
        "all_statuses": "list?status=all",
        "detail": f"detail?pk={reviews // 2}",
    }
    taken = {
        name: max(clock.timed("GET", f"/reviews/{query}")[0] for _ in range(5))
        for name, query in asked.items()
    }
    for name, verb, which, number in (
        ("approve_a_group", "approve", "group%3Dteam-3", reviews // GROUPS),
        ("approve_all", "approve", "", reviews),
        ("reject_all", "reject", "", reviews),
    ):
        url = f"/_api/reviews/action?name={verb}&all=1&_list_query=%3F{which}"
        taken[f"confirm_{name}"], page = clock.timed("POST", url, {"csrftoken": token})
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        taken[name], answer = clock.timed("POST", "/decide/many", form)
        shown = clock.browser.get(answer.headers["location"]).text
        assert f"{number:,} jobs" in shown, shown
        with ledger.write() as connection:
            connection.execute(
                update(ReviewRow)
                .where(ReviewRow.status != ReviewStatus.PENDING)
                .values(status=ReviewStatus.PENDING, decided_by="Bench")
            )
    return taken


if __name__ == "__main__":
    main()
