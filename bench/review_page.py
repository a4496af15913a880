"""How long the review page takes over many waiting jobs: the real command, a real ledger on disk, over HTTP.

    python bench/review_page.py [--reviews 100000] [--payload-bytes 3000]

Prints one JSON line: milliseconds of the slowest of five requests each; the bulk decisions are made once.
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
from sqlalchemy import insert

from schemas.ledger import ReviewRow, RunRow
from schemas.payload import Payload
from services.ledger import open_ledger

ROOT = Path(__file__).resolve().parents[1]
MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")
REASONS = ("over_cost_limit", "over_input_limit", "uncountable")
PART = 5_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviews", type=int, default=100_000)
    parser.add_argument("--payload-bytes", type=int, default=3_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="review-page-") as folder:
        url = f"sqlite:///{folder}/ledger.db"
        fill(url, chosen.reviews, chosen.payload_bytes)
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
                    figures |= measured(browser, chosen.reviews)
            finally:
                server.terminate()
    print(json.dumps(figures))


def fill(url: str, reviews: int, payload_bytes: int) -> None:
    """A ledger with so many pending reviews."""
    ledger, now = open_ledger(url), datetime.now(UTC)
    run = {"run_id": "run-bench", "jobs_path": "", "results_path": "", "policy_name": "", "policy": {}}
    run |= {"mode": "messages", "endpoint": "", "simulated": True, "host": "", "pid": 1, "process_started": 0}
    with ledger.write() as connection:
        connection.execute(insert(RunRow), [run | {"started_at": now, "heartbeat_at": now}])
    for start in range(0, reviews, PART):
        rows = [review(number, payload_bytes, now) for number in range(start, min(start + PART, reviews))]
        with ledger.write() as connection:
            connection.execute(insert(ReviewRow), rows)
    ledger.close()


def review(number: int, payload_bytes: int, now: datetime) -> dict[str, object]:
    text = f"Case {number}. " + "The goods were weighed twice, and both weights differ. " * (
        payload_bytes // 55
    )
    payload = Payload.checked({"max_tokens": 32_000, "messages": [{"role": "user", "content": text}]})
    tokens = 12_000 + number % 40_000
    return {
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
        "group_name": f"team-{number % 12}",
        "created_at": now,
        "row_number": number,
        "fingerprint": payload.fingerprint,
        "payload": payload.text.decode(),
    }


def measured(browser: httpx.Client, reviews: int) -> dict[str, object]:
    """Milliseconds by what was asked."""
    token = re.search(r'name="csrftoken" value="([^"]+)"', browser.get("/login").text).group(1)
    timed(browser, "POST", "/login", {"csrftoken": token, "username": "Bench"})
    asked = {
        "list_ms": "",
        "last_page_ms": f"?page={reviews // 25}",
        "by_money_ms": "?sort=worst_case_nano_usd__desc",
        "filtered_ms": "?reason=over_input_limit&model=claude-opus-5-5&over=0.62",
        "searched_ms": "?q=case-0999",
        "all_statuses_ms": "?status=all",
    }
    taken = {}
    for name, query in asked.items():
        taken[name] = max(timed(browser, "GET", f"/reviews/list{query}")[0] for _ in range(5))
    taken["detail_ms"] = max(timed(browser, "GET", f"/reviews/detail?pk={reviews // 2}")[0] for _ in range(5))
    for verb in ("approve", "reject"):
        half = "reason=over_cost_limit" if verb == "approve" else "reason=over_input_limit"
        url = f"/_api/reviews/action?name={verb}&all=1&_list_query=%3F{half.replace('=', '%3D')}"
        taken[f"confirm_{verb}_ms"], page = timed(browser, "POST", url, {"csrftoken": token})
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        taken[f"{verb}_all_ms"], answer = timed(browser, "POST", "/decide/many", form)
        number = f"{reviews // 2:,} jobs"
        assert number in browser.get(answer.headers["location"]).text, answer.text
    return taken


def timed(
    browser: httpx.Client, method: str, url: str, data: dict[str, str] | None = None
) -> tuple[int, httpx.Response]:
    started = time.perf_counter()
    answer = browser.request(method, url, data=data)
    assert answer.status_code < 400, answer.text
    return round((time.perf_counter() - started) * 1_000), answer


if __name__ == "__main__":
    main()
