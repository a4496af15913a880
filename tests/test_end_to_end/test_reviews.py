"""Reviewers at a real terminal: what waits is looked at, approved, edited and rejected by the command alone."""

import json

import pytest

PROMPT = "word " * 30_000


@pytest.fixture
def waiting(yard):
    """A yard whose last run left jobs for a person; it talks to a simulator."""
    talk = [
        {"role": "assistant" if index % 2 else "user", "content": f"SECRET {index} " + "word " * 5_000} for index in range(9)
    ]  # fmt: skip
    rows = [
        {"job_id": "talk", "messages": json.dumps(talk), "max_tokens": 500, "group": "red"},
        {"job_id": "heavy", "prompt": "[bold]" + PROMPT, "max_tokens": 500, "group": "red"},
        {
            "job_id": "dear",
            "prompt": "hello",
            "max_tokens": 64_000,
            "model": "claude-opus-5-5",
            "group": "blue",
        },
    ]
    with yard.simulator():
        report = yard.run(yard.jobs(rows), "--max-input-tokens", 20_000)
        assert report["jobs"]["review"] == 3
        yield yard


def listed(yard, *options):
    ended = yard.weighbridge("review", "list", "--json", *options)
    assert ended.code == 0, ended.told()
    return {row["job_id"]: row for row in ended.json}


def test_what_waits_is_drained(waiting):
    yard = waiting
    rows = listed(yard)
    assert set(rows) == {"talk", "heavy", "dear"}
    assert "keep the last" in rows["talk"]["would_pass"]
    assert "lower max_tokens" in rows["dear"]["would_pass"]
    assert set(listed(yard, "--group", "red")) == {"talk", "heavy"}
    assert set(listed(yard, "--over", "0.6")) == {"dear"}

    shown = yard.weighbridge("review", "show", rows["heavy"]["id"])
    assert shown.code == 0, shown.told()
    assert "[bold]" in shown.out
    assert "raise max_input_tokens" in shown.out
    assert "new to pending" in shown.out

    # an edit is counted anew, and fits
    edited = yard.weighbridge(
        "review", "edit", rows["talk"]["id"], "--keep-turns", 2, "--by", "ana", "--json"
    )
    assert edited.code == 0, edited.told()
    assert edited.json["edited"] == 1
    assert edited.json["fits"] is True
    assert edited.json["after"]["input_tokens"] < 20_000 < edited.json["before"]["input_tokens"]
    row = yard.rows(
        "SELECT * FROM reviews JOIN review_payloads ON review_id = reviews.id WHERE job_id = 'talk'"
    )[0]
    assert (row["status"], row["decided_by"]) == ("edited", "ana")
    assert len(json.loads(row["edited_payload"])["messages"]) == 3

    # a second person is refused, and told why
    late = yard.weighbridge(
        "review", "approve", rows["talk"]["id"], rows["heavy"]["id"], WEIGHBRIDGE_REVIEWER="ben"
    )
    assert late.code == 4
    assert "by ana" in late.err
    assert "1 review(s) approved" in late.out

    # all that is left, by filter: not without a terminal or --yes
    asked = yard.weighbridge("review", "reject", "--group", "blue")
    assert asked.code == 2
    assert "1 review(s)" in asked.sentence
    assert "--yes" in asked.sentence
    done = yard.weighbridge(
        "review", "reject", "--group", "blue", "--yes", "--by", "ana", "--note", "no", "--json"
    )
    assert done.json == {"rejected": 1, "refused": []}
    assert listed(yard) == {}
    on_record = yard.rows(
        "SELECT review_id, to_status, changed_by FROM review_events WHERE from_status = 'pending'"
    )
    assert {(e["to_status"], e["changed_by"]) for e in on_record} == {
        ("edited", "ana"), ("approved", "ben"), ("rejected", "ana")
    }  # fmt: skip


def test_wrong_input_is_said_in_a_sentence_and_changes_nothing(waiting):
    yard = waiting
    (yard.folder / "list.json").write_text("[1]")
    (yard.folder / "wrong.json").write_text('{"messages": "SECRET", "max_tokens": 1}')
    review = listed(yard)["heavy"]["id"]
    before = yard.rows("SELECT * FROM reviews")
    for arguments, word in {
        ("list", "--status", "lost"): "no status",
        ("approve", review, "--ceiling-usd", "nan"): "amount",
        ("approve", review, "--group", "red"): "not by both",
        ("approve", "--reason", "no_route"): "--yes",
        ("edit", review): "no terminal",
        ("edit", review, "--keep-turns", 5): "1 turn(s)",
        ("edit", review, "--payload", "list.json"): "JSON object",
        ("edit", review, "--payload", "wrong.json"): "messages",
        ("book", review, "--not-billed"): "no attempt of unknown outcome",
    }.items():
        ended = yard.weighbridge("review", *arguments)
        assert ended.code == 2, (arguments, ended.told())
        assert word in ended.sentence, arguments
        assert "SECRET" not in ended.out + ended.err
    gone = yard.weighbridge("review", "claim", 999, "--json")
    assert gone.code == 4
    assert gone.json == {"claimed": 0, "refused": [{"review": 999, "why": "there is no such review"}]}
    assert yard.rows("SELECT * FROM reviews") == before


def test_a_payload_is_edited_in_an_editor(waiting):
    yard = waiting
    script = yard.folder / "shorten.py"
    script.write_text(
        "import json, sys\nfrom pathlib import Path\nfile = Path(sys.argv[1])\nasked = json.loads(file.read_text())\n"
        "asked['messages'][0]['content'] = 'short'\nfile.write_text(json.dumps(asked))\n"
    )
    review = listed(yard)["heavy"]["id"]
    ended = yard.weighbridge("review", "edit", review, "--by", "ana", EDITOR=f"python3 {script}")
    assert ended.code == 0, ended.told()
    assert "within its limits" in ended.out
    same = yard.weighbridge("review", "edit", listed(yard)["dear"]["id"], EDITOR="true")
    assert same.code == 2
    assert "left as it was" in same.sentence
