"""Broken rows among good ones: each is named with its column and reason, and none stops the others."""

import json

import pyarrow as pa
import pytest

pytestmark = pytest.mark.prefect

#: stands in every payload and must be seen nowhere
SECRET = "HIDDENWORD"


def said(text=SECRET, role="user", **more):
    return json.dumps([{"role": role, "content": f"{SECRET} {text}"} | more])


URL_IMAGE = json.dumps([
    {
        "role": "user",
        "content": [
            {"type": "text", "text": SECRET},
            {"type": "image", "source": {"type": "url", "url": f"https://example.org/{SECRET}"}},
        ],
    }
])  # fmt: skip

SAID = f'{{"role":"user","content":"{SECRET}"}}'

#: job id: (the row's own columns, the column that is at fault, a word of the reason)
REJECTED = {
    "invalid-json": ({"messages": f'[{{"role": "user", "{SECRET}'}, "messages", "JSON"),
    "no-messages": ({"messages": "[]"}, "messages", "empty"),
    "neither": ({}, "messages", "empty"),
    "both": ({"messages": said(), "prompt": SECRET}, "messages", "prompt"),
    "wrong-role": ({"messages": said(role="robot")}, "messages", "role"),
    "system-role": ({"messages": said(role="system")}, "messages", "system"),
    "extra-field": ({"messages": said(name=SECRET)}, "messages", "besides"),
    "blank": ({"prompt": "  "}, "messages", "empty"),
    "temperature": ({"prompt": SECRET, "params": '{"temperature": 0.5}'}, "temperature", "sampling"),
    "top-p": ({"prompt": SECRET, "params": '{"top_p": 1}'}, "top_p", "sampling"),
    "unknown-parameter": ({"prompt": SECRET, "params": '{"wonder": 1}'}, "wonder", "not a parameter"),
    "max-tokens-0": ({"prompt": SECRET, "max_tokens": 0}, "max_tokens", "at least 1"),
    "max-tokens-negative": ({"prompt": SECRET, "max_tokens": -5}, "max_tokens", "at least 1"),
    "max-tokens-huge": ({"prompt": SECRET, "max_tokens": 10**12}, "max_tokens", "above"),
    "too-large": ({"prompt": SECRET + "x" * 32_000_000}, "messages", "limit"),
    "surrogate": ({"messages": r'[{"role":"user","content":"HIDDENWORD \ud800"}]'}, "messages", ""),
    "bad-utf-8": ({"prompt": b"HIDDENWORD \xff\xfe"}, "prompt", "UTF-8"),
    "unknown-model": ({"prompt": SECRET, "model": "claude-nothing-9"}, "model", "claude-nothing-9"),
    "retired-model": ({"prompt": SECRET, "model": "claude-opus-4-1"}, "model", "retired"),
    "bad-thinking": (
        {"prompt": SECRET, "thinking": '{"type":"enabled","budget_tokens":2048}', "max_tokens": 4096},
        "thinking",
        "adaptive",
    ),
    "pinned-prefill": (
        {"messages": f'[{SAID},{{"role":"assistant","content":"{SECRET}"}}]', "model": "claude-opus-5-5"},
        "messages",
        "move the assistant text",
    ),
    "x" * 250: ({"prompt": SECRET}, "job_id", "long"),
}
#: what only the API can tell: it refuses the count
REFUSED = {
    "bad-block": {"messages": f'[{{"role":"user","content":[{{"type":"wonder","text":"{SECRET}"}}]}}]'},
}
REVIEWED = {
    "server-tool": {"prompt": SECRET, "tools": '[{"type":"web_search_20250305","name":"web_search"}]'},
    "url-image": {"messages": URL_IMAGE},
}
SCHEMA = {
    "job_id": pa.string(),
    "prompt": pa.binary(),
    "messages": pa.string(),
    "params": pa.string(),
    "tools": pa.string(),
    "thinking": pa.string(),
    "model": pa.string(),
    "max_tokens": pa.int64(),
}


def bad_file():
    """Good and bad rows in turn; the prompt column holds bytes that are no UTF-8, as some writers leave them."""
    broken = {name: columns for name, (columns, _, _) in REJECTED.items()} | REFUSED | REVIEWED
    rows = []
    for number, (name, columns) in enumerate(broken.items()):
        rows += [{"job_id": f"good-{number}", "prompt": f"{SECRET} {number}"}, {"job_id": name} | columns]
    rows += [{"job_id": None, "prompt": SECRET}, {"job_id": " ", "prompt": SECRET}]
    rows += [{"job_id": "good-0", "prompt": f"{SECRET} again"}]
    for row in rows:
        if isinstance(row.get("prompt"), str):
            row["prompt"] = row["prompt"].encode()
    table = pa.Table.from_pylist(rows, schema=pa.schema(SCHEMA))
    text = pa.chunked_array([chunk.view(pa.string()) for chunk in table["prompt"].chunks])
    return table.set_column(1, "prompt", text), len(rows), len(broken)


def test_each_bad_row_is_named_with_column_and_reason_and_the_good_ones_are_answered(yard):
    table, rows, good = bad_file()
    jobs = yard.jobs(table)
    with yard.simulator() as simulator:
        ended = yard.weighbridge("run", jobs, "--json")
        assert ended.code == 4, ended.told()
        assert SECRET not in ended.out + ended.err
        assert "Traceback" not in ended.err
        report = ended.json
        yard.assert_accounted(report, rows)
        assert report["outcome"] == "incomplete"
        rejected = len(REJECTED) + len(REFUSED) + 3
        assert report["jobs"] == {
            "read": rows, "succeeded": good, "review": len(REVIEWED), "deferred": 0, "rejected": rejected,
            "failed": 0, "unknown": 0,
        }  # fmt: skip
        yard.assert_agreement(report, simulator.billed())
        assert "too-large" not in str(simulator.stats())

    on_record = yard.rows("SELECT * FROM jobs WHERE run_id = ?", report["run_id"])
    by_id = {row["job_id"]: row for row in on_record if row["outcome"] == "rejected"}
    for name, (_, column, word) in REJECTED.items():
        found = by_id[name[:200]]
        assert found["reason"] == "invalid_row"
        assert found["detail"].startswith(f"{column}: "), found
        assert word in found["detail"], found
    for name in REFUSED:
        assert by_id[name]["reason"] == "refused_by_api"
        assert "HTTP 400" in by_id[name]["detail"]
    assert "same id" in by_id["good-0"]["detail"]
    assert "empty" in by_id[None]["detail"]
    assert not [row for row in on_record if SECRET in (row["detail"] or "")]

    waiting = yard.rows("SELECT * FROM reviews")
    assert {(row["job_id"], row["reason"]) for row in waiting} == {(n, "uncountable") for n in REVIEWED}
    # what has a bound has a price too, so that a person can let it pass
    assert all(
        row["detail"] and (row["worst_case_usd"] is None) == (row["input_tokens"] is None) for row in waiting
    )
    bounds = {row["job_id"]: (row["input_tokens"], row["detail"]) for row in waiting}
    assert bounds["server-tool"][0] is None
    assert bounds["url-image"][0] > 4_784
    assert f"at most {bounds['url-image'][0]:,} input tokens under claude-" in bounds["url-image"][1]
    reasons = {(row["outcome"], row["reason"]): row for row in report["reasons"]}
    assert reasons["rejected", "invalid_row"]["jobs"] == len(REJECTED) + 3
    assert reasons["rejected", "invalid_row"]["example_detail"]
    assert reasons["rejected", "refused_by_api"]["jobs"] == len(REFUSED)
    assert reasons["review", "uncountable"]["jobs"] == len(REVIEWED)

    shown = yard.weighbridge("review", "list", "--json")
    assert {row["job_id"] for row in json.loads(shown.out)} == set(REVIEWED)
    # the report on a terminal names them too, and still nothing of a payload
    told = yard.weighbridge("report", report["run_id"])
    assert told.code == 0
    assert "bad-thinking" in told.out
    assert SECRET not in told.out + told.err
